"""On how many of the last days a road was slow at this time of the day: what recurs is no incident.

A day is a mask of half hours, UTC; a road that was never slow has none. It is kept with the road and follows from its
own observations alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.timestamps import MICROSECONDS_PER_SECOND

#: So many days are remembered: a week, so that each day of the week counts once.
DAYS = 7
_HALF_HOUR_US = 1800 * MICROSECONDS_PER_SECOND
_A_DAY = 48


def with_slow(days: Mapping[int, int], at_us: int) -> dict[int, int]:
    """Days of a road that is slow at a time.

    Args:
        days: by number of the day since the epoch, a mask of its half hours.
        at_us: microseconds since the epoch.

    Returns:
        as many; those that are too old, or later than can be remembered, are left out.
    """
    day, half_hour = divmod(at_us // _HALF_HOUR_US, _A_DAY)
    kept = {number: mask for number, mask in days.items() if abs(day - number) <= DAYS}
    kept[day] = kept.get(day, 0) | 1 << half_hour
    return kept


def days_slow(days: Mapping[int, int], at_us: int) -> int:
    """On how many of the `DAYS` before it was slow at this time of the day, half an hour earlier or later; 0 to 7."""
    now = at_us // _HALF_HOUR_US
    return sum(
        any(_was_slow(days, now - before * _A_DAY + shift) for shift in (-1, 0, 1)) for before in range(1, DAYS + 1)
    )


def _was_slow(days: Mapping[int, int], half_hours: int) -> bool:
    day, half_hour = divmod(half_hours, _A_DAY)
    return bool(days.get(day, 0) >> half_hour & 1)
