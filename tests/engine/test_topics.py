"""Whatever producers send, consumers of ours read it from the real broker: in runs, and when they look into a topic."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka import TopicPartition as ConfluentPartition
from confluent_kafka.admin import AdminClient, NewTopic

from models.records import why_unreadable
from tests.batching.raw_batches import CODECS, Raw, batch_bytes, produce_bytes
from tests.engine.test_reader import Sink, Watcher
from trafficapp.batching.runs import Run
from trafficapp.batching.unpacking import Unpacking
from trafficapp.engine.fetching import in_runs
from trafficapp.engine.kafka import end_offsets, groupless_consumer, log_start, offsets_at_time
from trafficapp.engine.reader import RunReader
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.redis.read_back import KafkaReadBack

codecs = pytest.mark.parametrize("codec", list(CODECS))


@pytest.fixture
def settings(kafka_bootstrap: str) -> Settings:
    return load_settings(kafka={"bootstrap_servers": kafka_bootstrap})


@pytest.fixture
def admin(kafka_bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka_bootstrap})


@pytest.fixture
def topic(admin: AdminClient) -> str:
    name = f"test.reading.{secrets.token_hex(4)}"
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(10)
    return name


class Reading:
    """A topic of one partition, read in runs by a consumer and handed to a sink, as a worker does it.

    Attributes:
        runs: all runs, in order.
        watcher: what the reader told.
        looks: how often it looked into the log.
    """

    def __init__(
        self, settings: Settings, topic: str, consumer: AIOKafkaConsumer, start: int, run_records: int
    ) -> None:
        self.run_records = run_records
        self.tp = TopicPartition(topic, 0)
        self.consumer = consumer
        self.runs: list[Run] = []
        self.sink, self.watcher, self.looks = Sink(), Watcher(), 0
        self._settings = settings
        self.reader = RunReader(topic, self.sink, self._look, self.watcher)
        self.reader.bind(self._seek)
        self.reader.own({0: start})

    async def _look(self, partition: int) -> int:
        self.looks += 1
        return await log_start(self._settings, self.tp.topic, partition)

    async def _seek(self, partition: int, offset: int) -> None:
        self.consumer.seek(self.tp, offset)

    @property
    def records(self) -> list[Any]:
        return [record for run in self.runs for record in run]

    @property
    def applied(self) -> list[int]:
        return self.sink.applied.get(0, [])

    async def read(self, until: Callable[[], bool], seconds: float = 20) -> None:
        """Read on until something is so."""
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, (self.reader.next_offset(0), self.applied[-5:])
            with in_runs(self.run_records):
                fetched = await self.consumer.getmany(timeout_ms=100)
            for runs in fetched.values():
                for run in runs:
                    run.epoch, run.partition = self.reader.epoch, 0
                    self.runs.append(run)
                    await self.reader.submit(run)
            await asyncio.sleep(0.01)

    async def read_to(self, offset: int) -> None:
        await self.read(lambda: self.reader.next_offset(0) == offset)


@asynccontextmanager
async def reading(settings: Settings, topic: str, start: int = 0, run_records: int = 4000) -> AsyncIterator[Reading]:
    options: Any = {"auto_offset_reset": "earliest", "fetch_max_wait_ms": 50}
    async with groupless_consumer(settings, **options) as consumer:
        one = Reading(settings, topic, consumer, start, run_records)
        consumer.assign([one.tp])
        consumer.seek(one.tp, start)
        try:
            yield one
        finally:
            one.reader.release()


async def looked_at(settings: Settings, topic: str, end: int) -> list[Any]:
    """All records of a topic that is not read in runs, as inspection and changelogs read it."""
    tp, found = TopicPartition(topic, 0), []
    async with groupless_consumer(settings, auto_offset_reset="earliest", fetch_max_wait_ms=50) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, 0)
        while await consumer.position(tp) < end:
            found += (await consumer.getmany(tp, timeout_ms=200)).get(tp, [])
    async with groupless_consumer(settings, auto_offset_reset="earliest", fetch_max_wait_ms=50) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, 0)
        assert [(await consumer.getone()).offset for _ in found] == [record.offset for record in found]
    return found


async def sent_by_aiokafka(bootstrap: str, topic: str, codec: str, values: Sequence[bytes]) -> None:
    compression = None if codec == "none" else codec
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=compression, linger_ms=20)
    await producer.start()
    try:
        await asyncio.gather(*[await producer.send(topic, value, b"key", headers=[("h", b"1")]) for value in values])
    finally:
        await producer.stop()


async def sent_by_librdkafka(bootstrap: str, topic: str, codec: str, values: Sequence[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 20})
    for value in values:
        producer.produce(topic, value, b"key", headers=[("h", b"1")])
    assert await asyncio.to_thread(producer.flush, 20) == 0


@codecs
@pytest.mark.parametrize("send", [sent_by_aiokafka, sent_by_librdkafka])
async def test_each_codec_of_each_library_is_read(settings: Settings, topic: str, codec: str, send: Any) -> None:
    values = [b'{"camera_id": "cam_%d", "frame_id": %d}' % (number % 5, number) for number in range(500)]
    await send(settings.kafka.bootstrap_servers, topic, codec, values)
    seen = await looked_at(settings, topic, 500)
    async with reading(settings, topic) as one:
        await one.read_to(500)
    for records in (seen, one.records):
        assert [record.value for record in records] == values
        assert {(record.key, tuple(record.headers)) for record in records} == {(b"key", (("h", b"1"),))}
    assert one.looks == 0


@codecs
async def test_one_record_that_cannot_be_unpacked_costs_no_other(settings: Settings, topic: str, codec: str) -> None:
    bad = [Raw(b"0"), Raw(b"1", headers=[(b"\xff\xfe", b"")]), Raw(b"2")]
    end = 0
    for _ in range(3):
        await produce_bytes(settings.kafka.bootstrap_servers, topic, 0, batch_bytes(bad, codec=CODECS[codec]))
        await sent_by_aiokafka(settings.kafka.bootstrap_servers, topic, codec, [b"3"])
        end += 4
    seen = await looked_at(settings, topic, end)
    async with reading(settings, topic) as one:
        await one.read_to(end)
    for records in (seen, one.records):
        assert [record.value for record in records] == [b"0", b"1", b"2", b"3"] * 3
        assert [record.offset for record in records if why_unreadable(record)] == [1, 5, 9]
    assert one.applied == [offset for offset in range(end) if offset % 4 != 1]
    assert sum(told[3] for told in one.watcher.told) == 3


async def test_what_the_broker_takes_is_numbered_as_the_broker_numbers_it(settings: Settings, topic: str) -> None:
    bootstrap = settings.kafka.bootstrap_servers
    for deltas in ([0, 900, 2], [0, 0, 0], [2, 1, 0], [-5, 1, 2]):
        batch = batch_bytes([Raw(b"%d" % place, offset_delta=delta) for place, delta in enumerate(deltas)])
        await produce_bytes(bootstrap, topic, 0, batch)
    await sent_by_aiokafka(bootstrap, topic, "none", [b"after"])
    async with reading(settings, topic) as one:
        await one.read_to(13)
    assert one.applied == list(range(13))
    assert [record.value for record in one.records] == [b"0", b"1", b"2"] * 4 + [b"after"]
    assert [record.offset for record in await looked_at(settings, topic, 13)] == list(range(13))


@codecs
async def test_times_that_no_clock_shows_are_numbers(settings: Settings, topic: str, codec: str) -> None:
    now = int(time.time() * 1000)
    sent = [Raw(timestamp_delta=-now - 1), Raw(timestamp_delta=-now - 5), Raw()]
    await produce_bytes(
        settings.kafka.bootstrap_servers, topic, 0, batch_bytes(sent, first_timestamp=now, codec=CODECS[codec])
    )
    async with reading(settings, topic) as one:
        await one.read_to(3)
    for records in (one.records, await looked_at(settings, topic, 3)):
        assert [record.timestamp for record in records] == [-1, -5, now]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_batch_that_unpacks_to_too_much_is_stepped_over(
    settings: Settings, topic: str, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unpacking, "unpacked_bytes", 100_000)
    await sent_by_aiokafka(settings.kafka.bootstrap_servers, topic, codec, [bytes(200_000), b"small"])
    end = (await end_offsets(settings, topic, [0]))[0]
    await sent_by_aiokafka(settings.kafka.bootstrap_servers, topic, codec, [b"after"])
    async with reading(settings, topic) as one:
        await one.read_to(end + 1)
    for records in (one.records, await looked_at(settings, topic, end + 1)):
        assert "more than 100,000 bytes" in str(why_unreadable(records[0]))
        assert records[-1].value == b"after"


async def test_much_in_one_batch_comes_in_runs_of_a_mebibyte(settings: Settings, topic: str) -> None:
    sent = [Raw(b"%d" % number + bytes(100_000)) for number in range(150)]
    await produce_bytes(settings.kafka.bootstrap_servers, topic, 0, batch_bytes(sent, codec=CODECS["zstd"]))
    async with reading(settings, topic) as one:
        await one.read_to(150)
    assert max(sum(len(record.value) for record in run) for run in one.runs) <= 1 << 20
    assert len(one.runs) <= 20
    assert one.applied == list(range(150))


# ---------------------------------------------------------------------- transactions


class Transactional:
    """A producer that writes in transactions."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "transactional.id": secrets.token_hex(6), "linger.ms": 0}
        )
        self._producer.init_transactions(30)

    def send(self, *values: bytes, ends: str | None = "commit") -> None:
        """Send in a transaction of their own; it stays open when it has no end."""
        self._producer.begin_transaction()
        for value in values:
            self._producer.produce(self._topic, value, b"key", 0)
        assert self._producer.flush(20) == 0
        if ends is not None:
            self.end(ends)

    def end(self, how: str) -> None:
        (self._producer.commit_transaction if how == "commit" else self._producer.abort_transaction)(30)


