"""How newest documents come into Redis: what is told of a run, and what is kept in memory."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec import structs
from redis.asyncio import Redis

from models.records import PlainRecord
from models.timestamps import from_epoch_us
from tests.stores.redis.fixtures import an_hour_back
from trafficapp.fleet.feeds import LOCATED, POSITIONS
from trafficapp.settings import load_settings
from trafficapp.stores.feeds.current import told_documents
from trafficapp.stores.feeds.documents_sink import DocumentsSink


@pytest.fixture
async def sink(client: Redis) -> AsyncIterator[DocumentsSink]:
    sink = DocumentsSink(POSITIONS, load_settings(), client, an_hour_back)
    await sink.load([0])
    yield sink
    sink.release([0])


def record(number: int, vehicle_id: str, *, sent_ago: float = 0, seconds: float = 0, **changes: Any) -> Any:
    """A position that the broker took some seconds ago, some seconds later by the vehicle's clock than others."""
    sent_us = round((time.time() - sent_ago) * 1e6)
    told = from_epoch_us(1_780_000_000_123_456 + round(seconds * 1e6))
    position = structs.replace(
        POSITIONS.sample, vehicle_id=vehicle_id, timestamp=told, received_at=from_epoch_us(sent_us), **changes
    )
    return PlainRecord(100 + number, sent_us // 1000, 1, vehicle_id.encode(), msgspec.json.encode(position))


async def test_a_run_is_told_by_one_message_which_has_the_newest_of_each_key(
    sink: DocumentsSink, client: Redis
) -> None:
    names = ["a", "b", "ü", 'quoted "\\', "a"]
    run = [record(number, name, seconds=number) for number, name in enumerate(names)]
    async with client.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(LOCATED.channel)
        await channel.get_message(timeout=1)
        await sink.apply(0, run, lambda: True)
        # nothing is news of it
        await sink.apply(0, [record(9, "a", seconds=1)], lambda: True)
        await client.publish(LOCATED.channel or "", "end")
        async with asyncio.timeout(10):
            heard = [await anext(channel.listen()) for _ in range(2)]
    assert told_documents(heard[0]["data"]) == [run[4].value, run[1].value, run[2].value, run[3].value]
    assert heard[1]["data"] == b"end"
    for number in (4, 1, 2, 3):
        assert await client.get(LOCATED.key_of(names[number])) == run[number].value
        assert await client.zscore(LOCATED.listed, names[number]) == 1_780_000_000.123456 + number


async def test_what_expired_is_forgotten_and_keeps_no_older_one_away(sink: DocumentsSink) -> None:
    memory, kept_ago = sink.new_memory(), LOCATED.seconds - 0.2
    sink.collect(
        memory, [record(0, "stays"), record(1, "goes", sent_ago=kept_ago), record(2, "also", sent_ago=kept_ago)]
    )
    # what came first is not over, so those behind it wait for it
    assert list(memory) == ["stays", "goes", "also"]
    sink.collect(memory, [record(3, "stays", seconds=1)])
    assert list(memory) == ["goes", "also", "stays"]
    await asyncio.sleep(0.3)
    changes = sink.collect(memory, [record(4, "goes", seconds=-60)])
    assert [one.key for one in changes] == ["goes"]
    assert list(memory) == ["stays", "goes"]


async def test_a_record_that_is_no_utf_8_is_left_out(sink: DocumentsSink, client: Redis) -> None:
    good = record(1, "good")
    odd = record(0, "odd")
    odd.value = odd.value[:-1] + b',"more":"\xff"}'
    await sink.apply(0, [odd, good], lambda: True)
    assert [
        json.loads(one)["vehicle_id"]
        for one in await client.mget([LOCATED.key_of("odd"), LOCATED.key_of("good")])
        if one
    ] == ["good"]
