"""Alerts neither flap nor come in floods."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trafficapp.weather.hysteresis import Course

MINUTE = 60_000_000
CALM = 30 * MINUTE


def levels(readings: list[tuple[int, int, int]], raise_us: int = 0, calm_us: int = CALM) -> list[int]:
    """The level after each reading: minute, level reached, level kept."""
    course, found = Course(), []
    for minute, reached, kept in readings:
        course.observe(reached, kept, minute * MINUTE, raise_us, calm_us)
        found.append(course.level)
    return found


def test_it_rises_at_once_and_falls_when_all_was_calm_for_long() -> None:
    readings = [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 0, 0), (20, 0, 0), (32, 0, 0), (33, 0, 0)]
    assert levels(readings) == [0, 1, 2, 2, 2, 2, 0]


def test_a_value_between_the_thresholds_keeps_what_is_and_raises_nothing() -> None:
    assert levels([(0, 0, 1), (1, 1, 1), (40, 0, 1), (100, 0, 1)]) == [0, 1, 1, 1]


def test_one_bad_reading_begins_the_calm_anew() -> None:
    assert levels([(0, 1, 1), (1, 0, 0), (29, 0, 1), (32, 0, 0), (61, 0, 0), (62, 0, 0)]) == [1, 1, 1, 1, 1, 0]


def test_it_falls_to_the_worst_of_the_calm_time() -> None:
    assert levels([(0, 3, 3), (1, 0, 0), (10, 2, 2), (31, 1, 1)]) == [3, 3, 3, 2]


def test_with_a_time_to_raise_it_rises_to_the_least_of_all_that_time() -> None:
    readings = [(0, 3, 3), (4, 2, 3), (5, 3, 3), (6, 0, 0), (7, 1, 1), (12, 1, 1)]
    assert levels(readings, raise_us=5 * MINUTE) == [0, 0, 2, 2, 2, 2]


def test_a_gust_alone_raises_nothing_when_it_has_to_last() -> None:
    assert levels([(0, 1, 1), (1, 0, 0), (6, 1, 1), (7, 0, 0)], raise_us=5 * MINUTE) == [0, 0, 0, 0]


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 3), st.integers(0, 3)), max_size=200),
    st.integers(0, 20),
    st.integers(1, 60),
)
def test_whatever_is_told_an_alert_lasts_and_rests_for_as_long_as_it_has_to(
    steps: list[tuple[int, int, int]], raise_minutes: int, calm_minutes: int
) -> None:
    course, now = Course(), 0
    opened_us = fell_us = None
    for wait, reached, more in steps:
        now += wait * MINUTE // 3
        before = course.level
        changed = course.observe(reached, max(reached, more), now, raise_minutes * MINUTE, calm_minutes * MINUTE)
        assert changed == (course.level != before)
        if course.level > before:
            assert course.level <= 3
            if not before:
                opened_us = now
        elif course.level < before:
            # each step down needs a calm time of its own
            for begun_us in (opened_us, fell_us):
                assert begun_us is None or now - begun_us >= calm_minutes * MINUTE
            fell_us = now
