"""Where a sink begins when Redis knows no offset of it: a while back in the topic."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from trafficapp.engine.kafka import end_offsets, offsets_at_time


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
    """Asks the broker.

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
        ends = await end_offsets(self.client_options, self.topic, partitions)
        recent = await offsets_at_time(self.client_options, self.topic, partitions, time.time() - self.seconds)
        return {partition: PartitionSpan(recent[partition], ends[partition]) for partition in partitions}
