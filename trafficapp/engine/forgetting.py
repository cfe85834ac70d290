"""When what has not been heard of for long is forgotten: a function of the records, like all of the state.

Roads and the alerts of cameras are looked through when the records' time reaches a new hour. What was forgotten is told
in the changelog by a tombstone with the offset that it covers (docs/decisions/0001). Whoever goes on from rows asks
`is_silent` again: a row that a frozen process wrote after the tombstone brings nothing back.
"""

from __future__ import annotations

_HOUR_US = 3_600_000_000

#: Records of another partition may be so far behind. What goes back farther was of a clock that is right again.
_BACK_HOURS = 24


class Forgetting:
    """Decides what is forgotten.

    Args:
        after_us: how long it was silent before.
        hour: as of the state, -1 before the first record.

    Attributes:
        hour: hour since the epoch in which it was last looked what is silent.
    """

    def __init__(self, after_us: int, hour: int = -1) -> None:
        self._after_us = after_us
        self.hour = hour

    def is_due(self, record_us: int) -> bool:
        """Whether it is to be looked what is silent, at a record of this time."""
        hour = record_us // _HOUR_US
        if hour > self.hour:
            self.hour = hour
            return True
        if hour < self.hour - _BACK_HOURS:
            self.hour = hour
        return False

    def is_silent(self, seen_us: int) -> bool:
        """Whether something whose last record is of this time is forgotten."""
        return seen_us < self.hour * _HOUR_US - self._after_us
