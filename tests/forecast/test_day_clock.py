"""Whether the day comes at another time than the clock says."""

from __future__ import annotations

import numpy as np
import pytest

from trafficapp.forecast.clock import Floats
from trafficapp.forecast.day_clock import HOUR_SECONDS, HOURS, clock_off
from trafficapp.forecast.profiles import DayProfile

ROADS = 40
#: A Wednesday, midnight in UTC.
MIDNIGHT = 1_772_582_400


def usual() -> DayProfile:
    """Two rush hours, in which each road slows by another share."""
    hour = np.arange(288) / 12
    rush = np.exp(-(((hour - 8) / 1.5) ** 2)) + 0.7 * np.exp(-(((hour - 18) / 2) ** 2))
    return DayProfile((60 - 25 * rush[:, None] * np.linspace(0.3, 1.5, ROADS)).astype(np.float32), "UTC", 300)


def day(off_hours: float = 0, seed: int = 1, begin: int = MIDNIGHT) -> Floats:
    """A day of hours that comes so much later than usual, the newest hour of all wrong."""
    times = begin + HOUR_SECONDS * np.arange(HOURS) + HOUR_SECONDS // 2
    noise = np.random.default_rng(seed).normal(0, 1.5, (HOURS, ROADS))
    speeds = usual().at(times - round(off_hours * HOUR_SECONDS)) + noise
    speeds[-1] = 5
    return speeds.astype(np.float32)


def off(speeds: Floats, begin: int = MIDNIGHT) -> float:
    return clock_off(usual(), speeds, begin + HOUR_SECONDS * (HOURS - 1)) / HOUR_SECONDS


@pytest.mark.parametrize("begins_at", [0, 7, 20])
def test_a_common_day_is_as_the_clock_says(begins_at: int) -> None:
    begin = MIDNIGHT + begins_at * HOUR_SECONDS
    assert off(day(begin=begin), begin) == 0


@pytest.mark.parametrize("hours", [8, -5, 1.5])
def test_a_day_that_comes_later_is_found(hours: float) -> None:
    assert off(day(hours)) == -hours


def test_some_hours_or_some_roads_say_nothing() -> None:
    few, seldom = day(8), day(8)
    few[:-12] = np.nan
    seldom[:, : ROADS // 2 + 1] = np.nan
    assert off(few) == off(seldom) == 0
    gaps = day(8)
    gaps[::5] = np.nan
    assert off(gaps) == -8


def test_a_day_that_is_like_no_time_is_taken_as_it_is() -> None:
    speeds = day()
    speeds[:, ::2] = usual().speeds_kmh.mean(0)[::2] - 20
    assert off(speeds) == 0
