"""The newest documents of a feed for the WebSocket clients of a worker.

One subscription to Redis serves all of them. After an interruption between worker and Redis the newest document of each
key is read again, and told where it is another one than was told before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from models.cameras.detections import Rejected
from trafficapp.feeds.declaration import Current, Feed
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import Settings
from trafficapp.stores.feeds.current import CurrentDocuments
from web.sockets.broadcast import Broadcaster
from web.sockets.clients import SocketClient
from web.sockets.subscription import Heard, Subscription, Tasks

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Told:
    """A document, numbered as this worker heard of it; ``heard`` is of the monotonic clock."""

    number: int
    time_us: int
    document: bytes
    heard: float


class DocumentFeed:
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
        self._feed, self._seconds = feed, current.seconds
        self._decoder = FeedDecoder(feed, settings)
        #: by natural key
        self._newest: dict[str, _Told] = {}
        self._number = 0
        self._loaded = Heard()
        self._clients: set[SocketClient] = set()
        self._broadcaster = Broadcaster()
        self._subscription = Subscription(connect, channel, self._catch_up, self._receive)
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin to listen."""
        self._tasks.start(self._subscription.run(), self._broadcaster.run())

    async def stop(self) -> None:
        """Stop listening."""
        await self._tasks.stop()

    async def knows_within(self, seconds: float) -> bool:
        """Whether Redis was heard, waiting a little for it."""
        return await self._loaded.within(seconds)

    async def join(self, client: SocketClient, *, snapshot: bool) -> None:
        """Tell a client what is current, if it wants that, and from then on each document."""
        await self._loaded.wait()
        told = 0 if snapshot else self._number
        while told < self._number:
            since, until = time.monotonic() - self._seconds, self._number
            news = [one for one in self._newest.values() if one.number > told and one.heard > since]
            for one in sorted(news, key=lambda one: one.number):
                await client.put(one.document)
            told = until
        # no waiting since nothing newer was found
        self._clients.add(client)

    def leave(self, client: SocketClient) -> None:
        """Remove a client; one that is not there is no fault."""
        self._clients.discard(client)

    async def _catch_up(self, client: Redis) -> None:
        current = CurrentDocuments(client, self._feed)
        for document in await current.documents(await current.keys()):
            self._take(document)
        self._loaded.set()

    async def _receive(self, _: Redis, message: bytes) -> None:
        self._take(message)
        await self._broadcaster.room()

    def _take(self, document: bytes) -> None:
        try:
            read = self._decoder.read(document)
        except Rejected as error:
            logger.warning("what is told of %s cannot be read: %s", self._feed.name, error)
            return
        known = self._newest.get(read.key)
        if known is not None and (known.time_us > read.time_us or known.document == document):
            return
        self._number += 1
        self._newest[read.key] = _Told(self._number, read.time_us, document, time.monotonic())
        self._broadcaster.send(document, self._clients)
