"""Hours of a local clock: which one a moment lies in, and how fine sums must be to be sorted into them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

HOUR = timedelta(hours=1)
_LOOKS = 8

#: Sums of one of these lengths, beginning at multiples of it, never straddle a local hour, whatever the zone.
_SLOT_MINUTES = (60, 30, 15, 1)


class UnknownZone(ValueError):
    """There is no time zone of that name."""


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def time_zone(name: str) -> tzinfo:
    """The time zone with an IANA name.

    Raises:
        UnknownZone: there is none.
    """
    if name == "UTC":
        return UTC
    if name not in _names():
        raise UnknownZone(f"there is no time zone {name[:64]!r}; IANA names such as Europe/Rome are known")
    return ZoneInfo(name)


def slot_minutes(zone: tzinfo, start: datetime, end: datetime) -> int:
    """The longest sums that fit into local hours throughout ``[start, end)``: 60, 30, 15 or 1 minutes.

    It follows from the offsets from UTC at every hour of the range: where they are whole hours, so are the
    moments at which clocks are changed.
    """
    if zone is UTC:
        return 60
    hour, found = start.replace(minute=0, second=0, microsecond=0), 0
    while hour < end:
        offset = zone.utcoffset(hour.astimezone(zone)) or timedelta()
        while offset % timedelta(minutes=_SLOT_MINUTES[found]) and _SLOT_MINUTES[found] > 1:
            found += 1
        hour += HOUR
    return _SLOT_MINUTES[found]


def is_between_hours(zone: tzinfo, start: datetime, end: datetime) -> bool:
    """Whether a zone's hours lie between those of UTC in ``[start, end)``, as a few looks tell: for an estimate."""
    looks = [start + (end - start) * part / _LOOKS for part in range(_LOOKS)]
    return any((zone.utcoffset(look.astimezone(zone)) or timedelta()) % HOUR for look in looks)


def local_hour_start(zone: tzinfo, time: datetime) -> datetime:
    """The begin of the local hour that a moment lies in, with the zone's offset at that moment."""
    return time.astimezone(zone).replace(minute=0, second=0, microsecond=0)
