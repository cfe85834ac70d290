"""A Redis channel that a worker hears for its WebSocket clients, whoever is told of what."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from redis.asyncio import Redis

from web.sockets.broadcast import Broadcaster
from web.sockets.clients import SocketClient
from web.sockets.subscription import Heard, Subscription, Tasks


class HeardChannel(ABC):
    """One subscription for all clients of a worker.

    Args:
        connect: makes the client for the subscription; it is closed here.
        channel: its name.
    """

    def __init__(self, connect: Callable[[], Redis], channel: str) -> None:
        #: Number of what was heard last.
        self._number = 0
        self._loaded = Heard()
        self._clients: set[SocketClient] = set()
        self._broadcaster = Broadcaster()
        self._subscription = Subscription(connect, channel, self._begin, self._receive)
        self._tasks = Tasks()

    @abstractmethod
    async def catch_up(self, client: Redis) -> None:
        """Take over what the channel did not bring; called whenever the subscription stands."""

    @abstractmethod
    def take(self, message: bytes) -> None:
        """Take what the channel brought."""

    def start(self) -> None:
        """Begin to listen."""
        self._tasks.start(self._subscription.run(), self._broadcaster.run())

    async def stop(self) -> None:
        """Stop listening."""
        await self._tasks.stop()

    async def knows_within(self, seconds: float) -> bool:
        """Whether Redis was heard, waiting a little for it."""
        return await self._loaded.within(seconds)

    def leave(self, client: SocketClient) -> None:
        """Remove a client; one that is not there is no fault."""
        self._clients.discard(client)

    async def _begin(self, client: Redis) -> None:
        await self.catch_up(client)
        self._loaded.set()

    async def _receive(self, _: Redis, message: bytes) -> None:
        self.take(message)
        await self._broadcaster.room()
