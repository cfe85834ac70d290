"""Sends what clients of the ingest hand in to Kafka, and tells when it is there.

What comes while the broker is asked goes together with the next question, so that many clients cost no more than a few.
A message that nobody waits for any more, and that was not sent yet, is not sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from typing import TypeAlias

from aiokafka.errors import KafkaError

from trafficapp.engine.kafka import home_partition
from trafficapp.engine.outbox import Outbox
from trafficapp.stores.outage import Outage

logger = logging.getLogger(__name__)

#: Messages of all clients of a worker that may wait for Kafka; further ones are refused at once.
MOST_WAITING = 10_000

#: Messages that are sent at a time.
_AT_ONCE = 1000

_Waiting: TypeAlias = "tuple[bytes, bytes, asyncio.Future[None]]"


class TooManyWaiting(Exception):
    """Kafka does not keep up, or is away."""


class Deliveries:
    """Sends messages into a topic.

    Args:
        outbox: of the worker.
        topic: its name.
    """

    def __init__(self, outbox: Outbox, topic: str) -> None:
        self._outbox, self._topic = outbox, topic
        self._waiting: deque[_Waiting] = deque()
        self._more = asyncio.Event()
        self._outage = Outage("Kafka")

    def send(self, key: bytes, value: bytes) -> asyncio.Future[None]:
        """Hand a message in.

        Returns:
            done when Kafka has acknowledged it; an exception when it was not taken. Cancelled, it is not sent, unless
            that has begun.

        Raises:
            TooManyWaiting: nothing was taken.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise TooManyWaiting
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, value, done))
        self._more.set()
        return done

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            while True:
                await self._more.wait()
                self._more.clear()
                while self._waiting:
                    taken = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
                    await self._send([one for one in taken if not one[2].done()])
        finally:
            for _, _, done in self._waiting:
                done.cancel()

    async def _send(self, messages: list[_Waiting]) -> None:
        try:
            numbers = await self._outbox.partitions_for(self._topic)
            parts = defaultdict[int, list[_Waiting]](list)
            for one in messages:
                parts[numbers[home_partition(one[0], len(numbers))]].append(one)
            await asyncio.gather(*(self._send_part(number, part) for number, part in parts.items()))
            self._outage.over()
        except Exception as error:
            # whatever it is, those who send later are served
            if isinstance(error, KafkaError | OSError):
                self._outage.met(error)
            else:
                logger.exception("messages for %s cannot be sent", self._topic)
            for _, _, done in messages:
                if not done.done():
                    done.set_exception(error)
                    done.exception()  # nobody may be waiting any more
        finally:
            # cancelled: the worker stops, and what became of them is not known
            for _, _, done in messages:
                done.cancel()

    async def _send_part(self, number: int, part: list[_Waiting]) -> None:
        for acknowledged in await self._outbox.send(self._topic, number, ((key, value) for key, value, _ in part)):
            await acknowledged
        for _, _, done in part:
            if not done.done():
                done.set_result(None)
