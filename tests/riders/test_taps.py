"""Taps as producers send them: what is taken, what is refused, and what becomes of each on real servers."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from models.cameras.detections import Rejected
from models.dead_letters import decode_dead_letter
from models.riders.taps import ZoneTap
from models.timestamps import epoch_us, rfc3339
from tests.feeds.rules_place import RulesPlace, rules_place
from tests.riders.logs import decode_surge, decode_window
from trafficapp.feeds.declaration import Origin
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.riders.feeds import RIDERS, SURGES, TAPS, WINDOWS
from trafficapp.riders.telling import RIDER_TAPS, RIDER_WINDOWS, SURGE_ALERTS
from trafficapp.settings import Settings, load_settings
from trafficapp.topics import DEAD_LETTERS

NOON_US = epoch_us("2026-01-14T12:00:00Z")
SECOND_US = 1_000_000

#: As StreamCity's producer sends it.
TAP = {
    "event_id": "5f1c",
    "rider_id": "rider-7",
    "station_id": "ST-01",
    "latitude": 44.5056,
    "longitude": 11.3430,
    "timestamp": "2026-01-14T12:00:00.123456Z",
}


def zone_taps(settings: Settings | None = None, **changed: Any) -> list[ZoneTap]:
    """What the zones are told of a tap whose record is of noon."""
    chosen = settings or load_settings()
    value = json.dumps({name: field for name, field in (TAP | changed).items() if field is not None}).encode()
    accepted = FeedDecoder(TAPS, chosen).check(b"any", value, NOON_US)
    assert TAPS.sends is not None
    told = list(TAPS.sends.messages(chosen)(accepted.message, accepted.time_us, Origin(3, 17, NOON_US)))
    assert [key for key, _ in told] == [tap.zone for _, tap in told if isinstance(tap, ZoneTap)]
    return [msgspec.json.decode(msgspec.json.encode(tap), type=ZoneTap) for _, tap in told]


def test_a_tap_goes_to_its_cell_and_to_its_station_and_nobody_is_told_who_it_was() -> None:
    place = ("5f1c", NOON_US + 123_456, "ST-01", 44.5056, 11.3430, 3, 17)
    assert zone_taps() == [ZoneTap("srbj4", *place), ZoneTap("station:ST-01", *place)]
    assert b"rider-7" not in msgspec.json.encode(zone_taps())


@pytest.mark.parametrize(
    "changed",
    [
        {"latitude": "44.5056", "longitude": " 11.343 "},
        {"timestamp": "2026-01-14T13:00:00.123456+01:00"},
        {"timestamp": "2026-01-14 12:00:00.123456"},
        {"timestamp": 1768392000.123456},
        {"timestamp": "1768392000123.456"},
        {"rider_id": None},
        {"fare": 1.5, "event": {"nested": [1]}},
    ],
)
def test_other_forms_of_a_tap_say_the_same(changed: dict[str, Any]) -> None:
    assert zone_taps(**changed) == zone_taps()


def test_ids_may_be_numbers_and_naive_times_are_of_the_zone_of_the_settings() -> None:
    settings = load_settings(riders={"time_zone": "Europe/Rome"})
    cell, station = zone_taps(settings, event_id=17, station_id=4, timestamp="2026-01-14T13:00:00")
    assert (cell.event_id, cell.time_us, station.zone, station.station_id) == ("17", NOON_US, "station:4", "4")


@pytest.mark.parametrize(
    ("changed", "reason", "detail"),
    [
        ({"event_id": None}, "missing_field", "event_id"),
        ({"station_id": None}, "missing_field", "station_id"),
        ({"station_id": ""}, "invalid_field", "station_id"),
        ({"station_id": "s" * 201}, "invalid_field", "station_id"),
        ({"station_id": True}, "invalid_field", "station_id"),
        ({"latitude": None}, "missing_field", "latitude"),
        ({"latitude": "north"}, "invalid_field", "'north' is no number"),
        ({"longitude": "NaN"}, "invalid_field", "'NaN' is no number"),
        ({"latitude": 91.0}, "invalid_place", "latitude 91"),
        ({"latitude": -103.2, "longitude": 44.5}, "invalid_place", "swapped"),
        ({"latitude": 11.3430, "longitude": 44.5056}, "outside_city", "swapped"),
        ({"latitude": 48.2}, "outside_city", "outside the city"),
        ({"timestamp": "noon"}, "invalid_timestamp", "noon"),
        ({"timestamp": "2026-01-14T12:01:00.000001Z"}, "future", "more than 60 s ahead"),
    ],
)
def test_what_cannot_be_true_is_refused_with_the_reason(changed: dict[str, Any], reason: str, detail: str) -> None:
    settings = load_settings(city={"bounds": [44.4, 11.2, 44.6, 11.5]})
    with pytest.raises(Rejected) as refused:
        zone_taps(settings, **changed)
    assert refused.value.reason == reason
    assert detail in refused.value.detail


async def test_each_tap_takes_effect_once_in_its_zones_whatever_ends_the_process(kafka_bootstrap: str) -> None:
    clock_us = epoch_us(datetime.now(UTC))
    begin_us = clock_us // (10 * SECOND_US) * 10 * SECOND_US - 600 * SECOND_US
    riders = {"window_seconds": 10, "allowed_lateness_seconds": 2, "idle_timeout_seconds": 12}
    async with rules_place([TAPS], RIDERS, [WINDOWS, SURGES], kafka_bootstrap, riders=riders) as place:
        station_id = f"ST-{place.settings.app_id}"

        def tap(number: int, second: float, **changed: Any) -> bytes:
            told = {"event_id": f"{station_id}-{number}", "timestamp": rfc3339(begin_us + round(second * 1e6))}
            return json.dumps(TAP | {"station_id": station_id} | told | changed).encode()

        # fourteen taps of the first window, three of them twice; two of the next. They come through two partitions,
        # one of which is read to its end before the other
        first = [tap(number, number / 2) for number in range(14)]
        await place.send("rider-taps", *first[:12])
        await place.settle(clock_us)
        await place.begin()
        await place.send("rider-taps", *first[12:], *first[:3], tap(20, 11), tap(21, 12.5))
        # both were read beyond whatever time these came at
        await place.settle(clock_us + 600 * SECOND_US)
        # the first window is final: this one is late
        await place.send("rider-taps", tap(30, 9), b"{", tap(31, 12, latitude=120))
        for seconds in (610, 620, 630):
            await place.settle(clock_us + seconds * SECOND_US)
        zone = f"station:{station_id}"
        windows = [decode_window(record.value or b"") for record in await told_of(place, RIDER_WINDOWS, zone)]
        surges = [decode_surge(record.value or b"") for record in await told_of(place, SURGE_ALERTS, zone)]
        letters = [letter.reason for letter in await place.letters()]
        late = [decode_dead_letter(record.value or b"") for record in await place.told(DEAD_LETTERS)]
    assert [(one.window_start, one.tap_count, one.repeated, one.is_surge) for one in windows] == [
        (rfc3339(begin_us), 14, 3, True),
        (rfc3339(begin_us + 10 * SECOND_US), 2, 0, False),
    ]
    assert [(one.state, one.revision, one.tap_count, one.window_start_ms) for one in surges] == [
        ("opened", 0, 11, begin_us // 1000),
        ("resolved", 1, 14, begin_us // 1000),
    ]
    assert len({one.alert_id for one in surges}) == 1
    told = json.loads(msgspec.json.encode(surges[1]))
    assert (told["TAP_COUNT"], told["WINDOW_END"] - told["WINDOW_START"], told["GEOHASH"]) == (14, 10_000, "srbj4j")
    assert Counter(letters) == {"not_json": 1, "invalid_place": 1}
    # the cell and the station each say that it came too late
    late = [letter for letter in late if letter.key == f"{station_id}-30".encode()]
    assert [(letter.reason, letter.topic, json.loads(letter.value or b"")["station_id"]) for letter in late] == [
        ("late", RIDER_TAPS, station_id)
    ] * 2
    assert len({(letter.partition, letter.offset) for letter in late}) == 1


async def told_of(place: RulesPlace, topic: str, zone: str) -> list[Any]:
    return [record for record in await place.told(topic) if record.key == zone.encode()]
