"""When roads that a feed has not told of for long are forgotten: a function of the records, like all of the state.

Roads are looked through when the clock reaches a new hour. It is moved by the records' times, and never goes back: when
a producer's clock was ahead and is right again, it goes on from where it is. So no record of a road looks earlier than
one before it. A road that was forgotten is told in the changelog by a tombstone (docs/decisions/0001), and whoever goes
on from rows asks `is_silent` again: whichever row of it a frozen process wrote after the tombstone, it brings no road
back.
"""

from __future__ import annotations

from msgspec import Struct

_HOUR_US = 3_600_000_000

#: Records of another partition may be so far behind. What goes back farther was of a clock that is right again.
_BACK_US = 24 * _HOUR_US


class Looked(Struct, array_like=True):
    """The clock, and when roads were last looked through; part of the partition's row.

    Attributes:
        clock_us: where the clock is, -1 before the first record; of the first record it is its time.
        record_us: the time of a record that it was last moved to.
        hour: of the clock, when roads were last looked through.
    """

    clock_us: int = -1
    record_us: int = -1
    hour: int = -1

    @classmethod
    def of_an_hour(cls, hour: int) -> Looked:
        """As rows tell it that know the hour only."""
        return cls(hour * _HOUR_US, hour * _HOUR_US, hour) if hour >= 0 else cls()


class Silence:
    """Decides which roads are forgotten.

    Args:
        after_us: how long a road is silent before.
        looked: as of the state.

    Attributes:
        looked: to be kept in the state.
    """

    def __init__(self, after_us: int, looked: Looked) -> None:
        self._after_us = after_us
        self.looked = looked

    @property
    def clock_us(self) -> int:
        """Where the clock is: when a road of the last record was seen."""
        return self.looked.clock_us

    def is_due(self, record_us: int) -> bool:
        """Move the clock to a record; whether the roads are to be looked through at it, which they are then."""
        looked = self.looked
        if looked.clock_us < 0:
            looked.clock_us = looked.record_us = record_us
        elif record_us > looked.record_us:
            looked.clock_us += record_us - looked.record_us
            looked.record_us = record_us
        elif record_us < looked.record_us - _BACK_US:
            looked.record_us = record_us
        hour = looked.clock_us // _HOUR_US
        if hour <= looked.hour:
            return False
        looked.hour = hour
        return True

    def is_silent(self, seen_us: int) -> bool:
        """Whether roads were last looked through so long after a road was seen, by the clock, that it is forgotten."""
        return seen_us < self.looked.hour * _HOUR_US - self._after_us