@pytest.fixture
def transactional(kafka_bootstrap: str, topic: str) -> Transactional:
    return Transactional(kafka_bootstrap, topic)


def as_librdkafka_reads(bootstrap: str, topic: str) -> list[tuple[int, bytes]]:
    """Offsets and values of what is committed."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": secrets.token_hex(6),
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([ConfluentPartition(topic, 0, 0)])
    found = []
    try:
        while True:
            message = consumer.poll(20)
            assert message is not None
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF
                return found
            found.append((message.offset(), message.value()))
    finally:
        consumer.close()


def applied(one: Reading, count: int) -> bool:
    return len(one.applied) == count


async def test_markers_are_no_holes_and_cost_no_look_into_the_log(
    settings: Settings, topic: str, transactional: Transactional
) -> None:
    bootstrap, kept = settings.kafka.bootstrap_servers, list[bytes]()
    async with reading(settings, topic) as one:
        for number in range(30):
            value = b"%d" % number
            how = "abort" if number % 3 == 1 else "commit"
            transactional.send(value, value, ends=how)
            kept += [value, value] if how == "commit" else []
            if number % 4 == 0:
                await sent_by_aiokafka(bootstrap, topic, "lz4", [b"plain"])
                kept.append(b"plain")
            if number in (5, 6, 20):
                # sometimes few of them are in one fetch, sometimes many
                await one.read(partial(applied, one, len(kept)))
        await sent_by_aiokafka(bootstrap, topic, "none", [b"end"])
        await one.read(lambda: bool(one.records) and one.records[-1].value == b"end")
    expected = as_librdkafka_reads(bootstrap, topic)
    assert sorted(value for _, value in expected) == sorted([*kept, b"end"])
    assert [(record.offset, record.value) for record in one.records] == expected
    assert one.applied == [offset for offset, _ in expected]
    assert (one.looks, one.watcher.told) == (0, [])
    end = expected[-1][0] + 1
    assert [(record.offset, record.value) for record in await looked_at(settings, topic, end)] == expected


async def test_a_marker_at_the_end_moves_the_reader_to_the_end(
    settings: Settings, topic: str, transactional: Transactional
) -> None:
    async with reading(settings, topic) as one:
        transactional.send(b"0")
        await one.read_to(2)
        stable = one.consumer.last_stable_offset(one.tp)
        assert (stable, one.consumer.highwater(one.tp)) == (2, 2)
        transactional.send(b"1", ends="abort")
        await one.read_to(4)
        assert one.applied == [0]


async def test_an_open_transaction_waits_and_is_no_hole(
    settings: Settings, topic: str, transactional: Transactional
) -> None:
    bootstrap = settings.kafka.bootstrap_servers
    async with reading(settings, topic) as one:
        transactional.send(b"0", ends=None)
        await sent_by_aiokafka(bootstrap, topic, "none", [b"1"])
        with pytest.raises(AssertionError):
            await one.read(lambda: bool(one.applied), seconds=1.5)
        assert one.consumer.last_stable_offset(one.tp) == 0
        assert one.consumer.highwater(one.tp) == 2
        assert await end_offsets(settings, topic, [0]) == {0: 2}
        # whoever begins now begins before the transaction
        assert await offsets_at_time(settings, topic, [0], time.time() + 60) == {0: 0}
        span = (await KafkaReadBack(topic, {"bootstrap_servers": bootstrap}, -60)([0]))[0]
        assert (span.recent, span.end) == (0, 2)
        transactional.end("commit")
        await one.read_to(3)
        assert one.applied == [0, 1]
        assert one.looks == 0


# ---------------------------------------------------------------------- what is deleted


async def test_records_that_are_deleted_under_way_are_told_and_the_rest_is_read(
    settings: Settings, topic: str, admin: AdminClient
) -> None:
    bootstrap = settings.kafka.bootstrap_servers
    await sent_by_aiokafka(bootstrap, topic, "none", [b"0", b"1", b"2"])
    async with reading(settings, topic) as one:
        await one.read_to(3)
        one.consumer.pause(one.tp)
        await sent_by_aiokafka(bootstrap, topic, "none", [b"%d" % number for number in range(3, 9)])
        await delete_before(bootstrap, topic, 7)
        one.consumer.resume(one.tp)
        # what was fetched before is thrown away
        one.consumer.seek(one.tp, 3)
        await one.read_to(9)
    assert one.applied == [0, 1, 2, 7, 8]
    assert one.watcher.told == [("lost", topic, 0, 3, 6)]
    assert await log_start(settings, topic, 0) == 7


async def delete_before(bootstrap: str, topic: str, offset: int) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    finally:
        await client.close()
