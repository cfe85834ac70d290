"""Messages that are read once for all sinks of a process that take the same records."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from trafficapp.feeds.declaration import Message
from trafficapp.feeds.decoder import Accepted, FeedDecoder
from trafficapp.settings import Settings

#: Messages that one sink has read and the other has not yet; of one that is behind by more, all are read anew.
MOST_HELD = 8192


class OnceDecoder(FeedDecoder[Message]):
    """A decoder that two sinks share: what one has read of a record, the other is given.

    Whether a message is accepted follows from its record alone, so it makes no difference which of them read it. A
    record is known by its value, which is the same object for both, and is held until the other has asked. Sinks may
    ask from threads of their own: at worst both read the same record.

    Args:
        feed: the declaration.
        settings: those that topics and checks depend on.
        fields: see `FeedDecoder`; those that any of the sinks needs.
    """

    def __init__(self, feed: Any, settings: Settings, *, fields: Collection[str] | None = None) -> None:
        super().__init__(feed, settings, fields=fields)
        self._held: dict[int, tuple[bytes | None, bytes | None, int, Accepted]] = {}

    def check(self, key: bytes | None, value: bytes | None, record_us: int) -> Accepted:
        """Read a record, or take what was read of it; see `FeedDecoder.check`."""
        found = self._held.pop(id(value), None)
        if found is not None and found[0] is value and found[1] == key and found[2] == record_us:
            return found[3]
        accepted = super().check(key, value, record_us)
        if len(self._held) >= MOST_HELD:
            self._held.clear()
        self._held[id(value)] = value, key, record_us, accepted
        return accepted
