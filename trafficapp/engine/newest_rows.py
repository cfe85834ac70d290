"""The newest row of each key in partitions of a changelog that nobody else writes meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from aiokafka import ConsumerRecord, TopicPartition

from models.records import why_unreadable
from trafficapp.engine.kafka import groupless_consumer
from trafficapp.settings import Settings

logger = logging.getLogger(__name__)

_FETCH_BYTES = 4 << 20


async def newest_rows(settings: Settings, changelog: str, partitions: Collection[int]) -> dict[int, dict[bytes, bytes]]:
    """Read partitions to their ends.

    Args:
        settings: where Kafka is.
        changelog: the topic.
        partitions: their numbers.

    Raises:
        KafkaError, OSError: the broker is away.
    """
    found: dict[int, dict[bytes, bytes]] = {number: {} for number in partitions}
    tps = [TopicPartition(changelog, number) for number in partitions]
    async with groupless_consumer(
        settings, auto_offset_reset="earliest", max_partition_fetch_bytes=_FETCH_BYTES, fetch_max_wait_ms=50
    ) as consumer:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        for tp in tps:
            consumer.seek(tp, 0)
        while [tp for tp in tps if await consumer.position(tp) < ends[tp]]:
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                _take_in(found[tp.partition], records)
    return found


def _take_in(rows: dict[bytes, bytes], records: Sequence[ConsumerRecord]) -> None:
    for record in records:
        if record.key is None or why_unreadable(record) is not None:
            logger.error("%s-%d: offset %d is no row, skipped", record.topic, record.partition, record.offset)
        elif record.value is None:
            rows.pop(record.key, None)
        else:
            rows[record.key] = record.value
