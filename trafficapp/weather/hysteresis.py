"""How an alert rises and ends without flapping: thresholds in pairs, and how long something lasts by event time."""

from __future__ import annotations

from msgspec import Struct


class Course(Struct, omit_defaults=True, array_like=False, gc=False):
    """One kind of alert at one station: how bad it is, and what is about to change that. Level 0 is none.

    Attributes:
        level: that was told last.
        opened_us: when the alert was raised, microseconds since the epoch.
        revision: of its newest step.
        worse_since_us: since when all readings are beyond the level; None when the newest is not.
        worse_least: the least level of these.
        calmer_since_us: since when all readings are below the level; None when the newest is not.
        calmer_most: the highest level of these.
    """

    level: int = 0
    opened_us: int = 0
    revision: int = 0
    worse_since_us: int | None = None
    worse_least: int = 0
    calmer_since_us: int | None = None
    calmer_most: int = 0

    def observe(self, reached: int, kept: int, at_us: int, raise_us: int, calm_us: int) -> bool:
        """Take in a reading, not older than the last one; whether the level changed.

        Args:
            reached: the highest level whose threshold is reached.
            kept: the highest level that holds on if it was reached before; at least ``reached``.
            at_us: when it was observed.
            raise_us: how long all readings must be beyond a level until it rises.
            calm_us: how long all readings must be below a level until it falls.
        """
        level = self.level
        if reached == level == kept and self.worse_since_us is None:
            self.calmer_since_us = None
            return False
        if kept < level:
            if self.calmer_since_us is None:
                self.calmer_since_us, self.calmer_most = at_us, kept
            elif kept > self.calmer_most:
                self.calmer_most = kept
            if at_us - self.calmer_since_us >= calm_us:
                self.level = self.calmer_most
                self.calmer_since_us = None
        else:
            self.calmer_since_us = None
        if reached > level or (self.worse_since_us is not None and kept > level):
            beyond = reached if reached > level else level + 1
            if self.worse_since_us is None:
                self.worse_since_us, self.worse_least = at_us, beyond
            elif beyond < self.worse_least:
                self.worse_least = beyond
            if at_us - self.worse_since_us >= raise_us:
                self.level = self.worse_least
                self.worse_since_us = None
        else:
            self.worse_since_us = None
        return self.level != level

    def begin_anew(self) -> None:
        """Times go on from another one: what lasted for some time begins to last again."""
        self.worse_since_us = self.calmer_since_us = None
