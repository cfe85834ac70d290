"""Reads one partition for one sink, beside the consumer that reads it for all of a process."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from aiokafka import TopicPartition

from trafficapp.batching.fetching import in_runs
from trafficapp.batching.runs import Run
from trafficapp.batching.unpacking import DamagedLog
from trafficapp.engine.fatal import Exit, end_process
from trafficapp.engine.kafka import groupless_consumer
from trafficapp.settings import Settings

_FETCH_BYTES = 1 << 20
_FETCH_WAIT_MS = 250
_TURN_MS = 1000


async def runs_from(settings: Settings, topic: str, partition: int, offset: int) -> AsyncGenerator[Run, None]:
    """Read a partition from an offset on, without end, what is committed only.

    Args:
        settings: where Kafka is, and how many records a run has.
        topic: its name.
        partition: its number.
        offset: the first record; where that was deleted, the first that is there.

    Raises:
        KafkaError, OSError: the broker is away.
    """
    tp = TopicPartition(topic, partition)
    async with groupless_consumer(
        settings,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    ) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, offset)
        while True:
            try:
                with in_runs(settings.worker.run_records):
                    fetched = await consumer.getmany(tp, timeout_ms=_TURN_MS)
            except DamagedLog as error:
                # nothing may be read behind it, as what it holds would be lost without a word
                end_process(Exit.LOG_DAMAGED, str(error))
            for run in fetched.get(tp, ()):
                yield run
