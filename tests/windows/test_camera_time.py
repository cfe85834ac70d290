"""The camera's time: pictures that wait, that are confirmed, that are followed; by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.cameras.window_rows import WindowRow
from models.timestamps import epoch_us
from tests.windows.entries import SECOND_US, T0_US, Entry, Form, Picture, Seen, Tick, fresh, records
from tests.windows.logs import silence

T0_MS = T0_US // 1000


def picture(second: float, number: int = 0, *, at: float | None = None, form: Form = "nested") -> Picture:
    """A car at a second of camera a; ``at`` is the second of its record, by the broker's clock."""
    time_us = T0_US + round(second * SECOND_US)
    record_ms = T0_MS + round((second if at is None else at) * 1000)
    return Picture("a", time_us, number, (Seen(f"v{number}", speed_kmh=30.0),), form, b"a", record_ms)


def steady(begin: float, end: float, apart: float = 0.5) -> list[Entry]:
    count = round((end - begin) / apart)
    return [picture(begin + step * apart, 1000 + round((begin + step * apart) * 10)) for step in range(count)]


def ticks(begin: float, end: float) -> list[Entry]:
    return [Tick(T0_MS + 1000 * second) for second in range(round(begin), round(end))]


def rows_of(log: list[Entry]) -> dict[int, WindowRow]:
    """Camera-wide rows by the second that they begin at."""
    rows = [row for row in fresh().apply(records(log)).rows if row.lane_id is None]
    found = {(epoch_us(row.window_start) - T0_US) // SECOND_US: row for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize("form", ["nested", "frame"])
@pytest.mark.parametrize("ahead", [10.1, 30, 59.9])
@pytest.mark.parametrize("place", [0, 1, 20, 39])
def test_one_picture_with_a_wrong_clock_costs_nothing_but_itself(place: int, ahead: float, form: Form) -> None:
    log = steady(0, 20)
    at = log[place].record_ms / 1000 - T0_MS / 1000
    outlier = picture(at + ahead, 7, at=at, form=form)
    end = [*steady(20, 100), *silence(T0_MS + 100_000, 90)]
    with_it = rows_of([*log[:place], outlier, *log[place:], *end])
    without = rows_of([*log, *end])
    own = int((at + ahead) // 5 * 5)
    assert with_it[own].detections == without[own].detections + 1
    assert {second: row for second, row in with_it.items() if second != own} == {
        second: row for second, row in without.items() if second != own
    }


def test_an_outlier_before_a_silence_costs_nothing_when_the_camera_comes_back() -> None:
    before, after = steady(0, 20), steady(33, 100)
    pause = ticks(20, 33)
    outlier = picture(20 + 59.9, 7, at=20)
    end = silence(T0_MS + 100_000, 90)
    with_it = rows_of([*ticks(0, 20), *before, outlier, *pause, *after, *end])
    without = rows_of([*ticks(0, 20), *before, *pause, *after, *end])
    own = 75
    assert with_it.pop(own).detections == without.pop(own).detections + 1
    assert with_it == without
    # and those from before the silence were closed by it
    assert {0, 5, 10, 15} <= rows_of([*ticks(0, 20), *before, outlier, *pause]).keys()


def test_two_pictures_that_agree_are_followed_at_once() -> None:
    log = [*steady(0, 6), picture(66, 1), picture(66.04, 2)]
    assert rows_of(log[:-1]).keys() == set()
    assert rows_of(log).keys() == {0, 5}


def test_a_picture_that_waits_is_confirmed_by_the_next_one_that_is_later_however_much() -> None:
    """A camera that only sends when something passes."""
    log = [picture(second, second) for second in (0, 30, 75, 200)]
    assert rows_of(log[:2]).keys() == set()
    assert rows_of(log[:3]).keys() == {0}
    assert rows_of(log).keys() == {0, 30}


def test_the_same_picture_again_confirms_nothing() -> None:
    jump = picture(66, 1)
    log = [*steady(0, 6), jump, jump, replace(jump, form="frame"), replace(jump, frame_id=9)]
    assert rows_of(log).keys() == set()


def test_a_picture_on_the_way_takes_the_place_of_one_that_waits() -> None:
    """Two wrong clocks in turn, each in its own way, confirm nothing."""
    log = [*steady(0, 6), picture(60, 1), picture(45, 2), picture(30, 3), picture(6.5, 4), picture(60.5, 5)]
    assert rows_of(log).keys() == set()
    assert rows_of([*log, picture(61, 6)]).keys() == {0, 5, 30, 45}


def test_stragglers_from_before_a_jump_do_not_hold_it_up() -> None:
    log = [*steady(0, 6), picture(66, 1), picture(5.2, 2), picture(4.8, 3), picture(66.04, 4)]
    rows = rows_of(log)
    assert rows.keys() == {0, 5}
    assert rows[0].detections == 11


def test_a_clock_that_goes_on_where_it_was_makes_what_waited_wait_no_more() -> None:
    log = [*steady(0, 6), picture(66, 1), picture(6.5, 2), picture(66.04, 3), *steady(7, 13)]
    assert rows_of(log).keys() == {0, 5}
    assert rows_of([*log, picture(13.5, 4)])[5].detections == 9


def test_the_first_picture_of_a_camera_waits_too() -> None:
    log = [picture(59, 1, at=0), *steady(0, 20)]
    rows = rows_of(log)
    assert rows.keys() == {0, 5, 10}
    assert [rows[second].detections for second in (0, 5, 10)] == [10, 10, 10]


def test_a_lone_picture_of_a_camera_is_closed_by_silence() -> None:
    rows = rows_of([Tick(T0_MS), picture(1, 1), *silence(T0_MS + 1000, 10)])
    assert rows.keys() == {0}


def test_a_lone_picture_after_a_gap_is_closed_by_silence_as_soon_as_the_camera_may_have_got_there() -> None:
    live = [*ticks(0, 2), picture(1, 1), picture(1.5, 2), *ticks(2, 32), picture(31, 3)]
    rows = rows_of([*live, *ticks(32, 42)])
    assert rows.keys() == {0, 30}
    # the same within a backlog: no time has passed that it could have come by
    at_once = [*ticks(0, 2), picture(1, 1), picture(1.5, 2), picture(31, 3, at=1.6)]
    assert rows_of([*at_once, *ticks(2, 40)]).keys() == {0}
    assert rows_of([*at_once, *ticks(2, 44)]).keys() == {0, 30}


def test_silence_closes_a_far_picture_of_a_backlog_after_the_guard_at_the_latest() -> None:
    log = [*ticks(0, 2), picture(-7000, 1, at=1), picture(-6999, 2, at=1), picture(-3000, 3, at=1.6)]
    assert len(fresh().apply(records([*log, *ticks(2, 69)])).rows) == 1
    assert len(fresh().apply(records([*log, *ticks(2, 74)])).rows) == 2


def test_an_empty_street_moves_the_time_and_can_confirm() -> None:
    empty = Picture("a", T0_US + 66 * SECOND_US, 1, (), "frame", b"a", T0_MS + 66_000)
    log = [*steady(0, 6), empty]
    assert rows_of(log).keys() == set()
    assert rows_of([*log, replace(empty, time_us=empty.time_us + 40_000, frame_id=2)]).keys() == {0, 5}


@pytest.mark.parametrize("wrong_ms", [3_000_000, -3_000_000])
def test_a_tick_with_a_wrong_time_changes_silence_by_two_seconds_at_most(wrong_ms: int) -> None:
    log = [*ticks(0, 2), picture(1, 1), picture(1.5, 2), Tick(T0_MS + 2000), Tick(T0_MS + wrong_ms)]
    assert rows_of([*log, *ticks(3, 10)]).keys() == set(), "silent for 7.5 s"
    assert rows_of([*log, *ticks(3, 15)]).keys() == {0}, "silent for 12.5 s"


def test_a_record_between_two_ticks_is_as_far_behind_the_first_as_the_broker_says() -> None:
    log = [*ticks(0, 2), picture(1.9, 1), picture(1.95, 2), *ticks(2, 12)]
    assert rows_of(log).keys() == set(), "silent for 9.05 s"
    assert rows_of([*log, Tick(T0_MS + 12_000)]).keys() == {0}
