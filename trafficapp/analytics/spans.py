"""A range of time cut into whole hours and what is left at its ends.

Whole hours are summed already, whole minutes too. What remains is put together from pieces, of which
some are taken away again: of an hour less four minutes, four minutes are read and not fifty-six.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Grain(Enum):
    """What a piece is read from."""

    HOURS = "hours"
    MINUTES = "minutes"
    WINDOWS = "windows"


@dataclass(frozen=True, slots=True)
class Piece:
    """A span to be added (`sign` 1) or taken away (-1)."""

    grain: Grain
    start: datetime
    end: datetime
    sign: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A part ``[start, end)`` of one hour that is not all of it."""

    start: datetime
    end: datetime

    @property
    def hour(self) -> datetime:
        """The hour it lies in."""
        return floor_hour(self.start)

    def pieces(self) -> list[Piece]:
        """What adds up to it; all lies in its hour."""
        hour, next_hour = self.hour, self.hour + HOUR
        if self.end - self.start <= HOUR / 2:
            return _fine(self.start, self.end, 1)
        rest = _fine(hour, self.start, -1) + _fine(self.end, next_hour, -1)
        return [Piece(Grain.HOURS, hour, next_hour, 1), *rest]


@dataclass(frozen=True, slots=True)
class Span:
    """A range ``[start, end)`` as whole hours ``[first_hour, end_hour)``, maybe none, and at most two edges."""

    start: datetime
    end: datetime
    first_hour: datetime
    end_hour: datetime
    edges: tuple[Edge, ...]


def cut(start: datetime, end: datetime) -> Span:
    """Cut a range.

    Args:
        start: aware.
        end: aware, after `start`.

    Raises:
        OverflowError: it ends in the last hour that a datetime can hold.
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    first, last = _ceil_hour(start), floor_hour(end)
    if first > last:
        return Span(start, end, first, first, (Edge(start, end),))
    edges = [Edge(*pair) for pair in ((start, first), (last, end)) if pair[0] < pair[1]]
    return Span(start, end, first, last, tuple(edges))


def floor_hour(time: datetime) -> datetime:
    """The hour a time lies in."""
    return time.replace(minute=0, second=0, microsecond=0)


def _ceil_hour(time: datetime) -> datetime:
    floor = floor_hour(time)
    return floor if floor == time else floor + HOUR


def _fine(start: datetime, end: datetime, sign: int) -> list[Piece]:
    """``[start, end)`` from minutes and, around the ends, windows: from the nearest minute on or back to it."""
    first, last = _nearest_minute(start), _nearest_minute(end)
    pieces = [
        Piece(Grain.MINUTES, first, last, sign),
        Piece(Grain.WINDOWS, start, first, sign),
        Piece(Grain.WINDOWS, first, start, -sign),
        Piece(Grain.WINDOWS, last, end, sign),
        Piece(Grain.WINDOWS, end, last, -sign),
    ]
    return [piece for piece in pieces if piece.start < piece.end]


def _nearest_minute(time: datetime) -> datetime:
    floor = time.replace(second=0, microsecond=0)
    return floor if time - floor < MINUTE / 2 else floor + MINUTE
