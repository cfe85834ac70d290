"""Where a sink without a memory of its own begins: a while back in the topic."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition


@dataclass(frozen=True, slots=True)
class PartitionSpan:
    """Offsets of a partition: the first committed record of the recent past, and the one after the last of all."""

    recent: int
    end: int


class ReadBack(Protocol):
    """Says where the recent past of partitions begins and ends.

    Raises:
        Exception: the broker does not answer; the caller tries again.
    """

    async def __call__(self, partitions: Collection[int]) -> dict[int, PartitionSpan]:
        """The recent span of each partition."""
        ...


class KafkaReadBack:
    """Asks the broker, with a consumer of no group that lives for one question.

    Args:
        topic: the topic.
        client_options: ``bootstrap_servers`` and security, as `aiokafka.AIOKafkaConsumer` takes them.
        seconds: how far the recent past reaches, by record timestamps.
    """

    def __init__(self, topic: str, client_options: Mapping[str, Any], seconds: float = 3600.0) -> None:
        self.topic = topic
        self.client_options = dict(client_options)
        self.seconds = seconds

    async def __call__(self, partitions: Collection[int]) -> dict[int, PartitionSpan]:
        """The recent span of each partition."""
        asked = {TopicPartition(self.topic, partition): partition for partition in partitions}
        since_ms = int((time.time() - self.seconds) * 1000)
        async with self._consumer("read_uncommitted") as consumer:
            ends = await consumer.end_offsets(list(asked))
        async with self._consumer("read_committed") as consumer:
            # the records of a transaction that is open come later, and before those behind them
            committed = await consumer.end_offsets(list(asked))
            found = await consumer.offsets_for_times(dict.fromkeys(asked, since_ms))
        return {
            partition: PartitionSpan(
                recent=committed[place] if found.get(place) is None else min(found[place].offset, committed[place]),
                end=ends[place],
            )
            for place, partition in asked.items()
        }

    @asynccontextmanager
    async def _consumer(self, isolation_level: str) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, isolation_level=isolation_level, **self.client_options
        )
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()
