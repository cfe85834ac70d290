"""The newest refused messages, as Kafka has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from models.dead_letters import DeadLetter, decode_dead_letter
from models.records import MALFORMED, why_unreadable
from trafficapp.engine.kafka import groupless_consumer, partitions_of
from trafficapp.settings import Settings
from trafficapp.topics import DEAD_LETTERS

logger = logging.getLogger(__name__)

#: How long the broker may hold back an answer; partitions are read one after the other.
WAIT_MS = 20
_READ_WITHIN_SECONDS = 30


async def newest_dead_letters(
    settings: Settings,
    count: int,
    is_wanted: Callable[[DeadLetter], bool] = lambda _: True,
    among: int | None = None,
) -> list[DeadLetter]:
    """The newest dead letters, oldest first.

    Args:
        settings: where Kafka is.
        count: letters at most.
        is_wanted: which.
        among: how many of the newest of each partition are looked at; as many as `count` unless given.

    Raises:
        KafkaError, OSError, TimeoutError: the broker does not answer.
    """
    newest: list[tuple[int, DeadLetter]] = []
    async with groupless_consumer(settings, fetch_max_wait_ms=WAIT_MS) as consumer:
        for partition in await partitions_of(settings, DEAD_LETTERS):
            place = TopicPartition(DEAD_LETTERS, partition)
            async for record in last_records(consumer, place, among or count):
                try:
                    letter = decode_dead_letter(record.value or b"")
                except MALFORMED as error:
                    logger.warning("%s-%d: offset %d is no dead letter: %s", *place, record.offset, error)
                    continue
                if is_wanted(letter):
                    newest.append((record.timestamp, letter))
    newest.sort(key=lambda item: item[0])
    return [letter for _, letter in newest[-count:]]


async def last_records(consumer: AIOKafkaConsumer, place: TopicPartition, count: int) -> AsyncIterator[Any]:
    """The last records of a partition that can be read, oldest first."""
    begin, end = (await consumer.beginning_offsets([place]))[place], (await consumer.end_offsets([place]))[place]
    position = max(begin, end - count)
    if position >= end:
        return
    consumer.assign([place])
    consumer.seek(place, position)
    while position < end:
        found = await asyncio.wait_for(consumer.getmany(place, timeout_ms=1000), _READ_WITHIN_SECONDS)
        for records in found.values():
            for record in records:
                if record.offset < end and why_unreadable(record) is None:
                    yield record
        position = await consumer.position(place)
