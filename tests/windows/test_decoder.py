"""Messages of every form, and every way in which one can be bad."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.cameras.detections import Detection, DetectionDecoder, Frame, Rejected, event_time_us
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


BOX = GOOD["bbox"]
NUMBERS = ("frame_id", "confidence", "lane_id", "speed_estimate")
#: What is no number, though some libraries read one.
NO_NUMBERS = (
    "", " ", "abc", "NaN", "nan", "inf", "-Infinity", "1e400", "0,9", "1_0", "0x1", "1 2", "٣", "true", "null",
    "0." + "0" * 100, "1e-9999999999", True, False, [], {},
)  # fmt: skip


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
    *((message(**{name: value}), "invalid_field") for name in NUMBERS for value in NO_NUMBERS),
    *((message(bbox={**BOX, name: value}), "invalid_field") for name in BOX for value in NO_NUMBERS),
    (message(centroid={"x": "1", "y": "two"}), "invalid_field"),
    (message(lane_id="-1"), "invalid_field"),
    (message(lane_id="1.5"), "invalid_field"),
    (message(lane_id=1.5), "invalid_field"),
    (message(lane_id="32768"), "invalid_field"),
    (message(frame_id="9223372036854775808"), "invalid_field"),
    (message(frame_id=1e300), "invalid_field"),
    (message(frame_id="1e300"), "invalid_field"),
    (message(speed_estimate="-0.1"), "invalid_field"),
    (message(speed_estimate="401"), "impossible_speed"),
    (message(confidence="1.1"), "invalid_field"),
    (message(timestamp="17000000000000000"), "invalid_timestamp"),
    (message(timestamp="1e12"), "invalid_timestamp"),
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


FLAT: dict[str, Any] = {name: GOOD[name] for name in GOOD if name not in ("bbox", "timestamp")}
FLAT |= {"ts": GOOD["timestamp"], "bbox_x": 1, "bbox_y": 2, "bbox_w": 3, "bbox_h": 4}


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("frame_id", "12", 12),
        ("frame_id", " 12 ", 12),
        ("frame_id", "12.0", 12),
        ("frame_id", 12.0, 12),
        ("frame_id", "1.2e1", 12),
        ("frame_id", "-3", -3),
        ("frame_id", "9007199254740993", 2**53 + 1),
        ("frame_id", "9007199254740993.0", 2**53 + 1),
        ("frame_id", "9223372036854775807", 2**63 - 1),
        ("confidence", "0.9", 0.9),
        ("confidence", ".5", 0.5),
        ("confidence", "1.", 1.0),
        ("confidence", "+9e-1", 0.9),
        ("lane_id", "1", 1),
        ("lane_id", "1.0", 1),
        ("lane_id", 1.0, 1),
        ("lane_id", "007", 7),
        ("lane_id", -0.0, 0),
        ("speed_estimate", "30", 30.0),
        ("speed_estimate", "0", 0.0),
        ("speed_estimate", "-0", 0.0),
        ("speed_estimate", "400", 400.0),
    ],
)
def test_a_number_written_as_text_is_a_number_in_every_form(name: str, written: Any, meant: float) -> None:
    nested, _ = DECODER.decode_otherwise(message(**{name: written}), True)
    assert isinstance(nested, Detection)
    assert (getattr(nested, name), type(getattr(nested, name))) == (meant, type(meant))
    flat_name = "speed_kmh" if name == "speed_estimate" else name
    assert DECODER.decode(json.dumps({**FLAT, flat_name: written}).encode()) == (nested, [])
    head, part = (FRAME | {name: written}, PART) if name == "frame_id" else (FRAME, PART | {name: written})
    frame, left_out = DECODER.decode_otherwise(json.dumps({**head, "detections": [part, PART]}).encode(), True)
    assert isinstance(frame, Frame)
    assert (left_out, len(frame.detections)) == ([], 2)
    assert getattr(frame if name == "frame_id" else frame.detections[0], name) == meant
    windows = fresh()
    outcome = windows.apply([PlainRecord(0, 1_700_000_000_000, b"a", message(**{name: written}))])
    assert (outcome.counted, outcome.dead_letters) == (1, [])


@pytest.mark.parametrize(
    "absent", [{}, {"centroid_x": None, "centroid_y": None}, {"centroid_x": 1, "centroid_y": None}]
)
def test_a_flat_detection_without_a_centroid_has_none(absent: dict[str, Any]) -> None:
    bare = {name: value for name, value in FLAT.items() if not name.startswith("centroid")}
    detection, left_out = DECODER.decode(json.dumps(bare | absent).encode())
    assert isinstance(detection, Detection)
    assert (detection.centroid, list(left_out)) == (None, [])


def test_boxes_and_centroids_may_be_text_too() -> None:
    places: dict[str, Any] = {"bbox": dict.fromkeys("xywh", "2.5"), "centroid": {"x": "-3", "y": "4e0"}}
    nested, _ = DECODER.decode(message(**places))
    assert nested == DECODER.decode(message(bbox=dict.fromkeys("xywh", 2.5), centroid={"x": -3, "y": 4}))[0]
    flat = FLAT | {f"bbox_{name}": "2.5" for name in "xywh"} | {"centroid_x": "-3", "centroid_y": "4e0"}
    assert DECODER.decode(json.dumps(flat).encode())[0] == nested


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lane_id": "abc"}, "lane_id: 'abc' is no number"),
        ({"lane_id": 1.5}, "lane_id: 1.5 is no whole number"),
        ({"lane_id": "-1"}, r"lane_id"),
        ({"lane_id": True}, r"lane_id"),
        ({"speed_estimate": ""}, "speed_estimate: '' is no number"),
        ({"speed_estimate": "-3"}, r"speed_estimate"),
        ({"confidence": "NaN"}, "confidence: 'NaN' is no number"),
        ({"frame_id": "1e99"}, "frame_id: '1e99' is out of range"),
        ({"bbox": {**BOX, "w": "wide"}}, r"bbox\.w: 'wide' is no number"),
    ],
)
def test_what_is_no_number_is_refused_by_its_name(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(Rejected, match=told) as error:
        DECODER.decode(message(**changes))
    assert error.value.reason == "invalid_field"


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
        "1700000000",
        "1700000000000",
        "1700000000.0000009999999999999999999999999",
        " 1700000000000.000 ",
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
