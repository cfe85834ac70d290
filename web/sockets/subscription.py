"""One subscription of a worker to a Redis channel, taken up again after every outage."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError

from trafficapp.stores.outage import Outage
from trafficapp.stores.redis.connection import UNAVAILABLE

#: After this long without a word Redis is asked whether it is there, and so long it may take to answer.
PROBE_SECONDS = 2.0

logger = logging.getLogger(__name__)

#: Takes a message of a channel.
Receive: TypeAlias = Callable[[Redis, bytes], Awaitable[None]]


class Subscription:
    """Hears a channel, and others beside it.

    Args:
        connect: makes the client, one that does not connect again by itself; it is closed here.
        channel: its name.
        begin: called when the subscription stands; what is published from then on is heard afterwards, so
            whatever was missed before can be read now.
        receive: called with each message.
        others: what is called with each message of further channels; all come in the order in which they were sent.
    """

    def __init__(
        self,
        connect: Callable[[], Redis],
        channel: str,
        begin: Callable[[Redis], Awaitable[None]],
        receive: Receive,
        others: Mapping[str, Receive] | None = None,
    ) -> None:
        self._connect = connect
        self._channel = channel
        self._begin = begin
        self._receivers = {name.encode(): of for name, of in {channel: receive, **(others or {})}.items()}
        self._outage = Outage(f"Redis (channel {channel})")
        #: When Redis was last heard, in epoch seconds; None, never.
        self.heard_at: float | None = None

    async def run(self) -> None:
        """Hear the channel until cancelled."""
        while True:
            client = self._connect()
            try:
                async with client.pubsub() as subscription:
                    await subscription.subscribe(*self._receivers)
                    await self._begin(client)
                    self._outage.over()
                    self.heard_at = time.time()
                    await self._hear(client, subscription)
            except UNAVAILABLE as error:
                self._outage.met(error)
            except Exception:
                logger.exception("hearing %s failed; starting again", self._channel)
            finally:
                await client.aclose()
            await self._outage.pause()

    async def _hear(self, client: Redis, subscription: PubSub) -> None:
        asked = False
        while True:
            message = await subscription.get_message(timeout=PROBE_SECONDS)
            if message is None:
                if asked:
                    # a connection that was cut without a word, or a server that hangs
                    raise RedisConnectionError(f"no answer within {PROBE_SECONDS:g} s")
                await subscription.ping()
                asked = True
                continue
            asked = False
            self.heard_at = time.time()
            if message["type"] == "message":
                await self._receivers[message["channel"]](client, message["data"])


class Heard(asyncio.Event):
    """Set when the first word of Redis has come."""

    async def within(self, seconds: float) -> bool:
        """Whether it has, waiting a little for it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wait()
        return self.is_set()


class Tasks:
    """Tasks that begin and end together."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, *coroutines: Coroutine[Any, Any, None]) -> None:
        """Begin."""
        self._tasks = {asyncio.create_task(coroutine) for coroutine in coroutines}

    async def stop(self) -> None:
        """End all."""
        tasks, self._tasks = self._tasks, set()
        while tasks:
            # Up to Python 3.11 `asyncio.wait_for`, which the client uses, may swallow a cancellation.
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=0.2)
