"""How many taps are usual in a zone: the mean of the same hour of the week over some past weeks.

Hours are those of the city's clocks. An hour without taps counts, too, from the first hour on that lies wholly in the
time that the zone is known. All sums are whole numbers, so they do not depend on the order of windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from fractions import Fraction
from typing import NamedTuple

import msgspec

from models.timestamps import MICROSECONDS_PER_SECOND, from_epoch_us

HOURS_A_WEEK = 168
_HOUR_SECONDS = 3600

#: The epoch was a Thursday; weeks begin on Monday.
_EPOCH_HOUR_OF_WEEK = 72

#: Local hours since the epoch with their taps, the earliest first.
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, int]]).decode


class Usual(NamedTuple):
    """How much is usual: so many taps in so many weeks of an hour."""

    taps: int
    weeks: int


@dataclass(frozen=True, slots=True)
class UsualRules:
    """What is learned, and from when on more is a surge.

    Attributes:
        zone: of the clocks.
        windows_an_hour: how many windows an hour has.
        weeks: how many past weeks count.
        least_weeks: what is usual is known once so many were seen.
        surge_taps: no more taps in a window than these are ever a surge.
        factor: once it is known, nor is what is not more than so many times the usual.
    """

    zone: tzinfo
    windows_an_hour: int
    weeks: int
    least_weeks: int
    surge_taps: int
    factor: Fraction

    def hour_of(self, time_us: int) -> int:
        """The local hour of a moment, counted from the epoch of the clocks of the zone."""
        offset = self.zone.utcoffset(from_epoch_us(time_us).astimezone(self.zone))
        seconds = time_us // MICROSECONDS_PER_SECOND + (0 if offset is None else round(offset.total_seconds()))
        return seconds // _HOUR_SECONDS

    def learn(self, hours: dict[int, bytes], hour: int, taps: int) -> int:
        """Take in the taps of a final window of an hour; returns the hour of the week, whose row changed."""
        place = hour_of_week(hour)
        found = _decode(hours[place]) if place in hours else []
        kept = {known: count for known, count in found if known > hour - (self.weeks + 1) * HOURS_A_WEEK}
        kept[hour] = kept.get(hour, 0) + taps
        hours[place] = _encode(sorted(kept.items()))
        return place

    def usual(self, hours: Mapping[int, bytes], first_hour: int | None, hour: int) -> Usual | None:
        """What was learned of an hour before it.

        Args:
            hours: what was learned, by hour of the week.
            first_hour: of the first final window of the zone; None when there is none.
            hour: which one.

        Returns:
            None while too few weeks are known.
        """
        if first_hour is None:
            return None
        weeks = min(self.weeks, (hour - first_hour - 1) // HOURS_A_WEEK)
        if weeks < self.least_weeks:
            return None
        row = hours.get(hour_of_week(hour))
        found = _decode(row) if row is not None else []
        return Usual(sum(taps for known, taps in found if hour - weeks * HOURS_A_WEEK <= known < hour), weeks)

    def limit(self, usual: Usual | None) -> int:
        """More taps in a window than these are a surge."""
        if usual is None:
            return self.surge_taps
        return max(self.surge_taps, int(self.factor * usual.taps / (usual.weeks * self.windows_an_hour)))

    def mean(self, usual: Usual | None) -> float | None:
        """The usual number of taps in a window, to be shown."""
        return None if usual is None else round(usual.taps / (usual.weeks * self.windows_an_hour), 2)


def hour_of_week(hour: int) -> int:
    """0 for Monday's first hour, 167 for Sunday's last."""
    return (hour + _EPOCH_HOUR_OF_WEEK) % HOURS_A_WEEK
