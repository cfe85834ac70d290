"""Single steps of the windows by example: each was once taken out without any test to notice."""

from __future__ import annotations

from dataclasses import replace

from tests.windows.entries import QUIET_US, RULES, SECOND_US, T0_US, Entry, Picture, Seen, Tick, fresh, records
from tests.windows.logs import silence
from trafficapp.alerts.silence import SilenceRule
from trafficapp.engine.state_rows import OFFSET_BYTES, offset_of, partition_key
from trafficapp.windows.outcome import Outcome

T0_MS = T0_US // 1000


def seen(second: float, x: float, vehicle: str = "v1", speed_kmh: float | None = None) -> Picture:
    time_us = T0_US + round(second * SECOND_US)
    one = Seen(vehicle, speed_kmh=speed_kmh, x=x)
    return Picture("a", time_us, round(second * 100), (one,), "nested", b"a", time_us // 1000)


def test_a_place_from_before_does_not_take_the_place_of_a_newer_one() -> None:
    # 0.05 m a pixel: from 1 s and 100 px to 2 s and 300 px are 10 m in a second
    log = [seen(1, 100), seen(0.5, 5000), seen(2, 300)]
    windows = fresh()
    (row, *_) = windows.apply(records([*log, *silence(T0_MS + 2000)])).rows
    assert row.avg_speed_kmh == 36.0
    assert windows.cameras.states[b"a"].sightings["v1"] == (T0_US + 2 * SECOND_US, 300.0, 0.0)


def test_a_record_that_a_camera_s_row_has_already_is_not_counted_again() -> None:
    log = records([seen(0, 0, speed_kmh=9.0), seen(1, 0, speed_kmh=9.0), seen(2, 0, speed_kmh=9.0)])
    windows = fresh()
    windows.apply(log[:1])
    own = dict(windows.all_rows())[partition_key(0)]
    windows.apply(log[1:])
    ahead = dict(windows.all_rows()) | {partition_key(0): own}
    successor = fresh(ahead)
    assert successor.applied == 0
    outcome = successor.apply(log)
    assert (outcome.counted, outcome.repeated) == (0, 0)
    assert successor.cameras.states == windows.cameras.states


def test_records_that_come_again_change_nothing() -> None:
    log = records([Tick(T0_MS), *(seen(second, second, speed_kmh=9.0) for second in range(9)), *silence(T0_MS + 9000)])
    for again in (log, log[:3], log[-1:]):
        windows = fresh()
        windows.apply(log)
        before = dict(windows.all_rows())
        outcome = windows.apply(again)
        assert outcome == Outcome()
        assert dict(windows.all_rows()) == before


def test_whatever_a_tick_does_to_a_camera_its_row_covers_the_tick() -> None:
    # else a row that another worker wrote late, without it, could not be told from the newer one
    camera = [seen(5 * window, 0, speed_kmh=9.0) for window in range(20)]
    log = records([Tick(T0_MS), *camera, *silence(T0_MS + 96_000, 310)])
    windows = fresh(rules=replace(RULES, silence=SilenceRule(300 * SECOND_US), quiet_us=QUIET_US))
    done: list[str] = []
    before: tuple[bytes, bytes] = (b"", b"")
    for record in log:
        outcome = windows.apply([record])
        row = dict(windows.all_rows()).get(b"a", b"")
        offset, state = row[:OFFSET_BYTES], row[OFFSET_BYTES:]
        if record.headers and row:
            # the offset of the camera stands in its state as well
            assert (offset == before[0]) == (state == before[1])
            assert offset == before[0] or offset_of(row) == record.offset
            done += (
                ["closed"] * bool(outcome.rows) + ["quiet"] * bool(outcome.quiet) + ["missed"] * bool(outcome.alerts)
            )
            assert bool(outcome.rows or outcome.quiet or outcome.alerts) == (offset != before[0])
        before = offset, state
    assert done == ["closed", "quiet", "missed"]


def test_places_of_vehicles_unseen_for_long_are_forgotten_when_a_window_is_opened() -> None:
    log: list[Entry] = [seen(0, 0, "old"), seen(1, 0, "other")]
    log += [seen(second, second, "here") for second in range(2, 38)]
    windows = fresh()
    windows.apply(records(log))
    assert set(windows.cameras.states[b"a"].sightings) == {"old", "other", "here"}
    windows.apply(records([*log, *(seen(second, second, "here") for second in range(38, 41))]))
    assert set(windows.cameras.states[b"a"].sightings) == {"here"}


def test_all_places_are_forgotten_once_every_detection_has_a_speed_again() -> None:
    log: list[Entry] = [seen(0, 0), seen(1, 0, "v2")]
    log += [seen(second, second, "v3", 30.0) for second in range(2, 38)]
    windows = fresh()
    windows.apply(records(log))
    assert set(windows.cameras.states[b"a"].sightings) == {"v1", "v2", "v3"}
    windows.apply(records([*log, *(seen(second, second, "v3", 30.0) for second in range(38, 46))]))
    camera = windows.cameras.states[b"a"]
    assert (camera.sightings, camera.untracked_since_us, camera.tracked_bytes) == ({}, 0, 0)
