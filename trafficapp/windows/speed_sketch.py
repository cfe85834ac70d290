"""Speeds counted in buckets whose width grows with the speed, so that percentiles of any sum of them are near.

This is DDSketch (Masson, Rim, Lee: DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees,
PVLDB 12(12), 2019) without a limit of buckets: for a relative accuracy α and γ = (1 + α) / (1 − α), bucket i holds
γ^i ≤ x < γ^(i + 1) and answers with 2·γ^(i + 1) / (γ + 1), which is at most α away from all of them, relatively. Counts
of buckets add up to the same in any order: sketches of windows, minutes and hours are sums of one another, and the
sketch of a sum is the sum of the sketches. Buckets need no limit as speeds do not: 576 of them go from
0.01 to 1,000 km/h.

Speeds of a window are kept as they come and counted all at once when it is final: a bucket for each detection as it
comes cost half of what counting costs.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: How far a percentile is from an exact one at most, relatively.
RELATIVE_ACCURACY = 0.01
#: A speed below is no movement: it is 0, exactly.
LEAST_KMH = 0.01
#: The bucket of what stands.
STANDING = 0

GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
#: The bucket of a speed from `LEAST_KMH` on is the whole part of ``log(speed_kmh) * BUCKETS_PER_E + FIRST``: 1 for the
#: least.
BUCKETS_PER_E = 1 / math.log(GAMMA)
FIRST = 1 - math.floor(math.log(LEAST_KMH) * BUCKETS_PER_E)

#: Faster than this, 7 million km/h, all speeds are alike.
_MOST_BUCKETS = 1024

#: The percentiles that engineers ask for: the 85th is what limits are set by, the 15th what hinders others.
PERCENTILES = (0.15, 0.50, 0.85, 0.95)

#: How often each bucket was hit.
SpeedCounts: TypeAlias = dict[int, int]

_DECIMALS = 2
#: 0.57 · 100 is a little less than 57.
_NEARLY = 1e-9


def speed_of(bucket: int) -> float:
    """What a bucket answers with, km/h."""
    return 0.0 if bucket == STANDING else 2 * math.exp((bucket - FIRST + 1) / BUCKETS_PER_E) / (GAMMA + 1)


class Sketch(NamedTuple):
    """Speeds counted.

    Attributes:
        counts: by bucket, ascending.
        speeds: how many there are.
        percentiles: those of `PERCENTILES`, km/h; None without any speed.
    """

    counts: SpeedCounts
    speeds: int
    percentiles: Sequence[float | None]


NO_SPEEDS = Sketch({}, 0, (None,) * len(PERCENTILES))


def sketches_of(lanes: Sequence[Sequence[float]]) -> tuple[list[Sketch], Sketch]:
    """The sketches of the speeds of some lanes, and that of all of them together.

    Args:
        lanes: the speeds of each, km/h, not negative.
    """
    lengths = [len(speeds) for speeds in lanes]
    if not any(lengths):
        return [NO_SPEEDS] * len(lanes), NO_SPEEDS
    kmh = np.fromiter(chain.from_iterable(lanes), np.float64, sum(lengths))
    kmh[kmh < LEAST_KMH] = _BELOW
    np.log(kmh, out=kmh)
    kmh *= BUCKETS_PER_E
    kmh += FIRST
    np.minimum(kmh, _MOST_BUCKETS - 1, out=kmh)
    buckets = kmh.astype(np.intp)
    found, begin = [], 0
    for length in lengths:
        found.append(np.bincount(buckets[begin : begin + length], minlength=_MOST_BUCKETS) if length else None)
        begin += length
    counted = [counts for counts in found if counts is not None]
    total = _sketch(counted[0] if len(counted) == 1 else np.sum(counted, axis=0))
    if len(counted) == 1:
        return [NO_SPEEDS if counts is None else total for counts in found], total
    return [NO_SPEEDS if counts is None else _sketch(counts) for counts in found], total


def _sketch(counts: NDArray[np.intp]) -> Sketch:
    buckets = counts.nonzero()[0]
    hits = counts[buckets]
    until = hits.cumsum()
    places = (_SHARES * (until[-1] - 1) + _NEARLY).astype(np.intp)
    speeds = _SPEEDS[buckets[until.searchsorted(places, "right")]].tolist()
    return Sketch(dict(zip(buckets.tolist(), hits.tolist(), strict=True)), int(until[-1]), speeds)


def count_speeds(speeds_kmh: Iterable[float]) -> SpeedCounts:
    """The counts of some speeds."""
    return sketches_of([list(speeds_kmh)])[1].counts


def add_counts(total: SpeedCounts, more: Mapping[int, int]) -> None:
    """Add a sketch to another one."""
    for bucket, count in more.items():
        total[bucket] = total.get(bucket, 0) + count


#: What stands, as a speed of the bucket below the first one.
_BELOW = math.exp(-FIRST / BUCKETS_PER_E) * (1 + 1e-9)
_SHARES = np.array(PERCENTILES)
_SPEEDS = np.array([round(speed_of(bucket), _DECIMALS) for bucket in range(_MOST_BUCKETS)])


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
