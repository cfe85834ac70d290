"""What the sinks of feeds into Redis share: which messages they take, and who is told of the others."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic

from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from trafficapp.feeds.declaration import Feed, NewestLog
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import Settings
from trafficapp.stores.redis.piecewise import Change, PiecewiseSink
from trafficapp.stores.redis.read_back import ReadBack
from trafficapp.stores.redis.sink import Memory

logger = logging.getLogger(__name__)


def withhold_nothing(message: Any) -> None:
    """People are told of every message."""


class FeedRedisSink(PiecewiseSink[Memory, Change], Generic[Memory, Change]):
    """Applies runs of a feed's messages to Redis.

    Args:
        feed: the declaration.
        settings: of the process.
        client: from `trafficapp.stores.redis.connection.connect`.
        read_back: where to begin when Redis knows no offset.
        on_rows: told how many records took effect.
        on_dropped: told the reason of each message that is left out and that nobody refused before.

    Attributes:
        withheld: gives a message that is kept but that people are not told of, marked with why; None tells it.
    """

    #: Lua, and how many changes it is given at a time; see `PiecewiseSink`.
    script: str
    per_call: int

    #: Runs that wait are put by one call.
    takes_runs_together = True
    withheld: Callable[[Any], Any] = staticmethod(withhold_nothing)

    def __init__(
        self,
        feed: Feed[Any],
        settings: Settings,
        client: Redis,
        read_back: ReadBack,
        on_rows: Callable[[int], None] | None = None,
        on_dropped: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._feed, self._decoder, self._on_dropped = feed, FeedDecoder(feed, settings), on_dropped
        topic, (shared_key, *shared_args) = feed.kept_topic_in(settings), self.shared()
        super().__init__(client, topic, read_back, on_rows, self.script, shared_key, shared_args, self.per_call)

    def read_by(self, decoder: FeedDecoder[Any]) -> None:
        """Read messages by a decoder that another sink asks, too, and that decides alike."""
        self._decoder = decoder

    def needed(self) -> Collection[str] | None:
        """The fields of a message of ours that are looked at beside its key and time; None where it is kept marked."""
        if self.withheld is not withhold_nothing:
            return None
        current = self._feed.current
        told = current.id if isinstance(current, NewestLog) else None if current is None else current.sent
        return {told} if told else set()

    @abstractmethod
    def shared(self) -> Sequence[Any]:
        """The key that all changes share, then the arguments.

        Raises:
            TypeError: the feed keeps something else.
        """

    def leave_out(self, record: ConsumerRecord, reason: str, why: object) -> None:
        """Tell of a record of ours; what others send is refused elsewhere, with a letter."""
        if self._feed.is_ours:
            place = (self.topic, record.offset, self._feed.name)
            logger.error("%s at offset %d is none of %s and was left out: %s", *place, why)
            self._on_dropped(reason)
