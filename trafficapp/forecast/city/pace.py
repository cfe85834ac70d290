"""When all roads are predicted again: once a batch of the feed has settled, and now and then without one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """Says when a round is due; all times are seconds of one monotonic clock.

    A feed whose roads come one by one settles after each of them: rounds then keep their distance. After a quiet time a
    round is made as soon as the batch has settled.

    Attributes:
        settle_seconds: a batch is complete when nothing came for this long.
        at_most_seconds: longest that it is waited for.
        apart_seconds: from the end of a round to the next one, at least.
        refresh_seconds: without anything new, a round is made this often.
        owed_since: when the first thing came that no round covers; None when there is none.
        newest: when the newest one came.
        made: when the last round was made; None before the first.
    """

    settle_seconds: float
    at_most_seconds: float
    apart_seconds: float
    refresh_seconds: float
    owed_since: float | None
    newest: float
    made: float | None = None

    @classmethod
    def after_take_over(
        cls,
        now: float,
        *,
        settle_seconds: float,
        at_most_seconds: float,
        apart_seconds: float,
        refresh_seconds: float,
    ) -> Pace:
        """Nobody knows whether the owner before made the last round, so one is owed."""
        return cls(settle_seconds, at_most_seconds, apart_seconds, refresh_seconds, now, now)

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
        made = float("-inf") if self.made is None else self.made
        if self.owed_since is None:
            return made + self.refresh_seconds
        settled = min(self.newest + self.settle_seconds, self.owed_since + self.at_most_seconds)
        return max(settled, made + self.apart_seconds)
