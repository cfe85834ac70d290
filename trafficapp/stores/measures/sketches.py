"""Sketches of speeds as Postgres keeps them: for each bucket its number in two bytes and how many speeds in four.

Both are big-endian, buckets ascend. Sketches one behind another say what their sum says, so that ``string_agg`` adds
them up.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from models.cameras.window_rows import SpeedCounts
from trafficapp.windows.speed_sketch import counted

#: The last bucket that fits.
_MOST = 2**15 - 1
_MOST_SPEEDS = 2**31 - 1
_ENTRIES = np.dtype([("bucket", ">i2"), ("speeds", ">i4")])


def packed(sketch: SpeedCounts | Sequence[int]) -> bytes:
    """The sketch of a finished window, from its counts or from the buckets of its speeds.

    Raises:
        ValueError: there is no such bucket, or no such count.
    """
    counts = sketch if isinstance(sketch, dict) else counted(sketch)
    buckets = sorted(counts)
    if buckets and not (buckets[0] >= 0 and buckets[-1] <= _MOST and min(counts.values()) >= 0):
        raise ValueError(f"no sketch of speeds has the buckets {buckets[0]} to {buckets[-1]}, or counts below 0")
    try:
        return _packer(len(buckets)).pack(*(value for bucket in buckets for value in (bucket, counts[bucket])))
    except struct.error:
        raise ValueError("no sketch of speeds has so many in one bucket") from None


def merged(sketches: Sequence[bytes]) -> bytes:
    """The sum of some sketches."""
    if len(sketches) <= 1:
        return sketches[0] if sketches else b""
    entries = np.frombuffer(b"".join(sketches), _ENTRIES)
    speeds = np.bincount(entries["bucket"], entries["speeds"])
    buckets = speeds.nonzero()[0]
    sums = np.empty(len(buckets), _ENTRIES)
    sums["bucket"], sums["speeds"] = buckets, np.minimum(speeds[buckets], _MOST_SPEEDS)
    return sums.tobytes()


def counts_of(sketches: bytes) -> SpeedCounts:
    """How many speeds are in each bucket of all of these sketches."""
    entries = np.frombuffer(sketches, _ENTRIES)
    speeds = np.bincount(entries["bucket"], entries["speeds"]).astype(np.int64)
    buckets = speeds.nonzero()[0]
    return dict(zip(buckets.tolist(), speeds[buckets].tolist(), strict=True))


@lru_cache(maxsize=1024)
def _packer(entries: int) -> struct.Struct:
    return struct.Struct(">" + "hi" * entries)
