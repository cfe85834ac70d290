"""Percentiles of the sketch beside exact ones, and that sketches add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cameras.window_rows import SpeedCounts
from trafficapp.windows.speed_sketch import (
    LEAST_KMH,
    PERCENTILES,
    RELATIVE_ACCURACY,
    add_counts,
    buckets_of,
    count_speeds,
    counted,
    percentiles,
    percentiles_of,
    speed_of,
    together,
)

SPEEDS = st.floats(0, 1000, allow_nan=False)


def test_percentiles_are_one_per_cent_from_exact_ones_at_most() -> None:
    chance = np.random.default_rng(5)
    mixed = np.concatenate([chance.normal(48, 9, 40_000), chance.exponential(6, 20_000), np.zeros(3_000)])
    for speeds in (mixed, chance.uniform(LEAST_KMH, 1, 5_000), chance.lognormal(3, 1.5, 30_000), np.array([12.3])):
        kmh = np.abs(speeds)
        shares = (0.0, *PERCENTILES, 0.5, 0.999, 1.0)
        exact = np.quantile(kmh, shares, method="lower")
        # three decimals are told
        assert percentiles(count_speeds(kmh.tolist()), shares) == pytest.approx(exact, rel=0.01, abs=0.01)


@given(st.floats(LEAST_KMH, 1e6))
def test_a_bucket_is_near_to_what_is_in_it(speed_kmh: float) -> None:
    (bucket,) = count_speeds([speed_kmh])
    assert speed_of(bucket) == pytest.approx(speed_kmh, rel=RELATIVE_ACCURACY + 1e-9)


@given(st.lists(st.lists(SPEEDS, max_size=30), max_size=8))
def test_sums_of_sketches_are_the_sketch_of_all(parts: list[list[float]]) -> None:
    total: SpeedCounts = {}
    for part in parts:
        add_counts(total, count_speeds(part))
    assert total == count_speeds([speed for part in parts for speed in part])
    lanes = [buckets_of(part) for part in parts]
    whole = together(lanes)
    assert [counted(lane) for lane in lanes] == [count_speeds(part) for part in parts]
    assert counted(whole) == total
    for buckets in (*lanes, whole):
        assert list(buckets) == sorted(buckets)
        assert list(percentiles_of(buckets)) == percentiles(counted(buckets))


def test_nothing_has_no_percentiles() -> None:
    assert percentiles({}) == [None] * 4
    assert percentiles(count_speeds([0.0, 0.004])) == [0.0] * 4
