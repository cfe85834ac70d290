"""With ids hashed at entry, no plate gets beyond the topic that its producer wrote to."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from agents.feeds import FeedIntake
from models.dead_letters import decode_dead_letter, encode_dead_letter
from models.records import PlainRecord
from models.timestamps import epoch_us
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declared import FEEDS
from trafficapp.fleet.feeds import CARS, TRACKERS
from trafficapp.privacy.pseudonyms import pseudonyms_of
from trafficapp.riders.feeds import TAPS
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.cameras.event_rows import EventRows
from trafficapp.topics import DEAD_LETTERS
from trafficapp.windows.outcome import Outcome
from trafficapp.windows.partition import PartitionWindows
from trafficapp.windows.rules import acceptance_of, partition_rules

PLATE = "BO123XY"
NOON = "2026-01-14T12:00:00Z"
NOON_MS = epoch_us(NOON) // 1000
SECRET = {"hash_vehicle_ids": True, "hash_key": "0123456789abcdef0123456789abcdef"}


@pytest.fixture(scope="module")
def hashed() -> Settings:
    return load_settings(privacy=SECRET)


def record(value: Any, key: bytes | None, offset: int = 0) -> PlainRecord:
    return PlainRecord(offset, NOON_MS, 1, key, value if isinstance(value, bytes) else json.dumps(value).encode())


def said(value: bytes) -> str:
    """All that a record tells, also within base64."""
    text = value.decode()
    message = json.loads(text)
    inner = (base64.b64decode(message.get(name) or "").decode() for name in ("key_base64", "value_base64"))
    return " ".join([text, *inner]) if isinstance(message, dict) else text


def car(**changes: Any) -> dict[str, Any]:
    place = {"location": [44.4985, 11.3175], "speed": 30.0, "direction": 45.0, "timestamp": NOON, "id": "m-1"}
    more = {"make": "Fiat", "model": "Panda", "year": 2024, "fuel_type": "Hybrid", "vehicle_type": "private"}
    return {"device_id": PLATE, **place, **more, **changes}


BAD = [
    car(speed=9999),
    car(location=[99.0, 200.0]),
    car(timestamp=PLATE),
    car(timestamp=f"{NOON} {PLATE}", device_id=f"x{PLATE}"),
    car(device_id=[PLATE]),
    car(device_id={"plate": PLATE}),
    car(device_id=None, plate=PLATE),
    {"deviceId": PLATE, "timestamp": NOON},
    car(device_id=PLATE * 100),
    f'{{"device_id": "{PLATE}", "device_id": 5, "timestamp": "{NOON}"}}'.encode(),
    f'{{"device_id": "{PLATE}", '.encode(),
    PLATE.encode(),
    json.dumps([car()]).encode(),
    json.dumps(PLATE).encode(),
    json.dumps(car(make=["x" * 70_000])).encode() + PLATE.encode() * 200_000,
    b"\xff" + PLATE.encode(),
]


@pytest.mark.parametrize("feed", [CARS, TRACKERS], ids=lambda feed: feed.name)
def test_no_plate_is_sent_on_or_told_in_a_letter(hashed: Settings, feed: Any) -> None:
    intake, hashes = FeedIntake(feed, hashed, Telemetry()), pseudonyms_of(hashed)
    assert hashes is not None
    shown = hashes.of(PLATE, epoch_us(NOON))
    good, *letters = intake.outcome(0, [record(one, PLATE.encode(), n) for n, one in enumerate([car(), *BAD])])
    assert good.key == shown.encode()
    assert PLATE not in (good.value or b"").decode()
    assert shown in (good.value or b"").decode()
    refused = [one for one in letters if one.topic == DEAD_LETTERS]
    assert len(refused) >= len(BAD) - 3  # numbers and doubled fields may be taken
    for one in letters:
        told = said(one.value or b"")
        assert PLATE not in told
        assert PLATE.encode() not in (one.key or b"")
    # what was wrong can still be seen
    fast = decode_dead_letter(refused[0].value or b"")
    assert json.loads(fast.value or b"").items() <= car(speed=9999, device_id=shown).items()
    assert json.loads(fast.value or b"")["speed"] == 9999
    assert fast.key == shown.encode()


def test_two_feeds_of_a_device_are_still_one_vehicle(hashed: Settings) -> None:
    (one,), (other,) = (
        list(FeedIntake(feed, hashed, Telemetry()).outcome(0, [record(car(), b"any")])) for feed in (CARS, TRACKERS)
    )
    assert one.key == other.key


def test_a_letter_of_a_tap_says_no_rider(hashed: Settings) -> None:
    tap = {
        "event_id": "e-1",
        "rider_id": PLATE,
        "station_id": "ST-01",
        "latitude": 999,
        "longitude": 11.3,
        "timestamp": NOON,
    }
    (letter,) = FeedIntake(TAPS, hashed, Telemetry()).outcome(0, [record(tap, b"e-1")])
    assert letter.topic == DEAD_LETTERS
    assert PLATE not in said(letter.value or b"")
    assert decode_dead_letter(letter.value or b"").key == b"e-1"


def test_every_feed_with_a_device_or_rider_says_so() -> None:
    """Who declares a feed of vehicles or people has to decide; these were decided otherwise."""
    named = {"device_id", "rider_id", "vehicle_id", "plate", "person_id", "user_id", "driver_id"}
    otherwise = {
        "traffic-camera-data": "the camera",
        "weather-readings": "the station",
        "emergency-incidents": "the desk",
        "vehicle-locations": "public transport, which timetables and passengers know by name",
        "vehicle-routes": "the same",
        "agency-vehicles": "the same",
        "agency-trip-updates": "the same",
    }
    for feed in FEEDS:
        if not feed.is_ours and named & set(feed.shape.__struct_fields__) and feed.name not in otherwise:
            assert feed.personal, feed.name


def applied(partition: PartitionWindows, records: list[PlainRecord]) -> Outcome:
    outcome = Outcome()
    for step in partition.steps(records):
        outcome.rows += step.rows
        outcome.dead_letters += step.dead_letters
    return outcome


def detection(vehicle_id: Any, **changes: Any) -> dict[str, Any]:
    box = {"bbox": {"x": 1, "y": 2, "w": 3, "h": 4}, "confidence": 0.9, "class": "car"}
    return {"camera_id": "c", "timestamp": NOON, "frame_id": 1, "vehicle_id": vehicle_id, **box, **changes}


def test_detections_count_the_same_and_show_no_plate() -> None:
    plain = load_settings(windows={"untracked_ids": ["untracked"]})
    hashed = load_settings(privacy=SECRET, windows={"untracked_ids": ["untracked"]})
    single = [detection(PLATE), detection("other"), detection("untracked"), detection(PLATE)]
    frame = {"camera_id": "c", "timestamp": NOON, "frame_id": 2, "detections": single}
    later = detection("late", timestamp="2026-01-14T12:00:08Z", frame_id=9)
    records = [
        record(one, b"c", offset)
        for offset, one in enumerate(
            [*single, frame, later, {**later, "frame_id": 10, "timestamp": "2026-01-14T12:00:09Z"}]
        )
    ]
    windows, states = [], []
    for settings in (plain, hashed):
        partition = PartitionWindows(0, partition_rules(settings), {})
        outcome = applied(partition, records)
        windows.append(outcome.rows)
        states.append(b"".join(row for _, row in partition.changed_rows() if row))
        rows, _ = EventRows(acceptance_of(settings)).rows(records)
        assert (PLATE in str(rows)) == (settings is plain)
        assert "untracked" in str(rows)
    assert windows[0] == windows[1]
    assert windows[0]
    assert PLATE.encode() not in states[1]


def test_a_letter_of_a_detection_shows_no_plate(hashed: Settings) -> None:
    partition = PartitionWindows(0, partition_rules(hashed), {})
    bad = [
        detection(PLATE, **{"class": "ufo"}),
        detection(PLATE, confidence=7, plate=PLATE),
        detection([PLATE]),
        {"camera_id": "c", "timestamp": NOON, "frame_id": 2, "detections": [detection(PLATE, confidence=7), PLATE]},
        PLATE.encode(),
    ]
    letters = applied(partition, [record(one, b"c", offset) for offset, one in enumerate(bad)]).dead_letters
    assert len(letters) == len(bad)
    for letter in letters:
        assert PLATE not in said(encode_dead_letter(letter))
    assert letters[0].key == b"c"


def test_off_is_as_before() -> None:
    (fix,) = FeedIntake(CARS, load_settings(), Telemetry()).outcome(0, [record(car(), b"any")])
    assert fix.key == PLATE.encode()
