"""Timestamps as the contract reads and writes them.

On the way in: ISO 8601 with any offset, a naive one is UTC, or epoch seconds or milliseconds, also as text. What a
time says beyond microseconds is cut, never rounded, so that no instant moves into the next window.
On the way out: RFC 3339 in UTC. Inside: integer microseconds since the epoch, which are exact
and order like time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_json = msgspec.json.Encoder().encode
MICROSECONDS_PER_SECOND = 1_000_000

#: From this value on a number is milliseconds: as seconds it would lie beyond the year 5100,
#: as milliseconds it is 1973.
FIRST_MILLISECOND_VALUE = 1e11

_DECIMALS_AND_OFFSET = re.compile(r"\.[0-9]+(?:[Zz]|[+-][0-9:.]+)?").fullmatch

#: Epoch seconds or milliseconds as text: so many digits that it is no date without dashes, such as ``20231114``.
_EPOCH_TEXT = re.compile(r"[0-9]{10,13}(?:\.[0-9]+)?").fullmatch
_MOST_EPOCH_CHARACTERS = 24  # decimals beyond microseconds are cut, and Decimal would round far more of them

_MAX_EPOCH_SECONDS = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second datetime can hold


def epoch_us(timestamp: datetime | float | Decimal | str, zone: tzinfo = UTC) -> int:
    """Convert a timestamp of any accepted form to microseconds since the epoch.

    Args:
        timestamp: a text is ISO 8601, or a number in 10 to 13 digits before the decimals; numbers are epoch seconds,
            or milliseconds from `FIRST_MILLISECOND_VALUE` on.
        zone: that a time without an offset is of.

    Raises:
        ValueError: the value is no timestamp, or one that a datetime cannot hold.
    """
    if isinstance(timestamp, str):
        timestamp = timestamp.strip()
        if _is_as_written(timestamp):
            timestamp = datetime.fromisoformat(timestamp)
        elif timestamp[4:5] != "-" and _EPOCH_TEXT(timestamp):
            timestamp = Decimal(timestamp[:_MOST_EPOCH_CHARACTERS])
        else:
            timestamp = _from_iso_8601(timestamp)
    if isinstance(timestamp, datetime):
        if timestamp.tzinfo is None:
            timestamp = timestamp.replace(tzinfo=zone)
        since = timestamp - EPOCH
        return (since.days * 86_400 + since.seconds) * MICROSECONDS_PER_SECOND + since.microseconds
    milliseconds = timestamp >= FIRST_MILLISECOND_VALUE
    if not 0 <= timestamp <= (_MAX_EPOCH_SECONDS * 1000 if milliseconds else _MAX_EPOCH_SECONDS):
        raise ValueError(f"epoch timestamp {timestamp!r} is out of range")
    return _cut(timestamp, 1000 if milliseconds else MICROSECONDS_PER_SECOND)


def from_epoch_us(time_us: int) -> datetime:
    """The aware UTC datetime of a number of microseconds since the epoch."""
    # by place: twice as fast as by name
    return EPOCH + timedelta(0, 0, time_us)


@lru_cache(maxsize=1024)
def rfc3339(time_us: int) -> str:
    """Format microseconds since the epoch as RFC 3339 in UTC, without a needless fraction.

    A time that no calendar date holds, which only a record's own timestamp can be, is told as a number.
    """
    try:
        # without the quotes of JSON: three times as fast as `datetime.isoformat`
        return _json(from_epoch_us(time_us))[1:-1].decode()
    except OverflowError:
        return f"{time_us} us"


def _from_iso_8601(text: str) -> datetime:
    """Read a text; the standard library cuts what is beyond microseconds, and wants T and Z in capitals.

    Whatever follows six decimals it skips (Python 3.11), so that is looked at here.
    """
    decimals = text.find(".")
    if decimals > 0 and not _DECIMALS_AND_OFFSET(text, decimals):
        raise ValueError(f"{text[:64]!r} is not ISO 8601")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text.upper())


def _is_as_written(text: str) -> bool:
    """Whether a text has the form that `rfc3339` gives, as most have: nothing stands behind six decimals then."""
    if not (text[7:8] == "-" and text[10:11] == "T" and text[-1:] == "Z"):
        return False
    return len(text) == 20 or (len(text) == 27 and text[19] == ".")


def _cut(number: float | Decimal, microseconds: int) -> int:
    """Whole microseconds in a number of units, by the digits of its shortest decimal form.

    The float 1700000004.3 is a little less than what was written: the largest count that, as a float, is not
    beyond it is what the digits say.
    """
    if not isinstance(number, float):
        return int(number * microseconds)
    count = round(number * microseconds)
    return count - 1 if count / microseconds > number else count
