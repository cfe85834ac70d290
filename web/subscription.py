"""One subscription of a worker to a Redis channel, taken up again after every outage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from redis.asyncio import Redis

from trafficapp.stores.outage import Outage
from trafficapp.stores.redis import UNAVAILABLE

logger = logging.getLogger(__name__)


class Subscription:
    """Hears a channel.

    Args:
        connect: makes the client, one that does not connect again by itself; it is closed here.
        channel: its name.
        begin: called when the subscription stands; what is published from then on is heard afterwards, so
            whatever was missed before can be read now.
        receive: called with each message.
    """

    def __init__(
        self,
        connect: Callable[[], Redis],
        channel: str,
        begin: Callable[[Redis], Awaitable[None]],
        receive: Callable[[Redis, bytes], Awaitable[None]],
    ) -> None:
        self._connect = connect
        self._channel = channel
        self._begin = begin
        self._receive = receive
        self._outage = Outage(f"Redis (channel {channel})")

    async def run(self) -> None:
        """Hear the channel until cancelled."""
        while True:
            client = self._connect()
            try:
                async with client.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(self._channel)
                    await self._begin(client)
                    self._outage.over()
                    while True:
                        message = await subscription.get_message(timeout=10.0)
                        if message is not None:
                            await self._receive(client, message["data"])
            except UNAVAILABLE as error:
                self._outage.met(error)
            except Exception:
                logger.exception("hearing %s failed; starting again", self._channel)
            finally:
                await client.aclose()
            await self._outage.pause()


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
