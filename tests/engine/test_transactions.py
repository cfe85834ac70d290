"""Producers of a transactional sink are stopped however it ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, OffsetAndMetadata, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced

from models.records import PlainRecord
from trafficapp.engine import transactions
from trafficapp.engine.kafka import create_topics
from trafficapp.engine.transactions import Outgoing, TransactionalSink, _Owned
from trafficapp.settings import Settings, load_settings
from trafficapp.topics import TopicDeclaration


class Sink(TransactionalSink):
    """Sends nothing; remembers its producers."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, f"topic-{secrets.token_hex(3)}", f"sink-{secrets.token_hex(3)}")
        self.producers: list[AIOKafkaProducer] = []
        self.asked = asyncio.Event()
        self.answers = True

    def outcome(self, partition: int, records: Sequence[ConsumerRecord]) -> Iterator[Outgoing]:
        yield from ()

    def sent(self, partition: int) -> None:
        pass

    async def _producer_of(self, partition: int) -> AIOKafkaProducer:
        self.producers.append(await super()._producer_of(partition))
        return self.producers[-1]

    async def _offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        self.asked.set()
        if not self.answers:
            await asyncio.Event().wait()
        return await super()._offsets()


class Talking(Sink):
    """Sends a record to each of some topics."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        super().__init__(settings)
        self.topics = topics
        self.told = 0

    def outcome(self, partition: int, records: Sequence[ConsumerRecord]) -> Iterator[Outgoing]:
        return (Outgoing(topic, b"key", b"value", 0) for topic in self.topics)

    def sent(self, partition: int) -> None:
        self.told += 1


RECORDS = cast(Sequence[ConsumerRecord], [PlainRecord(0, 0, 0, None, b"value", [])])


class Stuck:
    """A producer whose broker never answers."""

    async def stop(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def settings(kafka_bootstrap: str) -> Settings:
    return load_settings(kafka={"bootstrap_servers": kafka_bootstrap})


async def test_the_producers_of_a_take_over_that_is_cancelled_are_stopped(settings: Settings) -> None:
    sink = Sink(settings)
    sink.answers = False
    loading = asyncio.create_task(sink.load([0, 1]))
    await asyncio.wait_for(sink.asked.wait(), 30)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    await asyncio.wait_for(sink.close(), 30)
    assert [producer._closed for producer in sink.producers] == [True, True]


@pytest.mark.parametrize("still_owned", [True, False])
async def test_who_is_shut_out_between_two_batches_says_so_each_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, still_owned: bool
) -> None:
    """The client then says only that there is no transaction, which is no error of Kafka's."""
    topics = tuple(f"told-{secrets.token_hex(3)}" for _ in range(2))
    frozen, owner = Talking(settings, topics), Talking(settings, topics)
    await create_topics(settings, [TopicDeclaration(topic, "anything", 1, 1) for topic in (frozen.topic, *topics)])
    owner.topic, owner._name = frozen.topic, frozen._name
    await frozen.load([0])
    await owner.load([0])
    hand_over = AIOKafkaProducer.send_batch

    async def and_wait(self: AIOKafkaProducer, *arguments: Any, **named: Any) -> Any:
        acknowledgement = await hand_over(self, *arguments, **named)
        await asyncio.wait([acknowledgement], timeout=30)
        return acknowledgement

    monkeypatch.setattr(AIOKafkaProducer, "send_batch", and_wait)
    for _ in range(2):
        with pytest.raises((ProducerFenced, InvalidProducerEpoch)) if still_owned else nullcontext():
            await frozen.apply(0, RECORDS, lambda: still_owned)
        assert not await frozen.send_apart(0, frozen.outcome(0, RECORDS))
    assert frozen.told == 0
    await owner.apply(0, RECORDS, lambda: True)
    assert owner.told == 1
    await asyncio.wait_for(frozen.close(), 30)
    await asyncio.wait_for(owner.close(), 30)


async def test_an_end_does_not_wait_for_a_broker_that_is_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "_CLOSE_SECONDS", 0.1, raising=False)
    sink = Sink(settings)
    await sink.load([0])
    sink._owned[1] = _Owned(cast(AIOKafkaProducer, Stuck()), 0, "")
    await asyncio.wait_for(sink.close(), 10)
    assert not sink._owned
    await asyncio.sleep(1)
    assert [producer._closed for producer in sink.producers] == [True]
    assert not sink._closing


async def test_what_is_sent_while_its_partition_is_given_up_comes_to_an_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever sends ticks waits for ever, and silence is noticed nowhere."""
    sink = Talking(settings, (f"told-{secrets.token_hex(3)}",))
    await create_topics(settings, [TopicDeclaration(topic, "anything", 1, 1) for topic in (sink.topic, *sink.topics)])
    hand_over, handed_over = AIOKafkaProducer.send_batch, asyncio.Event()

    async def and_say_so(self: AIOKafkaProducer, *arguments: Any, **named: Any) -> Any:
        acknowledgement = await hand_over(self, *arguments, **named)
        handed_over.set()
        return acknowledgement

    monkeypatch.setattr(AIOKafkaProducer, "send_batch", and_say_so)
    await sink.load([0])
    sending = asyncio.create_task(sink.send_apart(0, sink.outcome(0, RECORDS)))
    await asyncio.wait_for(handed_over.wait(), 30)
    sink.release([0])
    await asyncio.wait_for(sending, 30)
    await asyncio.wait_for(sink.close(), 30)
    assert [producer._closed for producer in sink.producers] == [True]
