"""The one ordered producer of a worker: outputs, dead letters, ticks and state rows.

Records of one partition leave in the order in which they were handed in, whole runs at a time: a
batch is built here and sent as one, which costs about a microsecond a record. The producer is
idempotent, so that the client's own retries neither repeat nor reorder.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from models.cameras.detections import TICK_HEADER
from models.control_records import keys_of, signature
from trafficapp.engine.kafka import aiokafka_config
from trafficapp.settings import Settings
from trafficapp.topics import MAX_RECORD_BYTES

#: An outage of the broker shorter than this is waited out.
_REQUEST_TIMEOUT_MS = 1_200_000
_MAX_BATCH_BYTES = 900_000

#: What the broker adds to the only record of a batch, at most: header, lengths, our own headers.
_OVERHEAD_BYTES = 1024

Headers = Sequence[tuple[str, bytes]]


class Outbox:
    """Sends batches of records to Kafka.

    Args:
        settings: where Kafka is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._control_keys = keys_of(settings.kafka.control_keys.get_secret_value())
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Connect; does nothing when connected.

        Raises:
            KafkaError: the broker does not answer.
        """
        async with self._starting:
            if self._producer is not None:
                return
            producer = AIOKafkaProducer(
                **aiokafka_config(self._settings),
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=_MAX_BATCH_BYTES,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer

    async def stop(self) -> None:
        """Send what is left and disconnect."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def send(
        self,
        topic: str,
        partition: int,
        records: Iterable[tuple[bytes | None, bytes | None]],
        headers: Headers = (),
    ) -> list[asyncio.Future[RecordMetadata]]:
        """Hand records to the producer, in order.

        Returns:
            a future for each batch, done when the broker has acknowledged it.

        Raises:
            ValueError: a record is larger than `MAX_RECORD_BYTES`; those before it may have been sent.
            KafkaError: the producer has failed.
        """
        producer = await self._started()
        acknowledgements: list[asyncio.Future[RecordMetadata]] = []
        batch = producer.create_batch()
        now_ms = int(time.time() * 1000)
        record_headers = list(headers)
        is_ours = bool(self._control_keys) and any(name == TICK_HEADER for name, _ in headers)
        for key, value in records:
            if is_ours:
                record_headers = [(TICK_HEADER, signature(self._control_keys, topic, value))]
            if len(value or b"") + len(key or b"") > MAX_RECORD_BYTES - _OVERHEAD_BYTES:
                raise ValueError(f"a record of {len(value or b'')} bytes is too large for {topic}")
            if batch.append(key=key, value=value, timestamp=now_ms, headers=record_headers) is not None:
                continue
            # full; an empty one takes a record of any size
            acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=now_ms, headers=record_headers)
        if batch.record_count():
            acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
        return acknowledgements

    async def partitions_for(self, topic: str) -> list[int]:
        """The partitions of a topic, in order.

        Raises:
            KafkaError: the broker does not answer, or there is no such topic.
        """
        producer = await self._started()
        return sorted(await producer.partitions_for(topic))

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            await self.start()
        assert self._producer is not None  # noqa: S101 - start either connects or raises
        return self._producer
