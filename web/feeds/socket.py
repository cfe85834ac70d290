"""The newest documents of a feed for the WebSocket clients of a worker.

One subscription to Redis serves all of them, and stands only while somebody wants to be told: to hear all documents of
a city in every worker costs more than all else that is done with them. After an interruption between worker and Redis
the newest document of each key is read again, and told where it is another one than was told before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET
from redis.asyncio import Redis

from models.cameras.detections import Rejected
from models.records import MALFORMED
from trafficapp.feeds.declaration import Current, Feed
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import Settings
from trafficapp.stores.feeds.current import CurrentDocuments, told_documents
from web.sockets.channel import HeardChannel
from web.sockets.clients import SocketClient
from web.sockets.subscription import Tasks

logger = logging.getLogger(__name__)

#: A client that comes back soon need not wait until everything is read.
_LINGER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Told:
    """A document, numbered as this worker heard of it; ``heard`` is of the monotonic clock."""

    number: int
    time_us: int
    document: bytes
    heard: float
    is_withheld: bool


class DocumentFeed(HeardChannel):
    """Hears of a feed's documents and tells the clients.

    Args:
        feed: with the newest document of each key as what is current.
        current: it, with a channel.
        channel: that.
        settings: of the process.
        connect: makes the client for the subscription; it is closed here.
    """

    def __init__(
        self, feed: Feed[Any], current: Current, channel: str, settings: Settings, connect: Callable[[], Redis]
    ) -> None:
        super().__init__(connect, channel)
        self._wanting = 0
        self._hearing: Tasks | None = None
        self._resting: asyncio.Task[None] | None = None
        self._rest_later: asyncio.TimerHandle | None = None
        self._feed, self._seconds = feed, current.seconds
        self._decoder = FeedDecoder(feed, settings)
        #: Called with each document that is told, besides the clients.
        self.on_told: list[Callable[[bytes], None]] = []
        #: By natural key, in the order in which they were heard. What Redis cannot have any more is forgotten: else a
        #: producer whose clock was set back would not be told until it catches up.
        self._newest: OrderedDict[str, _Told] = OrderedDict()

    def start(self) -> None:
        """Be ready to tell; Redis is heard once somebody wants to be told."""
        self._tasks.start(self._broadcaster.run())

    async def stop(self) -> None:
        """Stop listening."""
        if self._rest_later is not None:
            self._rest_later.cancel()
        await asyncio.gather(self._tasks.stop(), *([self._hearing.stop()] if self._hearing is not None else []))
        if self._resting is not None:
            await asyncio.gather(self._resting, return_exceptions=True)

    def want(self) -> None:
        """Somebody wants to be told, until `unwant`."""
        self._wanting += 1
        if self._rest_later is not None:
            self._rest_later.cancel()
            self._rest_later = None
        if self._hearing is None:
            self._hearing = Tasks()
            self._hearing.start(self._hear_after(self._resting))

    def unwant(self) -> None:
        """Somebody does not want to be told any more; the last one is followed by a while of listening for nobody."""
        self._wanting -= 1
        if not self._wanting:
            self._rest_later = asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._rest)

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """For as long as somebody is there who wants to be told."""
        self.want()
        try:
            yield
        finally:
            self.unwant()

    async def _hear_after(self, resting: asyncio.Task[None] | None) -> None:
        """Listen, once the time before has quite ended: only one may say what is known."""
        if resting is not None:
            await asyncio.gather(resting, return_exceptions=True)
            self._loaded.clear()
            self._newest.clear()
        await self._subscription.run()

    def _rest(self) -> None:
        self._rest_later, hearing, self._hearing = None, self._hearing, None
        if hearing is not None:
            self._loaded.clear()
            self._newest.clear()
            self._resting = asyncio.create_task(hearing.stop())

    async def join(self, client: SocketClient, *, snapshot: bool) -> None:
        """Tell a client what is current, if it wants that, and from then on each document."""
        await self._loaded.wait()
        told = 0 if snapshot else self._number
        while told < self._number:
            self._forget(time.monotonic() - self._seconds)
            until = self._number
            for one in [one for one in self._newest.values() if one.number > told and not one.is_withheld]:
                await client.put(one.document)
            told = until
        # no waiting since nothing newer was found
        self._clients.add(client)

    async def catch_up(self, client: Redis) -> None:
        """Take over the newest document of each key; clients are told those that the channel did not bring."""
        current = CurrentDocuments(client, self._feed)
        for document in await current.documents(await current.keys()):
            self._take(document)

    def take(self, message: bytes) -> None:
        """Tell documents on."""
        try:
            documents = told_documents(message)
        except MALFORMED as error:
            logger.warning("what is told of %s cannot be read: %s", self._feed.name, error)
            return
        for document in documents:
            self._take(document)

    def _take(self, message: bytes) -> None:
        """Tell a document on, unless a newer one of its key was told, or people are not to be told of it."""
        try:
            read = self._decoder.read(message)
        except Rejected as error:
            logger.warning("what is told of %s cannot be read: %s", self._feed.name, error)
            return
        now = time.monotonic()
        self._forget(now - self._seconds)
        known = self._newest.get(read.key)
        if known is not None and (known.time_us > read.time_us or known.document == message):
            return
        is_withheld = bool(getattr(read.message, "withheld", UNSET))
        self._number += 1
        self._newest[read.key] = _Told(self._number, read.time_us, message, now, is_withheld)
        self._newest.move_to_end(read.key)
        if is_withheld:
            return
        self._broadcaster.send(message, self._clients)
        for hear in self.on_told:
            hear(message)

    def _forget(self, before: float) -> None:
        """Forget what was heard earlier."""
        while self._newest and next(iter(self._newest.values())).heard <= before:
            self._newest.popitem(last=False)
