"""When all roads are predicted again: once a batch of the feed has settled, and now and then without one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """Says when a round is due; all times are seconds of one monotonic clock.

    Attributes:
        settle_seconds: a batch is complete when nothing came for this long.
        at_most_seconds: longest that it is waited for.
        refresh_seconds: without anything new, a round is made this often.
        owed_since: when the first thing came that no round covers; None when there is none.
        newest: when the newest one came.
        made: when the last round was made.
    """

    settle_seconds: float
    at_most_seconds: float
    refresh_seconds: float
    owed_since: float | None
    newest: float
    made: float

    @classmethod
    def after_take_over(cls, now: float, settle_seconds: float, at_most_seconds: float, refresh_seconds: float) -> Pace:
        """Nobody knows whether the owner before made the last round, so one is owed."""
        return cls(settle_seconds, at_most_seconds, refresh_seconds, now, now, now)

    def records_came(self, now: float) -> None:
        """Something came that a round is owed for."""
        self.newest = now
        if self.owed_since is None:
            self.owed_since = now

    def round_made(self, now: float) -> None:
        """A round was made that covers everything that came."""
        self.owed_since = None
        self.made = now

    def due_at(self) -> float:
        """When the next round is due, if nothing more comes."""
        if self.owed_since is None:
            return self.made + self.refresh_seconds
        return min(self.newest + self.settle_seconds, self.owed_since + self.at_most_seconds)
