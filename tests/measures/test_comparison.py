"""Before and after, the usual level, and what was filled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from trafficapp.measures.comparison import compare, daily_means
from trafficapp.measures.work_zones import usual_seconds, work_zone_delay

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def test_the_interval_is_welch_s() -> None:
    chance = np.random.default_rng(4)
    before, after = chance.normal(300, 20, 20).tolist(), chance.normal(280, 8, 12).tolist()
    found = compare(before, after)
    right = stats.ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
    assert (found.low_seconds, found.high_seconds) == pytest.approx((right.low, right.high), abs=0.006)
    assert found.is_significant == (right.high < 0)
    assert (found.before.days, found.after.days) == (20, 12)


def test_it_holds_the_truth_as_often_as_it_says() -> None:
    chance = np.random.default_rng(8)
    held = 0
    for _ in range(400):
        found = compare(chance.normal(300, 25, 9).tolist(), chance.normal(310, 9, 6).tolist())
        assert found.low_seconds is not None
        assert found.high_seconds is not None
        held += found.low_seconds <= 10 <= found.high_seconds
    assert 0.92 <= held / 400 <= 0.98


def test_too_few_days_have_no_interval() -> None:
    assert compare([], [1.0]).difference_seconds is None
    one = compare([100.0], [110.0, 112.0])
    assert (one.difference_seconds, one.low_seconds, one.is_significant) == (11.0, None, None)
    same = compare([100.0, 100.0], [100.0, 100.0])
    assert (same.low_seconds, same.high_seconds, same.is_significant) == (0.0, 0.0, False)


def test_a_day_counts_when_half_of_it_was_measured() -> None:
    starts = [MONDAY + timedelta(hours=hour) for hour in range(48)]
    times = np.full(48, 60.0)
    times[24:37] = np.nan
    assert daily_means(times, starts, UTC) == [60.0]
    times[36] = 120.0
    assert daily_means(times, starts, UTC) == [60.0, 65.0]


def test_works_cost_what_is_longer_than_usual() -> None:
    earlier = [MONDAY - timedelta(days=7) + timedelta(minutes=15 * step) for step in range(5 * 96)]
    times = np.array([60.0 if start.hour < 12 else 90.0 for start in earlier])
    times[:96] = np.nan
    asked = [MONDAY + timedelta(hours=hour) for hour in (11, 12, 13)]
    usual = usual_seconds(times, earlier, asked, UTC)
    assert usual.tolist() == [60.0, 90.0, 90.0]
    found = work_zone_delay(np.array([80.0, 85.0, np.nan]), usual, 720.0, 900)
    # twenty seconds in one quarter of an hour, none in the other
    assert (found.compared_steps, found.delay_seconds, found.worst_delay_seconds) == (2, 10.0, 20.0)
    assert found.delay_vehicle_hours == 1.0
    weekend = usual_seconds(times, earlier, [MONDAY + timedelta(days=5)], UTC)
    assert np.isnan(weekend).all()
    assert work_zone_delay(np.array([80.0]), weekend, None, 900).delay_seconds is None
