"""A sink that only sends: what comes of a run and how far it came are one Kafka transaction.

There is no state to write, so no changelog either. What a run leads to is in the log together with the offset behind
it, or nothing of it is: a crash between any two effects leaves no repeat for readers to absorb, and a process that is
frozen while another takes over is shut out by the broker, which knows the producer of each source partition by name.
All who read topics of ours read what is committed only. The broker forgets offsets a week after the last one was
committed (``offsets.retention.minutes``): a topic that keeps records for longer, and is quiet for longer, would be read
again.

The windows and alerts do not work so (docs/decisions/0001): their state must be written anyway, and covers the outputs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord, OffsetAndMetadata, TopicPartition
from aiokafka.errors import IllegalOperation, InvalidProducerEpoch, KafkaError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder
from msgspec import Struct

from models.records import why_unreadable
from trafficapp.engine.kafka import aiokafka_config, home_partition, kept_offsets, read_to_end
from trafficapp.engine.state_rows import UNTOLD, SourceLog
from trafficapp.settings import Settings
from trafficapp.stores.outage import Outage
from trafficapp.topics import MAX_RECORD_BYTES

logger = logging.getLogger(__name__)

#: An outage of the broker shorter than this is waited out; what it ended is done again by the next process.
_REQUEST_TIMEOUT_MS = 1_200_000

#: A producer that is not done with the broker by then is left: what it sent is in no transaction that was ended.
_CLOSE_SECONDS = 10.0

_MAX_BATCH_BYTES = 900_000
_STARTED_AT_ONCE = 8

#: A transaction costs a process three milliseconds of work, and the broker more, however little is in it. So the
#: partitions of a process have no more than these together; what comes meanwhile is one run, with one transaction. The
#: first while half of a core or less is in use, the second when a whole one is.
_TRANSACTIONS_PER_SECOND = (100.0, 30.0)
_MOST_PAUSE_SECONDS = 2.0
_LOOK_SECONDS = 1.0

_NO_HEADERS: list[tuple[str, bytes]] = []

#: How many source partitions this process has, of all sinks.
_sending: set[tuple[str, int]] = set()


class _Pace:
    """How many transactions a second a process may have: the busier it is, the more records share one."""

    def __init__(self) -> None:
        self._looked, self._used = time.monotonic(), time.process_time()
        self.per_second = _TRANSACTIONS_PER_SECOND[0]

    def pause_seconds(self) -> float:
        """How long a partition waits behind a transaction."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            used = time.process_time()
            self.per_second = per_second((used - self._used) / (now - self._looked))
            self._looked, self._used = now, used
        return min(len(_sending) / self.per_second, _MOST_PAUSE_SECONDS)


def per_second(share: float) -> float:
    """How many transactions a second a process may have.

    Args:
        share: of a core that it uses.
    """
    most, least = _TRANSACTIONS_PER_SECOND
    return most + (least - most) * min(max(2 * share - 1, 0), 1)


_pace = _Pace()


