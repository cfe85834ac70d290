"""What a feed with an inner topic tells of itself to those who run it, and how it begins anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from models.timestamps import rfc3339
from tests.feeds.parking_bays import PARKING_BAYS, TABLE
from tests.feeds.place import PARTITIONS, Place, place_of
from tests.feeds.test_parking_bays import bay
from tests.stores.redis.redis_server import RedisServer
from trafficapp.commands.feeds.standing import standings
from trafficapp.engine.begin_anew import CannotBegin, plan
from trafficapp.engine.kafka_topics import TopicAdmin
from trafficapp.feeds.incoming import incoming_of
from trafficapp.stores.migrations import migrate


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def place(database_url: str, kafka_bootstrap: str, redis_server: RedisServer) -> AsyncIterator[Place]:
    await asyncio.to_thread(migrate, database_url)
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute("DROP TABLE IF EXISTS parking_bays")
        server.execute(TABLE)
    async with place_of(PARKING_BAYS, database_url, kafka_bootstrap, redis_server, ["parking_bays"]) as place:
        yield place


def bays(count: int) -> list[dict[str, Any]]:
    return [bay(f"k{number}", rfc3339(int(time.time()) * 1_000_000), number) for number in range(count)]


async def lags(place: Place) -> dict[str, int]:
    (found,) = await standings(place.settings, [incoming_of(place.feed, place.settings)], 5)
    return found.lags


async def test_who_is_behind_on_the_inner_topic_is_told(place: Place) -> None:
    inner, group = place.feed.kept_topic_in(place.settings), f"{place.settings.app_id}-history"
    admin = TopicAdmin(place.settings)
    await place.send(*bays(40))
    await place.check()
    assert await lags(place) == {}
    counts = dict.fromkeys(range(PARTITIONS), 0)
    async for partition, run in place.runs(inner, dict.fromkeys(counts, 0)):
        counts[partition] = run[-1].offset + 1
    await asyncio.to_thread(admin.set_offsets, group, inner, dict.fromkeys(counts, 0))
    assert await lags(place) == {group: 40}
    await asyncio.to_thread(admin.set_offsets, group, inner, counts)
    assert await lags(place) == {group: 0}
    await place.send(*bays(7))
    await place.check()
    assert await lags(place) == {group: 7}


async def test_an_outer_topic_that_lost_records_begins_anew(place: Place) -> None:
    topic, admin = place.feed.topic_in(place.settings), TopicAdmin(place.settings)

    def steps() -> list[Any]:
        return plan(place.settings, admin, topic, with_history=False, feeds=[place.feed])

    for partition, count in ((0, 3), (1, 2)):
        for message in bays(count):
            await place.send(message, partition=partition)
    await place.check()
    with pytest.raises(CannotBegin, match="nothing is kept"):
        await asyncio.to_thread(steps)
    # as if the broker had lost the newest records of a partition: a topic that is deleted takes its offsets along
    await asyncio.to_thread(admin.set_offsets, place.feed.intake_in(place.settings), topic, {0: 9})
    (step,) = await asyncio.to_thread(steps)
    assert step.words.startswith(f"let the consumer group {place.settings.app_id}-parking-bays-intake begin")
    await asyncio.to_thread(step.do)
    intake = place.intake()
    assert await intake.load(range(PARTITIONS)) == {0: 0, 1: 2, 2: 0}
    await intake.close()
    with pytest.raises(CannotBegin, match="nothing is kept"):
        await asyncio.to_thread(steps)
