"""Producers of a transactional sink are stopped however it ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from typing import cast

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, OffsetAndMetadata, TopicPartition

from trafficapp.engine import transactions
from trafficapp.engine.transactions import Outgoing, TransactionalSink, _Owned
from trafficapp.settings import Settings, load_settings


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
