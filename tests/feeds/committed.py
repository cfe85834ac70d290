"""What is committed in a topic: seen a moment after who sent it was told so, once the markers are written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from trafficapp.engine.kafka import groupless_consumer
from trafficapp.settings import Settings

#: How long markers are waited for; a transaction whose process has ended stays open until another takes over.
_PATIENCE_SECONDS = 2.0


async def is_committed(settings: Settings, places: Sequence[TopicPartition], seconds: float) -> bool:
    """Wait until no transaction is open; whether that came true in time."""
    deadline = time.monotonic() + seconds
    async with (
        groupless_consumer(settings) as committed,
        groupless_consumer(settings, isolation_level="read_uncommitted") as written,
    ):
        while await committed.end_offsets(places) != await written.end_offsets(places):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
    return True


async def read_committed(
    settings: Settings, topic: str, starts: dict[int, int]
) -> AsyncIterator[tuple[int, list[ConsumerRecord]]]:
    """Read partitions from offsets on to what is committed now.

    Args:
        settings: where Kafka is.
        topic: the topic.
        starts: by partition, the offset to begin at; at the end, the one behind what was read.
    """
    places = [TopicPartition(topic, number) for number in starts]
    async with groupless_consumer(settings, fetch_max_wait_ms=20) as consumer:
        consumer.assign(places)
        for place in places:
            consumer.seek(place, starts[place.partition])
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while await _is_behind(consumer, places) and time.monotonic() < deadline:
            for place, records in (await consumer.getmany(timeout_ms=20)).items():
                deadline = time.monotonic() + _PATIENCE_SECONDS
                yield place.partition, records
        for place in places:
            # behind markers of transactions, too
            starts[place.partition] = await consumer.position(place)


async def _is_behind(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> bool:
    """Whether the log goes on; it is not known before the first answer."""
    for place in places:
        end = consumer.highwater(place)
        if end is None or await consumer.position(place) < end:
            return True
    return False
