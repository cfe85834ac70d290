"""Timestamps as the contract reads and writes them.

On the way in: ISO 8601 with any offset, a naive one is UTC, or epoch seconds or milliseconds.
On the way out: RFC 3339 in UTC. Inside: integer microseconds since the epoch, which are exact
and order like time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS_PER_SECOND = 1_000_000

#: From this value on a number is milliseconds: as seconds it would lie beyond the year 5100,
#: as milliseconds it is 1973.
FIRST_MILLISECOND_VALUE = 1e11

_MAX_EPOCH_SECONDS = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second datetime can hold


def epoch_us(timestamp: datetime | float | str) -> int:
    """Convert a timestamp of any accepted form to microseconds since the epoch.

    Raises:
        ValueError: the value is no timestamp, or one that a datetime cannot hold.
    """
    if isinstance(timestamp, str):
        timestamp = datetime.fromisoformat(timestamp.strip())
    if isinstance(timestamp, datetime):
        if timestamp.tzinfo is None:
            timestamp = timestamp.replace(tzinfo=UTC)
        return (timestamp - EPOCH) // timedelta(microseconds=1)
    seconds = timestamp / 1000 if timestamp >= FIRST_MILLISECOND_VALUE else timestamp
    if not 0 <= seconds <= _MAX_EPOCH_SECONDS:
        raise ValueError(f"epoch timestamp {timestamp!r} is out of range")
    return round(seconds * MICROSECONDS_PER_SECOND)


def from_epoch_us(time_us: int) -> datetime:
    """The aware UTC datetime of a number of microseconds since the epoch."""
    return EPOCH + timedelta(microseconds=time_us)


@lru_cache(maxsize=1024)
def rfc3339(time_us: int) -> str:
    """Format microseconds since the epoch as RFC 3339 in UTC, without a needless fraction.

    A time that no calendar date holds, which only a record's own timestamp can be, is told as a number.
    """
    try:
        text = from_epoch_us(time_us).isoformat()
    except OverflowError:
        return f"{time_us} us"
    return text.replace("+00:00", "Z")
