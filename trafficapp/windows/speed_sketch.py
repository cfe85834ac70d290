"""Speeds counted in buckets whose width grows with the speed, so that percentiles of any sum of them are near.

This is DDSketch (Masson, Rim, Lee: DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees,
PVLDB 12(12), 2019) without a limit of buckets: for a relative accuracy α and γ = (1 + α) / (1 − α), bucket i holds
γ^i ≤ x < γ^(i + 1) and answers with 2·γ^(i + 1) / (γ + 1), which is at most α away from all of them, relatively. Counts
of buckets add up to the same in any order: sketches of windows, minutes and hours are sums of one another, and the
sketch of a sum is the sum of the sketches. Buckets need no limit as speeds do not: 576 of them go from
0.01 to 1,000 km/h.

A counter is a dict of ints, written out where speeds are counted (`trafficapp.windows.windower`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

#: How far a percentile is from an exact one at most, relatively.
RELATIVE_ACCURACY = 0.01
#: A speed below is no movement: it is 0, exactly.
LEAST_KMH = 0.01
#: The bucket of what stands.
STANDING = 0

GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
#: The bucket of a speed from `LEAST_KMH` on is ``int(log(speed_kmh) * BUCKETS_PER_E + FIRST)``: 1 for the least.
BUCKETS_PER_E = 1 / math.log(GAMMA)
FIRST = 1 - math.floor(math.log(LEAST_KMH) * BUCKETS_PER_E)

#: What a lane holds of a bucket more in a state row, at most: two integers of MessagePack.
BUCKET_BYTES = 3 + 5

#: The percentiles that engineers ask for: the 85th is what limits are set by, the 15th what hinders others.
PERCENTILES = (0.15, 0.50, 0.85, 0.95)

#: How often each bucket was hit.
SpeedCounts: TypeAlias = dict[int, int]

_DECIMALS = 2
#: 0.57 · 100 is a little less than 57.
_NEARLY = 1e-9


def bucket_of(speed_kmh: float) -> int:
    """The bucket of a speed, which is not negative."""
    return int(math.log(speed_kmh) * BUCKETS_PER_E + FIRST) if speed_kmh >= LEAST_KMH else STANDING


def speed_of(bucket: int) -> float:
    """What a bucket answers with, km/h."""
    return 0.0 if bucket == STANDING else 2 * math.exp((bucket - FIRST + 1) / BUCKETS_PER_E) / (GAMMA + 1)


def count_speeds(speeds_kmh: Iterable[float]) -> SpeedCounts:
    """The sketch of some speeds."""
    counts: SpeedCounts = {}
    for speed_kmh in speeds_kmh:
        bucket = bucket_of(speed_kmh)
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def add_counts(total: SpeedCounts, more: Mapping[int, int]) -> None:
    """Add a sketch to another one."""
    for bucket, count in more.items():
        total[bucket] = total.get(bucket, 0) + count


def percentiles(counts: Mapping[int, int], shares: Sequence[float] = PERCENTILES) -> list[float | None]:
    """Percentiles of the speeds counted, km/h with two decimals; None of nothing.

    The percentile of a share q of n speeds is the one at place ⌊q·(n − 1)⌋ of them in ascending order, counted from 0
    (the lower quantile, ``numpy.quantile(..., method="lower")``).

    Args:
        counts: a sketch.
        shares: 0..1.
    """
    buckets = sorted(counts)
    until = list(accumulate([counts[bucket] for bucket in buckets]))
    if not until or not until[-1]:
        return [None] * len(shares)
    last = until[-1] - 1
    return [round(speed_of(buckets[bisect_right(until, int(share * last + _NEARLY))]), _DECIMALS) for share in shares]