class Outgoing(Struct, frozen=True, gc=False):
    """A record to send; without a partition it goes where its key belongs, as every producer of Kafka's own puts it."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    timestamp_ms: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class _Owned:
    """A source partition that is ours, and the one producer that may send for it.

    Attributes:
        shut_out: what the broker said when another took over; such a producer begins no transaction any more.
    """

    producer: AIOKafkaProducer
    next_offset: int
    log_id: str
    shut_out: KafkaError | None = None
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def stop(self) -> None:
        """Stop the producer, after what it is sending: who waits for a producer that was stopped waits for ever.

        That is soon: it comes to its end, or the broker shuts it out for the next owner.
        """
        async with self.sending:
            await self.producer.stop()


class TransactionalSink(ABC):
    """A `trafficapp.engine.sink.RunSink` that sends what comes of its records, each once.

    Args:
        settings: where Kafka is.
        topic: the topic the records are of.
        name: of the consumer group that keeps the offsets, and of the producers; no other sink has it.
    """

    #: Records that cannot be read lead to dead letters.
    takes_unreadable = True
    #: Runs that wait are applied as one.
    takes_runs_together = True

    def __init__(self, settings: Settings, topic: str, name: str) -> None:
        self.topic = topic
        self._settings = settings
        self._name = name
        self._owned: dict[int, _Owned] = {}
        self._outage = Outage("Kafka")
        self._closing: set[asyncio.Task[None]] = set()

    @abstractmethod
    def outcome(self, partition: int, records: Sequence[ConsumerRecord]) -> Iterable[Outgoing]:
        """What comes of a run, in order. Runs in a thread; may be asked again for the same run."""

    @abstractmethod
    def sent(self, partition: int) -> None:
        """What came of the run that was asked for last is in the log."""

    def is_waiting(self) -> bool:
        """Whether the broker does not let us take over."""
        return self._outage.lasting

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Take over partitions: whoever sent for them before is shut out, and what he left open is undone.

        Offsets of another topic of that name say nothing of this one, which is read from its beginning.
        """
        self.release(partitions)
        producers: dict[int, AIOKafkaProducer] = {}
        try:
            found = await self._take_over(partitions, producers)
        except BaseException:
            for producer in producers.values():
                self._until_done(producer.stop())
            raise
        for number, producer in producers.items():
            kept = found.get(TopicPartition(self.topic, number))
            offset = 0 if kept is None or kept.offset < 0 else kept.offset
            if kept is not None and kept.metadata and log.id and kept.metadata != log.id:
                place = (self.topic, number, offset)
                logger.warning("%s-%d was made anew since offset %d: it is read from its beginning", *place)
                offset = 0
            self._owned[number] = _Owned(producer, offset, log.id)
            _sending.add((self._name, number))
        return {number: self._owned[number].next_offset for number in partitions}

    async def _take_over(
        self, partitions: Collection[int], producers: dict[int, AIOKafkaProducer]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Start the producers of partitions, waiting for the broker, and look how far they had come."""
        while True:
            try:
                # first the producers: their start ends open transactions, and only then the offsets stand
                missing = sorted(set(partitions) - set(producers))
                for first in range(0, len(missing), _STARTED_AT_ONCE):
                    some = missing[first : first + _STARTED_AT_ONCE]
                    started = await asyncio.gather(*map(self._producer_of, some), return_exceptions=True)
                    for number, producer in zip(some, started, strict=True):
                        if isinstance(producer, AIOKafkaProducer):
                            producers[number] = producer
                    for failed in started:
                        if isinstance(failed, BaseException):
                            raise failed
                found = await self._offsets()
                self._outage.over()
                return found
            except (KafkaError, OSError) as error:
                self._outage.met(error)
                await self._outage.pause()

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Send what comes of a run, with the offset behind it."""
        if not records:
            return
        owned = self._owned[partition]
        outgoing = await asyncio.to_thread(lambda: list(self.outcome(partition, records)))
        async with owned.sending:
            try:
                await self._send(partition, owned, outgoing, records[-1].offset + 1)
            except (ProducerFenced, InvalidProducerEpoch):
                if still_owned():
                    raise
                logger.info("%s-%d was given up; its next owner goes on", self.topic, partition)
                return
        self.sent(partition)
        # the next transaction; one that comes after a while need not wait
        await asyncio.sleep(_pace.pause_seconds())

    async def send_apart(self, partition: int, outgoing: Iterable[Outgoing]) -> bool:
        """Send something that no record led to; False when the partition is not ours."""
        owned = self._owned.get(partition)
        if owned is None:
            return False
        async with owned.sending:
            if self._owned.get(partition) is not owned:
                return False
            try:
                await self._send(partition, owned, list(outgoing), owned.next_offset)
            except (ProducerFenced, InvalidProducerEpoch):
                # whoever took over sends it
                return False
        return True

    def release(self, partitions: Collection[int]) -> None:
        """Forget partitions."""
        for number in partitions:
            owned = self._owned.pop(number, None)
            _sending.discard((self._name, number))
            if owned is not None:
                self._until_done(owned.stop())

    async def close(self) -> None:
        """Disconnect; from a broker that does not answer after some seconds without its leave."""
        self.release(list(self._owned))
        if self._closing:
            _, pending = await asyncio.wait(self._closing, timeout=_CLOSE_SECONDS)
            for task in pending:
                task.cancel()
            if pending:
                logger.warning("%d producers of %s were left as they are: the broker is away", len(pending), self._name)

    def _until_done(self, stopping: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(stopping)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _send(self, partition: int, owned: _Owned, outgoing: Iterable[Outgoing], end: int) -> None:
        if owned.shut_out is not None:
            raise owned.shut_out
        try:
            await self._send_by(owned.producer, partition, outgoing, OffsetAndMetadata(end, owned.log_id))
        except (ProducerFenced, InvalidProducerEpoch) as error:
            owned.shut_out = error
            raise
        owned.next_offset = end

    async def _send_by(
        self, producer: AIOKafkaProducer, partition: int, outgoing: Iterable[Outgoing], end: OffsetAndMetadata
    ) -> None:
        batches = await _by_partition(producer, outgoing)
        acknowledgements: list[asyncio.Future[object]] = []
        try:
            async with producer.transaction():
                for (topic, number), records in batches.items():
                    for batch in _batches_of(producer, records):
                        acknowledgements.append(await producer.send_batch(batch, topic, partition=number))
                        acknowledgements[-1].add_done_callback(_retrieve)
                await producer.send_offsets_to_transaction({TopicPartition(self.topic, partition): end}, self._name)
                for acknowledgement in acknowledgements:
                    await acknowledgement
        except IllegalOperation:
            # the broker shut us out between two batches; why, only those say that were sent before
            for acknowledgement in acknowledgements:
                await acknowledgement
            raise

    async def _producer_of(self, partition: int) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **aiokafka_config(self._settings),
            transactional_id=f"{self._name}-{partition}",
            max_request_size=MAX_RECORD_BYTES,
            max_batch_size=_MAX_BATCH_BYTES,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def remembered(self, changelog: str, partitions: Collection[int]) -> dict[int, dict[bytes, bytes]]:
        """The newest row of each key in partitions of a changelog that this sink alone writes; waits for the broker."""
        while True:
            began = time.monotonic()
            found: dict[int, dict[bytes, bytes]] = {number: {} for number in partitions}
            try:
                async with aclosing(read_to_end(self._settings, changelog, dict.fromkeys(partitions, 0))) as read:
                    async for number, records in read:
                        _take_in(found[number], records)
            except (KafkaError, OSError) as error:
                self._outage.met(error)
                await self._outage.pause()
                continue
            self._outage.over()
            count, taken = sum(map(len, found.values())), time.monotonic() - began
            logger.info("read %d rows of %s, partitions %s, in %.2f s", count, changelog, [*partitions], taken)
            return found

    async def _offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        return await kept_offsets(self._settings, self._name)


def _take_in(rows: dict[bytes, bytes], records: Sequence[ConsumerRecord]) -> None:
    for record in records:
        if record.key is None or why_unreadable(record) is not None:
            logger.error("%s-%d: offset %d is no row, skipped", record.topic, record.partition, record.offset)
        elif record.value is None:
            rows.pop(record.key, None)
        else:
            rows[record.key] = record.value


def _retrieve(acknowledgement: asyncio.Future[object]) -> None:
    """Look at what became of a batch: a transaction may fail before anybody waits for it."""
    if not acknowledgement.cancelled():
        acknowledgement.exception()


async def _by_partition(
    producer: AIOKafkaProducer, outgoing: Iterable[Outgoing]
) -> Mapping[tuple[str, int], list[Outgoing]]:
    """Records by topic and partition, those of each in order; records without a key go one after the other."""
    counts: dict[str, int] = {}
    # by topic, then by number: to look a pair of them up costs as much as all else here
    found: dict[str, defaultdict[int, list[Outgoing]]] = {}
    for position, one in enumerate(outgoing):
        topic, number = one.topic, one.partition
        places = found.get(topic)
        if places is None:
            places = found[topic] = defaultdict(list)
        if number is None:
            count = counts.get(topic)
            if count is None:
                count = counts[topic] = len(await producer.partitions_for(topic))
            number = position % count if one.key is None else home_partition(one.key, count)
        places[number].append(one)
    return {(topic, number): records for topic, places in found.items() for number, records in places.items()}


def _batches_of(producer: AIOKafkaProducer, records: Sequence[Outgoing]) -> Iterator[BatchBuilder]:
    """Records of a partition in as few batches: one by one they cost twenty times as much."""
    now_ms, first = int(time.time() * 1000), 0
    while first < len(records):
        batch = producer.create_batch()
        first += _fill(batch, records, first, now_ms)
        yield batch


def _fill(batch: BatchBuilder, records: Sequence[Outgoing], first: int, now_ms: int) -> int:
    """Put records into a batch from one of them on; returns how many found room, the first one always does.

    `BatchBuilder.append` costs twice what its builder in C does, and this is done several times for each message of a
    city.
    """
    append, count = batch._builder.append, 0  # noqa: SLF001 - see above; a contract test holds it
    no_headers = _NO_HEADERS
    for one in records[first:] if first else records:
        headers = list(one.headers) if one.headers else no_headers
        if append(count, one.timestamp_ms or now_ms, one.key, one.value, headers) is None:
            break
        count += 1
    batch._relative_offset = count  # noqa: SLF001
    return count
