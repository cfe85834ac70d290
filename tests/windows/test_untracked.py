"""Ids that mean "not tracked"."""

from __future__ import annotations

from dataclasses import replace

from tests.windows.entries import T0_US, Picture, PlainRecord, Seen, fresh, records
from tests.windows.logs import silence
from trafficapp.settings import Settings
from trafficapp.windows.partition import PartitionRules
from trafficapp.windows.rules import partition_rules

T0_MS = T0_US // 1000
NONE = "18446744073709551615"


def rules(**windows: object) -> PartitionRules:
    return partition_rules(
        Settings(windows={"untracked_ids": (NONE,), **windows}, cameras={"own": {"untracked_ids": ("0",)}})
    )


def frame(number: int, *seen: Seen, camera_id: str = "a") -> Picture:
    return Picture(camera_id, T0_US + number * 100_000, number, seen, "frame", camera_id.encode(), T0_MS)


def test_they_count_as_detections_with_their_speeds_and_not_as_one_vehicle_with_repeats() -> None:
    unknown = [Seen(NONE, kind, speed, 1, x=10.0 * n) for n, (kind, speed) in enumerate([("car", 3.0), ("bus", 30.0)])]
    log = [frame(number, Seen("v1", "car", 12.0, 1), *unknown) for number in range(10)]
    outcome = fresh(rules=rules()).apply(records([*log, *silence(T0_MS)]))
    whole, lane = outcome.rows
    assert (outcome.counted, outcome.repeated) == (30, 0)
    for row in (whole, lane):
        assert (row.detections, row.vehicle_count, row.counts_by_class, row.queue_length) == (30, 1, {"car": 1}, 0)
        assert (row.avg_speed_kmh, row.stopped_ratio) == (15.0, 0.3333)


def test_without_the_setting_they_are_one_vehicle() -> None:
    log = [frame(0, *(Seen(NONE, "car", 30.0, x=10.0 * n) for n in range(5)))]
    outcome = fresh().apply(records([*log, *silence(T0_MS)]))
    assert (outcome.counted, outcome.repeated, outcome.rows[0].vehicle_count) == (1, 4, 1)


def test_the_same_one_sent_again_counts_once() -> None:
    here, there = Seen(NONE, "car", 30.0), Seen(NONE, "car", 30.0, x=50.0)
    outcome = fresh(rules=rules()).apply(records([frame(0, here, there), frame(0, there, here), frame(1, here)]))
    assert (outcome.counted, outcome.repeated) == (3, 2)


def test_no_speed_is_estimated_between_different_things() -> None:
    log = [frame(number, Seen(NONE, x=100.0 * number)) for number in range(5)]
    windows = fresh(rules=rules())
    row = windows.apply(records([*log, *silence(T0_MS)])).rows[0]
    assert (row.detections, row.avg_speed_kmh, row.congestion_level) == (5, None, "UNKNOWN")
    assert windows.cameras.states[b"a"].sightings == {}


def test_a_camera_may_have_its_own() -> None:
    log = [frame(0, Seen("0"), Seen("0", x=9.0), Seen(NONE), camera_id=name) for name in ("own", "a")]
    rows = fresh(rules=rules()).apply(records([*log, *silence(T0_MS)])).rows
    assert {row.camera_id: (row.detections, row.vehicle_count) for row in rows} == {"own": (3, 1), "a": (2, 1)}


def test_a_number_in_a_message_is_the_id_as_text() -> None:
    value = (
        b'{"camera_id":"a","timestamp":1700000000000,"frame_id":1,"detections":[{"vehicle_id":18446744073709551615,'
        b'"class":"car","confidence":1,"bbox":{"x":1,"y":1,"w":1,"h":1}},{"vehicle_id":18446744073709551615,'
        b'"class":"car","confidence":1,"bbox":{"x":5,"y":1,"w":1,"h":1}}]}'
    )
    outcome = fresh(rules=rules()).apply([PlainRecord(0, T0_MS, b"a", value)])
    assert (outcome.counted, outcome.repeated, outcome.rejected) == (2, 0, {})


def test_the_state_survives_being_written() -> None:
    log = records([frame(number, Seen(NONE, x=3.0), Seen(NONE, x=4.0)) for number in range(8)])
    straight = fresh(rules=rules())
    straight.apply(log)
    first = fresh(rules=rules())
    first.apply(log[:4])
    second = fresh(dict(first.all_rows()), rules=rules())
    second.apply([replace(record) for record in log])
    assert second.cameras.states == straight.cameras.states
