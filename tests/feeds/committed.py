"""What is committed in a topic: seen a moment after who sent it was told so, once the markers are written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from trafficapp.engine.kafka import groupless_consumer, partitions_of
from trafficapp.settings import Settings

#: How long a broker may let us wait for records that are there, or for markers of transactions: a crowded machine's
#: takes many seconds. A transaction whose process has ended stays open until another takes over, or for a minute.
_PATIENCE_SECONDS = 90.0


async def existing_partitions(settings: Settings, topic: str) -> list[int]:
    """The partitions of a topic that was made.

    Raises:
        AssertionError: the broker tells none, so that whoever reads them would read nothing.
    """
    numbers = await partitions_of(settings, topic)
    assert numbers, f"the broker tells no partition of {topic}"
    return numbers


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
    settings: Settings, topic: str, starts: dict[int, int], *, transaction_is_open: bool = False
) -> AsyncIterator[tuple[int, list[ConsumerRecord]]]:
    """Read partitions from offsets on to what is committed now.

    Args:
        settings: where Kafka is.
        topic: the topic.
        starts: by partition, the offset to begin at; at the end, the one behind what was read.
        transaction_is_open: one is that nobody ends, as of a process that ended in its middle: only what stands before
            it is read.

    Raises:
        AssertionError: there is no partition to read, as of a topic that the broker does not know yet; or what is
            written is not committed in time.
    """
    assert starts, f"nothing to read of {topic}: no partition is told"
    places = [TopicPartition(topic, number) for number in starts]
    async with groupless_consumer(settings, fetch_max_wait_ms=20) as consumer:
        consumer.assign(places)
        for place in places:
            consumer.seek(place, starts[place.partition])
        ends = await consumer.end_offsets(places) if transaction_is_open else None
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while await _is_behind(consumer, places, ends):
            assert time.monotonic() < deadline, f"{topic} is not read within {_PATIENCE_SECONDS:g} s, or not committed"
            for place, records in (await consumer.getmany(timeout_ms=20)).items():
                deadline = time.monotonic() + _PATIENCE_SECONDS
                yield place.partition, records
        for place in places:
            # behind markers of transactions, too
            starts[place.partition] = await consumer.position(place)


async def _is_behind(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], ends: Mapping[TopicPartition, int] | None
) -> bool:
    """Whether the log goes on, as far as it is asked for; where it ends is not known before the first answer."""
    for place in places:
        end = consumer.highwater(place) if ends is None else ends[place]
        if end is None or await consumer.position(place) < end:
            return True
    return False
