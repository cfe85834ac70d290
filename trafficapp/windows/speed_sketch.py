"""Speeds counted in buckets whose width grows with the speed, so that percentiles of any sum of them are near.

This is DDSketch (Masson, Rim, Lee: DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees,
PVLDB 12(12), 2019) without a limit of buckets: for a relative accuracy α and γ = (1 + α) / (1 − α), bucket i holds
γ^i ≤ x < γ^(i + 1) and answers with 2·γ^(i + 1) / (γ + 1), which is at most α away from all of them, relatively. Counts
of buckets add up to the same in any order: sketches of windows, minutes and hours are sums of one another, and the
sketch of a sum is the sum of the sketches. Buckets need no limit as speeds do not: 606 of them go from
0.01 to 1,000 km/h.

Speeds of a window are kept as they come; their buckets are found all at once when it is final.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, chain

from models.cameras.window_rows import SpeedCounts

#: How far a percentile is from an exact one at most, relatively.
RELATIVE_ACCURACY = 0.01
#: A speed below is no movement: it is 0, exactly.
LEAST_KMH = 0.01
#: The bucket of what stands.
STANDING = 0

#: Of a bucket; the rest is for three decimals of a speed of 1 km/h.
_BUCKET_ACCURACY = 0.0095
GAMMA = (1 + _BUCKET_ACCURACY) / (1 - _BUCKET_ACCURACY)
#: The bucket of a speed from `LEAST_KMH` on is the whole part of ``log(speed_kmh) * BUCKETS_PER_E + FIRST``: 1 for the
#: least.
BUCKETS_PER_E = 1 / math.log(GAMMA)
FIRST = 1 - math.floor(math.log(LEAST_KMH) * BUCKETS_PER_E)

#: Faster than this, some million km/h, all speeds are alike.
_MOST_BUCKETS = 1024

#: The percentiles that engineers ask for: the 85th is what limits are set by, the 15th what hinders others.
PERCENTILES = (0.15, 0.50, 0.85, 0.95)

_DECIMALS = 3
_NO_PERCENTILES = (None,) * len(PERCENTILES)
#: 0.57 · 100 is a little less than 57.
_NEARLY = 1e-9


def speed_of(bucket: int) -> float:
    """What a bucket answers with, km/h."""
    return 0.0 if bucket == STANDING else 2 * math.exp((bucket - FIRST + 1) / BUCKETS_PER_E) / (GAMMA + 1)


def buckets_of(speeds_kmh: Sequence[float]) -> list[int]:
    """The bucket of each speed, ascending.

    Args:
        speeds_kmh: not negative.
    """
    return sorted(map(_bucket_of, speeds_kmh))


def together(buckets: Sequence[list[int]]) -> list[int]:
    """Ascending buckets as one list that ascends."""
    # runs that ascend are merged, not sorted
    return sorted(chain.from_iterable(buckets))


def percentiles_of(buckets: Sequence[int]) -> Sequence[float | None]:
    """As `percentiles` finds them in the counts of these buckets, which ascend."""
    if not buckets:
        return _NO_PERCENTILES
    p15, p50, p85, p95 = _places(len(buckets))
    return _SPEEDS[buckets[p15]], _SPEEDS[buckets[p50]], _SPEEDS[buckets[p85]], _SPEEDS[buckets[p95]]


def counted(buckets: Iterable[int]) -> SpeedCounts:
    """How often each bucket is there."""
    # a `Counter` takes twice as long for the few speeds of a window
    counts: SpeedCounts = {}
    for bucket in buckets:
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def count_speeds(speeds_kmh: Sequence[float]) -> SpeedCounts:
    """The counts of some speeds."""
    return counted(buckets_of(speeds_kmh))


class _KnownBuckets(dict[float, int]):
    """Buckets of speeds that were met: most cameras round, so that most were."""

    def __missing__(self, speed_kmh: float) -> int:
        bucket = STANDING
        if speed_kmh >= LEAST_KMH:
            bucket = min(int(math.log(speed_kmh) * BUCKETS_PER_E + FIRST), _MOST_BUCKETS - 1)
        if len(self) >= _MOST_KNOWN:
            self.clear()
        self[speed_kmh] = bucket
        return bucket


#: How many are remembered: all of two decimals below 600 km/h would fit.
_MOST_KNOWN = 65_536
_bucket_of = _KnownBuckets().__getitem__


@lru_cache(maxsize=4096)
def _places(count: int) -> tuple[int, ...]:
    """Where the percentiles of `PERCENTILES` of so many values in ascending order are."""
    return tuple(int(share * (count - 1) + _NEARLY) for share in PERCENTILES)


def add_counts(total: SpeedCounts, more: Mapping[int, int]) -> None:
    """Add a sketch to another one."""
    for bucket, count in more.items():
        total[bucket] = total.get(bucket, 0) + count


_SPEEDS = [round(speed_of(bucket), _DECIMALS) for bucket in range(_MOST_BUCKETS)]


def percentiles(counts: Mapping[int, int], shares: Sequence[float] = PERCENTILES) -> list[float | None]:
    """Percentiles of the speeds counted, km/h with three decimals; None of nothing.

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
    return [_SPEEDS[buckets[bisect_right(until, int(share * last + _NEARLY))]] for share in shares]
