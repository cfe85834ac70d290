"""Which records rounds of predictions have covered, and what the newest round raised.

A round covers every record that was applied. Only then is state written: first what the round raised, then the roads
that say so, then the partition's row, which says that all of it is there. An owner may die between any two of them. Who
goes on begins behind the partition's row, so it applies the records again that the unfinished round had covered, and
makes rounds of its own, at other offsets. What it raises must then be sent before it is written: its rows of what is
raised would lose against those of the owner before, which are of a later offset.
"""

from __future__ import annotations

from collections.abc import Mapping

from trafficapp.engine.state_rows import PARTITION_KEY_PREFIX, offset_of
from trafficapp.forecast.city.untold import Told, untold_in, untold_rows


class Rounds:
    """Where rounds stand in the log. All offsets are -1 before the first record.

    Args:
        rows: state rows to go on from, by key.
        applied: how far the partition's row says that records were applied.
        raised_before: what was raised as that row says it, if it is one from before there were rows for it.

    Attributes:
        applied: offset of the last record applied. It only grows.
        notifications: what the newest round raised, as it is sent, of this process or of the owner before. It is part
            of the state before it is sent, and before any road says that it has raised it; so the next owner sends the
            same again if we did not come to it, and raises nothing a second time.
    """

    def __init__(self, rows: Mapping[bytes, bytes], applied: int, raised_before: list[Told]) -> None:
        raised_at, untold = untold_in(rows, applied)
        self.applied = applied
        self.notifications = untold or raised_before
        #: The newest round covers all records up to here, and at most all that were applied.
        self._covered = applied
        #: The record up to which the round went of the owner before or of ours went that raised something.
        self._raised_at = raised_at
        #: The last record that a row of the owner before speaks of, whether or not its round was finished.
        self._spoken_of = max(
            (offset_of(row) for key, row in rows.items() if not key.startswith(PARTITION_KEY_PREFIX)), default=-1
        )
        self._prepared: list[tuple[bytes, bytes]] | None = None

    @property
    def is_owed(self) -> bool:
        """Whether a record was applied that no round has covered."""
        return self._covered < self.applied

    @property
    def is_catching_up(self) -> bool:
        """Whether the owner before has written rows of what was applied, and may have died while it did."""
        return self.applied <= self._spoken_of

    def take(self, offset: int) -> bool:
        """Apply a record; False when it is applied already."""
        if offset <= self.applied:
            return False
        self.applied = offset
        return True

    def made(self, notifications: list[Told]) -> None:
        """A round covers everything that was applied, and raised these notifications."""
        self._covered = self._raised_at = self.applied
        self.notifications, self._prepared = notifications, None

    def prepare(self) -> None:
        """Make the rows of what is about to be sent. For many this takes a while: not for an event loop."""
        if self._raised_at == self.applied:
            self._prepared = self.rows()

    def rows(self) -> list[tuple[bytes, bytes]]:
        """The rows of what is about to be sent: none when records were applied that its round does not cover."""
        if self._raised_at != self.applied:
            return []
        return untold_rows(self._raised_at, self.notifications) if self._prepared is None else self._prepared
