"""The oracle, checked by numbers worked out by hand."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings

from tests.stores.bad_values import bad_values
from tests.verification.compare import FoundRow, compare_rows, differences
from tests.verification.log import LogRecord
from tests.verification.quick_oracle import QuickOracle
from tests.verification.truth import OracleRow, RowKey, Rules, Truth, truth_of
from tests.windows.entries import Entry, Limits, PlainRecord, fresh
from tests.windows.logs import bounded_logs, logs
from tests.windows.oracle import Oracle, level_of, refusal_of

T0_MS = 1_768_374_000_000
T0_US = T0_MS * 1000


def detection(seconds: float, vehicle: str = "v1", **fields: Any) -> dict[str, Any]:
    return {
        "camera_id": "cam_01",
        "timestamp": T0_MS + round(seconds * 1000),
        "frame_id": round(seconds * 10),
        "vehicle_id": vehicle,
        "class": "car",
        "confidence": 0.9,
        "bbox": {"x": 0, "y": 0, "w": 10, "h": 10},
        **fields,
    }


def truth_from(*messages: dict[str, Any] | bytes | None, sent_ms: int = T0_MS) -> Truth:
    values = [json.dumps(message).encode() if isinstance(message, dict) else message for message in messages]
    return truth_of([LogRecord(0, offset, sent_ms, b"cam_01", value) for offset, value in enumerate(values)])


def like(*values: Any) -> OracleRow:
    """A row whose score is what was worked out, about."""
    right = OracleRow(*values)
    return dataclasses.replace(right, score=pytest.approx(right.score, abs=5e-6))


def row(truth: Truth, start_seconds: int = 0, lane_id: int | None = None) -> OracleRow:
    return truth.rows[RowKey("cam_01", T0_US + start_seconds * 1_000_000, lane_id)]


def test_one_window_of_two_lanes() -> None:
    truth = truth_from(
        detection(0.0, "a", lane_id=0, speed_estimate=30.0),
        detection(1.0, "a", lane_id=0, speed_estimate=40.0),
        detection(1.0, "b", lane_id=1, speed_estimate=2.0, **{"class": "bus"}),
        detection(4.9, "c", lane_id=1),
    )
    assert set(truth.rows) == {RowKey("cam_01", T0_US, lane) for lane in (None, 0, 1)}
    # 0.4 * 3/50 + 0.4 * (1 - 24/60) + 0.2 * 1/3 = 0.024 + 0.24 + 0.0667
    assert row(truth) == like(3, {"car": 2, "bus": 1}, 24.0, 1 / 3, 1, 0.33067, 4)
    # 0.4 * 1/50 + 0.4 * (1 - 35/60)
    assert row(truth, lane_id=0) == like(1, {"car": 1}, 35.0, 0.0, 0, 0.17467, 2)
    # 0.4 * 2/50 + 0.4 * (1 - 2/60) + 0.2
    assert row(truth, lane_id=1) == like(2, {"bus": 1, "car": 1}, 2.0, 1.0, 1, 0.60267, 2)


def test_without_speed_nothing_is_zero() -> None:
    assert row(truth_from(detection(0))) == OracleRow(1, {"car": 1}, None, None, 0, None, 1)


def test_five_kmh_is_not_stopped() -> None:
    found = row(truth_from(detection(0, "a", speed_estimate=5.0), detection(0, "b", speed_estimate=4.999)))
    assert (found.stopped_ratio, found.queue_length) == (0.5, 1)


def test_a_full_and_standing_camera_scores_one() -> None:
    jam = row(truth_from(*(detection(0, f"v{number}", speed_estimate=0.0) for number in range(60))))
    assert jam.score == pytest.approx(1.0)
    assert level_of(jam.score, jam.boundaries) == "SEVERE"


def test_a_vehicle_whose_class_changes_counts_once_but_in_both_classes() -> None:
    found = row(truth_from(detection(0), detection(1, **{"class": "van"})))
    assert (found.vehicle_count, found.counts_by_class) == (1, {"car": 1, "van": 1})


def test_late_means_window_end_at_or_before_the_watermark() -> None:
    at_the_edge = truth_from(detection(0), detection(7.0), detection(4.9))
    assert at_the_edge.dead_letters == {(0, 2): {"late": 1}}
    assert (row(at_the_edge).detections, at_the_edge.rejected["late"]) == (1, 1)
    just_before = truth_from(detection(0), detection(6.999), detection(4.9))
    assert just_before.dead_letters == {}
    assert row(just_before).detections == 2


def test_a_late_event_moves_no_time_and_other_cameras_do_not_matter() -> None:
    other = json.dumps({**detection(100), "camera_id": "cam_02"}).encode()
    mine = [json.dumps(detection(second)).encode() for second in (0, 1)]
    log = [
        LogRecord(0, 0, T0_MS + 100_000, b"cam_01", mine[0]),
        LogRecord(0, 1, T0_MS + 100_000, b"cam_02", other),
        LogRecord(0, 2, T0_MS + 100_000, b"cam_01", mine[1]),
    ]
    assert truth_of(log).counted == 3


def test_the_same_detection_in_a_window_counts_once() -> None:
    truth = truth_from(detection(0, frame_id=1), detection(0, frame_id=1), detection(0.1, frame_id=2))
    assert (truth.counted, truth.repeated, row(truth).detections) == (2, 1, 2)


def test_an_event_ahead_of_its_record_is_refused_and_closes_nothing() -> None:
    truth = truth_from(detection(0), detection(60.001), detection(1), detection(60.0))
    assert truth.dead_letters == {(0, 1): {"future": 1}}
    assert (truth.counted, row(truth).detections) == (3, 2)


def test_a_missing_speed_comes_from_movement() -> None:
    truth = truth_from(
        detection(0, bbox={"x": 0, "y": 0, "w": 10, "h": 10}),
        detection(1, bbox={"x": 120, "y": 160, "w": 10, "h": 10}),  # 200 px, 10 m in a second
        detection(32, centroid={"x": 0, "y": 0}),  # unseen for more than 30 s
    )
    assert row(truth).avg_speed_kmh == pytest.approx(36.0)
    assert row(truth, 30).avg_speed_kmh is None


def test_faults_have_their_reasons() -> None:
    missing = detection(0)
    del missing["vehicle_id"]
    faults: list[tuple[dict[str, Any] | bytes | None, str]] = [
        (None, "empty"),
        (b"", "empty"),
        (b'{"camera_id":', "not_json"),
        (missing, "missing_field"),
        (detection(0, confidence=1.5), "invalid_field"),
        (detection(0, speed_estimate=-1), "invalid_field"),
        (detection(0, speed_estimate=401), "impossible_speed"),
        (detection(0, **{"class": "hovercraft"}), "unknown_class"),
        (detection(0, timestamp="yesterday"), "invalid_timestamp"),
        (detection(0, camera_id="cam_02"), "key_mismatch"),
    ]
    truth = truth_from(*(message for message, _ in faults))
    assert truth.dead_letters == {(0, offset): {reason: 1} for offset, (_, reason) in enumerate(faults)}
    assert (truth.total, truth.rows) == (len(faults), {})


def test_a_frame_says_what_its_detections_say() -> None:
    parts = [detection(0, "a", speed_estimate=10.0, lane_id=0), detection(0, "b", **{"class": "hovercraft"})]
    shared = ("camera_id", "timestamp", "frame_id")
    frame = {name: parts[0][name] for name in shared} | {
        "detections": [{name: value for name, value in part.items() if name not in shared} for part in parts]
    }
    truth = truth_from(frame)
    assert (truth.counted, dict(truth.rejected), truth.dead_letters) == (
        1, {"unknown_class": 1}, {(0, 0): {"unknown_class": 1}},
    )  # fmt: skip
    assert row(truth, lane_id=0) == row(truth_from(parts[0]), lane_id=0)


def test_the_flat_form_and_any_spelling_of_time() -> None:
    flat = {
        "camera_id": "cam_01", "ts": "2026-01-14T08:00:01+01:00", "frame_id": 1, "vehicle_id": 7, "class": "car",
        "confidence": 1, "bbox_x": 1, "bbox_y": 2, "bbox_w": 3, "bbox_h": 4, "speed_kmh": 12,
    }  # fmt: skip
    assert row(truth_from(flat)).avg_speed_kmh == 12
    assert row(truth_from({**flat, "ts": T0_MS / 1000 + 1})).avg_speed_kmh == 12


FORMS: list[dict[str, Any]] = [
    detection(0, lane_id=1, speed_estimate=3.0, centroid={"x": 1, "y": 2}),
    {
        "camera_id": "cam_01", "ts": T0_MS / 1000, "frame_id": 1, "vehicle_id": "v", "class": "car", "confidence": 0.9,
        "bbox_x": 1, "bbox_y": 2, "bbox_w": 3, "bbox_h": 4, "lane_id": 1, "speed_kmh": 3.0, "centroid_x": 1,
        "centroid_y": 2,
    },
    {"camera_id": "cam_01", "timestamp": T0_MS, "frame_id": 1, "detections": [
        {"vehicle_id": "v", "class": "car", "confidence": 0.9, "bbox": {"x": 1, "y": 2, "w": 3, "h": 4}},
        {"vehicle_id": "w", "class": "bus", "confidence": 0.9, "bbox": {"x": 1, "y": 2, "w": 3, "h": 4}},
    ]},
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=["nested", "flat", "frame"])
def test_any_value_is_read_as_the_windows_read_it(form: dict[str, Any]) -> None:
    for name, value in bad_values(json.dumps(form).encode()):
        outcome = fresh().apply([PlainRecord(0, T0_MS + 1000, b"cam_01", value)])
        told = [refusal_of(letter).reasons for letter in outcome.dead_letters]
        truth = truth_of([LogRecord(0, 0, T0_MS + 1000, b"cam_01", value)])
        assert (told, outcome.counted) == (list(truth.dead_letters.values()), truth.counted), name


NUMBERS_AS_TEXT = (
    "1", "1.0", 1.0, " 1 ", "0.5", ".5", "1.", "+1", "-1", "-0", "1e0", "1e999", "1e-300", "401", "32768", "1.5", "",
    "abc", "NaN", "inf", "0,9", "1_0", "٣", "9007199254740993.0", "9223372036854775808", "0" * 70, "1700000000",
    "1768374000000.5", "17683740000000000", "1768374000.0000009" + "9" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=["nested", "flat", "frame"])
def test_numbers_as_text_are_read_as_the_windows_read_them(form: dict[str, Any]) -> None:
    names = [name for name in form if name not in ("camera_id", "class", "vehicle_id", "detections")]
    messages = [form | {name: text} for name in names for text in NUMBERS_AS_TEXT]
    for place in ("bbox", "centroid"):
        if place in form:
            messages += [form | {place: form[place] | {x: text}} for x in form[place] for text in NUMBERS_AS_TEXT]
    first, *others = form.get("detections", [None])
    if first:
        numbers = ("confidence", "lane_id", "speed_estimate")
        parts = [first | {name: text} for name in numbers for text in NUMBERS_AS_TEXT]
        messages += [form | {"detections": [part, *others]} for part in parts]
    counted = 0
    for message in messages:
        value = json.dumps(message).encode()
        outcome = fresh().apply([PlainRecord(0, T0_MS + 1000, b"cam_01", value)])
        told = [refusal_of(letter).reasons for letter in outcome.dead_letters]
        truth = truth_of([LogRecord(0, 0, T0_MS + 1000, b"cam_01", value)], ends_in_silence=False)
        assert (told, outcome.counted) == (list(truth.dead_letters.values()), truth.counted), message
        counted += truth.counted
    assert 0 < counted < len(messages) * max(len(form.get("detections", [])), 1)


def found_row(right: OracleRow, **changes: Any) -> FoundRow:
    fields = {name: getattr(right, name) for name in FoundRow._fields if hasattr(right, name)}
    told = {"congestion_score": right.score, "congestion_level": level_of(right.score, right.boundaries)}
    return FoundRow(**{"end_us": T0_US + 5_000_000, **fields, **told, **changes})


RIGHT = OracleRow(3, {"car": 3}, 24.00049, 1 / 3, 1, 0.3307, 4)
KEY = RowKey("cam_01", T0_US, None)


@pytest.mark.parametrize(
    "changes",
    [{}, {"avg_speed_kmh": 24.0}, {"stopped_ratio": 0.3333}, {"congestion_score": 0.3308}],
)
def test_rounding_is_no_difference(changes: dict[str, Any]) -> None:
    assert differences(KEY, RIGHT, found_row(RIGHT, **changes), Rules()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"vehicle_count": 4},
        {"counts_by_class": {"car": 2, "bus": 1}},
        {"avg_speed_kmh": 24.002},
        {"avg_speed_kmh": None},
        {"stopped_ratio": 0.3335},
        {"queue_length": 0},
        {"congestion_score": 0.3310},
        {"congestion_level": "LOW"},
        {"detections": 5},
        {"end_us": T0_US + 6_000_000},
    ],
)
def test_anything_else_is_a_difference(changes: dict[str, Any]) -> None:
    changed = found_row(RIGHT)._replace(**changes)
    assert len(differences(KEY, RIGHT, changed, Rules())) == 1


def test_missing_and_extra_rows_are_told() -> None:
    other = RowKey("cam_02", T0_US, None)
    result = compare_rows("rows", {KEY: RIGHT}, {other: found_row(RIGHT)}, Rules())
    assert (result.compared, result.different, result.missing, result.extra) == (0, 0, 1, 1)
    assert not result.equal
    assert len(result.examples) == 2


@given(logs())
@settings(deadline=None, max_examples=60)
def test_the_quick_oracle_says_what_the_slow_one_says(log: list[Entry]) -> None:
    assert_quick_is_slow(log, Limits())


@given(bounded_logs())
@settings(deadline=None, max_examples=40)
def test_so_it_does_when_cameras_are_forgotten(log_and_limits: tuple[list[Entry], Limits]) -> None:
    assert_quick_is_slow(*log_and_limits)


def assert_quick_is_slow(log: list[Entry], limits: Limits) -> None:
    quick, slow = QuickOracle.of(log, limits), Oracle.of(log, limits)
    for name in ("made", "letters", "counted", "repeated", "silences", "quiet", "after_quiet"):
        assert getattr(quick, name) == getattr(slow, name), name
