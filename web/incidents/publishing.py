"""Sends a record and answers only when the broker has it."""

from __future__ import annotations

import asyncio

from aiokafka.errors import KafkaError

from trafficapp.engine.kafka import home_partition
from trafficapp.engine.outbox import Outbox
from web.serving.problems import unavailable

#: How long a caller waits for the broker.
ACKNOWLEDGED_WITHIN_SECONDS = 5.0


async def publish(outbox: Outbox, topic: str, key: bytes, value: bytes) -> None:
    """Send a record.

    Raises:
        ProblemError: 503, the broker has not acknowledged it in time; it may still come.
    """
    try:
        async with asyncio.timeout(ACKNOWLEDGED_WITHIN_SECONDS):
            partitions = await outbox.partitions_for(topic)
            partition = partitions[home_partition(key, len(partitions))]
            await asyncio.gather(*await outbox.send(topic, partition, [(key, value)]))
    except (TimeoutError, KafkaError, OSError):
        raise unavailable("Kafka, which takes reports,") from None
