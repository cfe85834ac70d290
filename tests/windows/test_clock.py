"""Silence is measured by ticks; an outage or a backlog measures none."""

from __future__ import annotations

from tests.windows.entries import SECOND_US, T0_US, Picture, Seen, Tick, fresh, records
from tests.windows.logs import silence
from trafficapp.windows.clock import MAX_TICK_ADVANCE_US, EventClock, elapsed_us

T0_MS = T0_US // 1000
ONE_CAR = Picture("a", T0_US, 1, (Seen("v1", speed_kmh=50.0),), "nested", b"a", T0_MS)


def test_the_first_tick_and_one_from_the_past_move_nothing() -> None:
    assert elapsed_us(0, 10 * SECOND_US) == 0
    assert elapsed_us(10 * SECOND_US, 9 * SECOND_US) == 0
    assert elapsed_us(10 * SECOND_US, 10 * SECOND_US) == 0


def test_a_tick_moves_the_clock_by_the_time_since_the_last_one_but_never_far() -> None:
    assert elapsed_us(10 * SECOND_US, 11 * SECOND_US) == SECOND_US
    assert elapsed_us(10 * SECOND_US, 3610 * SECOND_US) == MAX_TICK_ADVANCE_US == 2 * SECOND_US


def test_windows_are_aligned_to_the_epoch_and_the_watermark_trails_the_newest_event() -> None:
    clock = EventClock(5 * SECOND_US, 2 * SECOND_US, 10 * SECOND_US, 60 * SECOND_US, 10 * SECOND_US)
    assert clock.window_start(T0_US + 4_999_999) == T0_US
    assert clock.window_start(T0_US + 5_000_000) == T0_US + 5 * SECOND_US
    assert clock.watermark(T0_US) == T0_US - 2 * SECOND_US


def test_an_outage_closes_nothing_however_long() -> None:
    before, after = silence(T0_MS, 3), [Tick(T0_MS + 3_600_000), Tick(T0_MS + 3_601_000)]
    assert fresh().apply(records([ONE_CAR, *before, *after])).rows == []


def test_a_backlog_without_ticks_closes_nothing() -> None:
    other = [
        Picture("b", T0_US + second * SECOND_US, second, (Seen("v", speed_kmh=9.0),), "nested", b"b", T0_MS)
        for second in range(50)
    ]
    rows = fresh().apply(records([Tick(T0_MS), ONE_CAR, *other, Tick(T0_MS + 60_000)])).rows
    assert {row.camera_id for row in rows} == {"b"}


def test_a_silent_camera_is_closed_after_the_idle_time_out_and_not_before() -> None:
    windows = fresh()
    log = records([Tick(T0_MS), ONE_CAR, *silence(T0_MS + 1000, 9)])
    assert windows.apply(log[:-1]).rows == []
    (row,) = windows.apply(log[-1:]).rows
    assert (row.camera_id, row.lane_id, row.vehicle_count, row.avg_speed_kmh) == ("a", None, 1, 50.0)


def test_a_camera_closed_by_silence_does_not_take_its_windows_back() -> None:
    windows = fresh()
    again = Picture("a", T0_US + 1000, 2, (Seen("v2", speed_kmh=3.0),), "nested", b"a", T0_MS + 20_000)
    assert len(windows.apply(records([Tick(T0_MS), ONE_CAR, *silence(T0_MS + 1000), again])).rows) == 1
    assert windows.cameras.states[b"a"].late == 1


def test_a_camera_that_goes_on_sending_is_not_silent() -> None:
    log: list[Picture | Tick] = []
    for second in range(60):
        log += [Tick(T0_MS + 1000 * second)]
        if second % 9 == 0:
            log += [Picture("a", T0_US, second, (Seen("v1", speed_kmh=1.0),), "nested", b"a", T0_MS)]
    assert fresh().apply(records(log)).rows == []
