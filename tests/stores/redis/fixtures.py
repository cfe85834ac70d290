from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator

import pytest
from redis.asyncio import Redis

from tests.stores.redis.redis_server import RedisServer
from trafficapp.stores.cameras.live_sink import LiveSink
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import PartitionSpan


@pytest.fixture
def server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    client = connect(server.url)
    yield client
    await client.aclose()


async def an_hour_back(partitions: Collection[int]) -> dict[int, PartitionSpan]:
    return {partition: PartitionSpan(recent=100, end=1_000_000) for partition in partitions}


@pytest.fixture
async def sink(client: Redis) -> AsyncIterator[LiveSink]:
    sink = LiveSink(client, an_hour_back)
    yield sink
    sink.release(range(64))
