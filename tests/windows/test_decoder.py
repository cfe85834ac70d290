"""Messages of every form, and every way in which one can be bad."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.detections import Detection, DetectionDecoder, Frame, Rejected, event_time_us
from tests.windows.entries import PlainRecord, fresh

DECODER = DetectionDecoder(["car", "bus"], max_speed_kmh=400.0)
GOOD: dict[str, Any] = {
    "camera_id": "a",
    "timestamp": "2023-11-14T22:13:20Z",
    "frame_id": 1,
    "vehicle_id": "v1",
    "class": "car",
    "confidence": 0.9,
    "bbox": {"x": 1, "y": 2, "w": 3, "h": 4},
}
FRAME = {"camera_id": "a", "timestamp": 1_700_000_000, "frame_id": 1}
PART = {name: GOOD[name] for name in ("vehicle_id", "class", "confidence", "bbox")}


def message(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value != "absent"}).encode()


BAD = [
    (None, "empty"),
    (b"", "empty"),
    (b"{", "not_json"),
    (b"\xff", "not_json"),
    (b'{"a": NaN}', "not_json"),
    (b"[" * 100_000, "not_json"),
    (b'{"more": ' + b"[" * 100_000 + b"]" * 100_000 + b"," + message()[1:], "not_json"),
    (b"null", "invalid_field"),
    (b"[1]", "invalid_field"),
    (message(camera_id="absent"), "missing_field"),
    (message(vehicle_id="absent"), "missing_field"),
    (message(timestamp="absent"), "missing_field"),
    (message(frame_id="absent"), "missing_field"),
    (message(bbox="absent"), "missing_field"),
    (message(bbox={"x": 1, "y": 2, "w": 3}), "missing_field"),
    (message(camera_id=""), "invalid_field"),
    (message(camera_id="a" * 257), "invalid_field"),
    (message(confidence=1.1), "invalid_field"),
    (message(bbox={"x": 1, "y": 2, "w": -3, "h": 4}), "invalid_field"),
    (message(lane_id=-1), "invalid_field"),
    (message(lane_id=40_000), "invalid_field"),
    (message(speed_estimate=-1), "invalid_field"),
    (message(frame_id=1.5), "invalid_field"),
    (message(frame_id=2**63), "invalid_field"),
    (message(frame_id=-(10**30)), "invalid_field"),
    (message(timestamp=True), "invalid_field"),
    (message(timestamp="yesterday"), "invalid_timestamp"),
    (message(timestamp=-1), "invalid_timestamp"),
    (message(timestamp=1e300), "invalid_timestamp"),
    (message(timestamp="1969-12-31T23:59:59Z"), "invalid_timestamp"),
    (message(timestamp="0001-01-01T00:00:00+14:00"), "invalid_timestamp"),
    (message(**{"class": "ufo"}), "unknown_class"),
    (message(speed_estimate=401), "impossible_speed"),
    (message(camera_id="b"), "key_mismatch"),
    (message(timestamp="2023-11-14T22:14:21Z"), "future"),
    (message(timestamp="9999-12-31T23:59:59-14:00"), "invalid_timestamp"),
    (json.dumps({**FRAME, "detections": 5}).encode(), "invalid_field"),
    (json.dumps({**FRAME, "detections": [{**PART, "class": "ufo"}]}).encode(), "unknown_class"),
    (json.dumps({**FRAME, "detections": [{**PART, "bbox": None}, 7]}).encode(), "invalid_field"),
]


@pytest.mark.parametrize("frames_before", [False, True])
@pytest.mark.parametrize(("value", "reason"), BAD)
def test_a_bad_message_is_refused_with_its_reason_and_never_costs_a_neighbour(
    value: bytes | None, reason: str, frames_before: bool
) -> None:
    windows = fresh()
    before = json.dumps({**FRAME, "frame_id": 0, "detections": [PART]}).encode() if frames_before else message()
    log = [
        PlainRecord(offset, 1_700_000_000_000, b"a", one)
        for offset, one in enumerate([before, value, message(frame_id=2)])
    ]
    outcome = windows.apply(log)
    assert outcome.counted == 2
    (letter,) = outcome.dead_letters
    assert (letter.offset, letter.reason, letter.value) == (1, reason, value)
    reloaded = fresh(dict(windows.all_rows()))
    assert (reloaded.state, reloaded.cameras.states) == (windows.state, windows.cameras.states)


def test_a_faulty_detection_in_a_frame_does_not_cost_its_neighbours() -> None:
    frame, rejected = DECODER.decode(json.dumps({**FRAME, "detections": [PART, {**PART, "class": "ufo"}, 5]}).encode())
    assert isinstance(frame, Frame)
    assert len(frame.detections) == 1
    assert [(error.reason, error.detail[:13]) for error in rejected] == [
        ("unknown_class", "detections[1]"),
        ("invalid_field", "detections[2]"),
    ]


def test_the_flat_form_is_the_nested_one() -> None:
    flat = {name: value for name, value in GOOD.items() if name not in ("bbox", "timestamp")}
    flat |= {"ts": GOOD["timestamp"], "bbox_x": 1, "bbox_y": 2, "bbox_w": 3, "bbox_h": 4, "speed_kmh": 7}
    decoded, _ = DECODER.decode(json.dumps(flat).encode())
    nested, _ = DECODER.decode(message(speed_estimate=7))
    assert isinstance(decoded, Detection)
    assert decoded == nested


@pytest.mark.parametrize(
    "timestamp",
    [
        "2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20",
        "2023-11-14T23:13:20+01:00",
        "2023-11-14 22:13:20.000000",
        1_700_000_000,
        1_700_000_000.0,
        1_700_000_000_000,
    ],
)
def test_a_timestamp_of_any_form_means_the_same(timestamp: str | float) -> None:
    value = message(timestamp=timestamp)
    decoded, _ = DECODER.decode(value)
    assert event_time_us(decoded.timestamp) == 1_700_000_000_000_000
    windows = fresh()
    windows.apply([PlainRecord(0, 1_700_000_000_000, b"a", value)])
    assert windows.cameras.states[b"a"].waiting_us == 1_700_000_000_000_000


def test_numbers_as_names_and_unknown_fields_are_accepted() -> None:
    decoded, _ = DECODER.decode(message(vehicle_id=17, firmware="1.2", bbox={"x": 1, "y": 2, "w": 3, "h": 4, "z": 5}))
    assert isinstance(decoded, Detection)
    assert decoded.vehicle_id == "17"


def test_a_rejection_says_what_is_wrong() -> None:
    with pytest.raises(Rejected, match="class 'ufo' is not one of the accepted"):
        DECODER.decode(message(**{"class": "ufo"}))


@pytest.mark.parametrize("frames_first", [False, True])
def test_a_message_that_is_too_large_is_not_read_to_see_what_it_is(frames_first: bool) -> None:
    decoder = DetectionDecoder(["car"], max_speed_kmh=400.0)
    asked: list[object] = []
    decoder.decode_detection = decoder.decode_frame = asked.append  # type: ignore[assignment]
    value = json.dumps({**FRAME, "detections": [PART] * 20_000}).encode()
    with pytest.raises(Rejected) as error:
        decoder.decode_otherwise(value, frames_first)
    assert (error.value.reason, error.value.events, asked) == ("too_large", 1, [])
