"""The local clock of a city for many moments at once."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DAY_SECONDS = 86_400

#: The first day of the epoch was a Thursday; Monday is 0.
_EPOCH_WEEKDAY = 3

#: Offsets from UTC change at whole quarters of an hour everywhere.
_OFFSET_SECONDS = 900


def local_seconds(times: Integers, zone: str) -> Integers:
    """Seconds since the epoch as the city's clocks show them.

    Args:
        times: seconds since the epoch (UTC), any shape.
        zone: the city's time zone by its IANA name.
    """
    city = ZoneInfo(zone)
    quarters, where = np.unique(np.asarray(times, np.int64) // _OFFSET_SECONDS, return_inverse=True)
    offsets = [_offset_seconds(int(quarter) * _OFFSET_SECONDS, city) for quarter in quarters]
    return np.asarray(times, np.int64) + np.array(offsets, np.int64)[where].reshape(np.shape(times))


def _offset_seconds(time: int, city: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(time, UTC).astimezone(city).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def slots(times: Integers, zone: str, step_seconds: int) -> Integers:
    """Which step of the local day each moment falls into, from 0."""
    return local_seconds(times, zone) % DAY_SECONDS // step_seconds


def local_days(times: Integers, zone: str) -> Integers:
    """Which local day each moment falls on, as days since the epoch."""
    return local_seconds(times, zone) // DAY_SECONDS


def weekend(days: Integers) -> Bools:
    """Which local days, as days since the epoch, are Saturdays and Sundays."""
    free: Bools = (np.asarray(days) + _EPOCH_WEEKDAY) % 7 >= 5
    return free


def local_hours(times: Integers, zone: str) -> Integers:
    """The hour of the local day, 0 to 23."""
    return local_seconds(times, zone) % DAY_SECONDS // 3600
