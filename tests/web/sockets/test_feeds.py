"""The feeds without a connection to Redis of their own, so that a test decides when they hear what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from models.cameras.window_rows import encode_window_row
from tests.stores.cameras.test_live_sink import flat
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import records, window_row
from tests.tasks import end
from trafficapp.stores.cameras.live_sink import LiveSink
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.event_log import EventLog, emit
from web.sockets.clients import SocketClient
from web.sockets.event_feed import EventFeed
from web.sockets.event_filter import EventFilter
from web.sockets.window_feed import LiveFeed, Room


class Reader:
    """A client that reads everything at once."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def offer(self, message: bytes, frame: bytes | None = None) -> bool:
        self.messages.append(json.loads(message))
        return True

    async def put(self, message: bytes) -> None:
        self.offer(message)

    async def drained(self) -> bool:
        """Nothing waits for it: whether anything did."""
        return False

    def cut(self, reason: str) -> None:
        raise AssertionError(reason)


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = connect(redis_server.url)
    yield client
    await client.aclose()


@asynccontextmanager
async def telling(feed: EventFeed | LiveFeed) -> AsyncIterator[None]:
    """Let a feed pass on what it was told to send."""
    passing = asyncio.create_task(feed._broadcaster.run())
    yield
    await asyncio.sleep(0.1)
    await end(passing)


async def test_a_client_that_is_ahead_of_the_feed_sees_nothing_twice(redis: Redis) -> None:
    """It resumed from the log, and the channel brings the same events later."""
    feed = EventFeed(lambda: redis, redis, lambda zone: None, 60)
    await feed._catch_up(redis)
    begin = (await EventLog(redis).state()).seq
    for number in range(5):
        await emit(redis, "admin_broadcast", str(number).encode())
    told = await EventLog(redis).after(begin, 100)
    ahead, beside = Reader(), Reader()
    await feed.join(cast(SocketClient, ahead), EventFilter(), begin + 1)
    await feed.join(cast(SocketClient, beside), EventFilter(), None)
    assert [message["data"] for message in ahead.messages] == [1, 2, 3, 4]
    async with telling(feed):
        for one in told:
            await feed._receive(redis, one.envelope)
        await emit(redis, "admin_broadcast", b"5")
        await feed._receive(redis, (await EventLog(redis).after(begin + 5, 1))[0].envelope)
    assert [message["data"] for message in ahead.messages] == [1, 2, 3, 4, 5]
    assert [message["data"] for message in beside.messages[1:]] == [0, 1, 2, 3, 4, 5]


async def test_events_that_the_channel_lost_are_read_from_the_log(redis: Redis) -> None:
    feed = EventFeed(lambda: redis, redis, lambda zone: None, 60)
    await feed._catch_up(redis)
    begin = (await EventLog(redis).state()).seq
    reader = Reader()
    await feed.join(cast(SocketClient, reader), EventFilter(), None)
    for number in range(4):
        await emit(redis, "admin_broadcast", str(number).encode())
    told = await EventLog(redis).after(begin, 100)
    async with telling(feed):
        for one in (told[0], told[2], told[3], told[1]):
            await feed._receive(redis, one.envelope)
    assert [message["data"] for message in reader.messages[1:]] == [0, 1, 2, 3]


async def test_a_row_that_came_with_the_state_is_not_news_again(redis: Redis) -> None:
    """It was put after the subscription began and before the state was read."""
    sink = LiveSink(redis, an_hour_back)
    await sink.load([0])
    first, second = window_row("a", 1), window_row("a", 2)
    await sink.apply(0, records([first], 100), lambda: True)
    sink.release([0])
    feed = LiveFeed(lambda: redis)
    await feed._reload(redis)
    reader = Reader()
    await feed.join(Room(lanes=False), reader)
    async with telling(feed):
        for row in (first, second):
            await feed._receive(redis, encode_window_row([row]))
    assert reader.messages == [flat([first]), flat([second])]
