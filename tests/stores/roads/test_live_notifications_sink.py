"""Notifications in Redis: the newest ones are there, and each is told once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from msgspec import structs
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from models.alarms import Withheld
from models.roads.notifications import RoadNotification, encode_notification
from models.timestamps import rfc3339
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.roads.notifications import notification as made_notification
from tests.stores.roads.notifications import notification_records
from trafficapp.roads.feeds import NOTIFICATION_LOG, NOTIFIED
from trafficapp.settings import load_settings
from trafficapp.stores.feeds.log_sink import LogSink, newest_records
from trafficapp.stores.redis.sink import Call


def notification(number: int = 0, minutes_ago: float = 1) -> RoadNotification:
    """The n-th notification about a road, of what was measured so long ago."""
    return made_notification(number, timestamp=rfc3339(round((time.time() - 60 * minutes_ago) * 1e6)))


def owned() -> bool:
    return True


@pytest.fixture
async def sink(client: Redis) -> AsyncIterator[LogSink]:
    sink = LogSink(NOTIFIED, load_settings(), client, an_hour_back)
    await sink.load([0])
    yield sink
    sink.release([0])


@pytest.fixture
async def channel(client: Redis) -> AsyncIterator[PubSub]:
    async with client.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(NOTIFICATION_LOG.channel)
        await subscription.get_message(timeout=1)
        yield subscription


async def told(client: Redis, channel: PubSub) -> list[bytes]:
    """What was told until now."""
    await client.publish(NOTIFICATION_LOG.channel, "end")
    found = list[bytes]()
    async with asyncio.timeout(180):
        while True:
            message = await channel.get_message(timeout=1)
            if message is not None:
                if message["data"] == b"end":
                    return found
                found.append(message["data"])


def encoded(*notifications: RoadNotification) -> list[bytes]:
    return [encode_notification(one) for one in notifications]


async def newest(client: Redis) -> list[bytes]:
    return [record for _, record in await newest_records(client, NOTIFIED)]


async def test_each_is_told_once_as_it_is(client: Redis, sink: LogSink, channel: PubSub) -> None:
    a, b, c = (notification(number) for number in range(3))
    await sink.apply(0, notification_records(100, a, b, a), owned)
    # the sender was killed and sends again; so was the sink, before it heard that its write was done
    await sink.apply(0, notification_records(103, b, c), owned)
    generation = (await client.get(sink.generation_key)).decode()
    assert await sink.put(
        Call(0, generation, -1, 105), sink.collect(sink.new_memory(), notification_records(103, b, c))
    )
    other = LogSink(NOTIFIED, load_settings(), client, an_hour_back)
    assert await other.load([0]) == {0: 105}
    await other.apply(0, notification_records(105, a, b, c), owned)
    other.release([0])
    assert await told(client, channel) == await newest(client) == encoded(a, b, c)


async def test_old_ones_are_kept_but_not_told(client: Redis, sink: LogSink, channel: PubSub) -> None:
    """After an outage of those who judge, old jams are sent just now; and news may have waited for us."""
    old, new = notification(0, minutes_ago=16), notification(1, minutes_ago=13)
    await sink.apply(0, notification_records(100, old), owned)
    await sink.apply(0, notification_records(101, new, age_seconds=780), owned)
    assert await told(client, channel) == encoded(new)
    assert await newest(client) == encoded(old, new)


async def test_so_many_are_kept_and_a_repeat_of_any_is_known(client: Redis, sink: LogSink, channel: PubSub) -> None:
    many = [notification(number) for number in range(3 * NOTIFICATION_LOG.kept)]
    await sink.apply(0, notification_records(100, *many), owned)
    await sink.apply(0, notification_records(1000, *many), owned)
    assert await told(client, channel) == encoded(*many)
    assert await newest(client) == encoded(*many[-NOTIFICATION_LOG.kept :])


async def test_what_is_none_is_left_out(client: Redis, sink: LogSink, channel: PubSub) -> None:
    await sink.apply(0, notification_records(100, b"", b"{", b'{"event_id":1}', b"\xff", one := notification()), owned)
    assert await told(client, channel) == encoded(one)


async def test_a_server_that_lost_its_data_is_built_up_untold(
    server: RedisServer, client: Redis, sink: LogSink
) -> None:
    known = [notification(number) for number in range(5)]
    await sink.apply(0, notification_records(100, *known), owned)
    server.kill()
    server.start()
    async with asyncio.timeout(180):
        while not await client.exists("notifications:newest"):  # noqa: ASYNC110 - the change comes from the server
            await asyncio.sleep(0.05)
    assert await newest(client) == encoded(*known)
    await client.flushall()
    async with client.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(NOTIFICATION_LOG.channel)
        await subscription.get_message(timeout=1)
        # what is news is told although everything is put again
        new = notification(5)
        await sink.apply(0, notification_records(105, new, known[4]), owned)
        assert await told(client, subscription) == encoded(new)
    assert await newest(client) == encoded(*known, new)


async def test_what_is_withheld_is_among_the_newest_marked_and_not_told(
    client: Redis, sink: LogSink, channel: PubSub
) -> None:
    shelved, other = notification(0), notification(1)
    marked = structs.replace(shelved, withheld=Withheld(how="shelved", by="7", reason="road works"))
    sink.withheld = lambda message: marked if message.event_id == shelved.event_id else None

    await sink.apply(0, notification_records(100, shelved, other, shelved), owned)

    assert await told(client, channel) == encoded(other)
    assert await newest(client) == encoded(marked, other)
