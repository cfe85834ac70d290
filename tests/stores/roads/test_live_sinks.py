from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from models.roads.current import RoadNow, RoadObservation, decode_road_observation
from models.timestamps import rfc3339
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.roads.observations import observation, observation_records
from trafficapp.roads.feeds import CURRENT_SECONDS, ROAD_DOCUMENTS, ROADS
from trafficapp.settings import load_settings
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.roads.current import CurrentRoads

TOPIC = "trafficapp-road-observations"


@pytest.fixture
async def roads(client: Redis) -> AsyncIterator[DocumentsSink]:
    sink = DocumentsSink(ROADS, load_settings(), client, an_hour_back)
    await sink.load([0])
    yield sink
    sink.release([0])


def sent(*observations: RoadObservation | bytes, first: int = 100, age_seconds: float = 0) -> list[Any]:
    """Records that were sent some seconds ago."""
    return observation_records(*observations, first=first, sent_ms=round((time.time() - age_seconds) * 1000))


async def stored(client: Redis, road_id: str = "a10") -> RoadObservation | None:
    document: Any = await client.get(ROAD_DOCUMENTS.key_of(road_id))
    return None if document is None else decode_road_observation(document)


async def test_the_newest_observation_is_kept_for_ten_minutes(roads: DocumentsSink, client: Redis) -> None:
    await roads.apply(0, sent(observation(), observation(seconds=60), observation(seconds=30)), lambda: True)
    assert await stored(client) == observation(seconds=60)
    assert CURRENT_SECONDS - 20 < await client.ttl(ROAD_DOCUMENTS.key_of("a10")) <= CURRENT_SECONDS
    assert await roads.load([0]) == {0: 103}


async def test_an_older_one_never_replaces_it(roads: DocumentsSink, client: Redis) -> None:
    await roads.apply(0, sent(observation(seconds=60)), lambda: True)
    await roads.apply(0, sent(observation(), first=101), lambda: True)
    assert await stored(client) == observation(seconds=60)
    # nor does that of a sink that has not seen the newer one
    other = DocumentsSink(ROADS, load_settings(), client, an_hour_back)
    await other.load([0])
    other.memories()[0].clear()
    await other.apply(0, sent(observation(seconds=59), first=102), lambda: True)
    other.release([0])
    assert await stored(client) == observation(seconds=60)


async def test_of_a_backlog_only_what_is_still_true_is_put(roads: DocumentsSink, client: Redis) -> None:
    await roads.apply(0, sent(observation("old"), age_seconds=601), lambda: True)
    await roads.apply(0, sent(observation("new"), first=101, age_seconds=500), lambda: True)
    assert await stored(client, "old") is None
    assert 0 < await client.ttl(ROAD_DOCUMENTS.key_of("new")) <= 100
    assert await CurrentRoads(client).keys() == ["new"]


async def test_the_feeds_record_says_how_old_it_is_and_not_the_worker_that_sent_it(client: Redis) -> None:
    dropped: list[str] = []
    sink = DocumentsSink(ROADS, load_settings(), client, an_hour_back, on_dropped=dropped.append)
    await sink.load([0])
    now_us = time.time_ns() // 1000

    def told(road_id: str, seconds_ago: float, ahead_seconds: float = 0) -> RoadObservation:
        record_us = now_us - round(seconds_ago * 1e6)
        timestamp = rfc3339(record_us + round(ahead_seconds * 1e6))
        return observation(road_id, timestamp=timestamp, record_timestamp=rfc3339(record_us))

    # a worker whose clock is three minutes behind, one that was away for long, and what must not be believed
    await sink.apply(0, sent(told("new", 5), age_seconds=180), lambda: True)
    await sink.apply(0, sent(told("old", 700), told("wrong", 0, 3600), b"{", first=101), lambda: True)
    sink.release([0])
    assert await CurrentRoads(client).keys() == ["new"]
    assert await client.ttl(ROAD_DOCUMENTS.key_of("new")) > CURRENT_SECONDS - 60
    assert dropped == ["future", "unreadable"]


async def test_reading_them(roads: DocumentsSink, client: Redis) -> None:
    current = CurrentRoads(client)
    assert await current.keys() == []
    await roads.apply(0, sent(observation("b"), observation("a:\n"), observation("c")), lambda: True)
    await client.delete(ROAD_DOCUMENTS.key_of("b"))
    await client.set(ROAD_DOCUMENTS.key_of("c"), "nonsense")
    assert await current.keys() == ["a:\n", "b", "c"]
    assert await current.roads(await current.keys()) == [
        RoadNow(
            road_id="a:\n",
            road_name="Via Roma",
            current_speed=20.0,
            jam_factor=4.5,
            congestion_level="medium",
            last_updated="2026-01-14T07:00:00Z",
        )
    ]


async def test_roads_that_are_gone_are_no_longer_listed(roads: DocumentsSink, client: Redis) -> None:
    await roads.apply(0, sent(observation("gone"), observation("stays", 60)), lambda: True)
    await roads.apply(0, sent(observation("new", 86_401), first=102), lambda: True)
    assert await CurrentRoads(client).keys() == ["new", "stays"]


async def test_many_that_are_gone_are_taken_out_of_the_list_step_by_step(roads: DocumentsSink, client: Redis) -> None:
    await roads.apply(0, sent(*(observation(f"gone{number}") for number in range(1200))), lambda: True)
    left = [await client.zcard(ROAD_DOCUMENTS.listed)]
    while left[-1] > 1:
        await roads.apply(0, sent(observation("new", 86_401 + len(left)), first=2000 + len(left)), lambda: True)
        left.append(await client.zcard(ROAD_DOCUMENTS.listed))
    assert left == [1200, 701, 201, 1]


async def test_everything_is_put_again_when_redis_lost_it(
    roads: DocumentsSink, client: Redis, server: RedisServer
) -> None:
    await roads.apply(0, sent(*(observation(f"r{number}") for number in range(600)), age_seconds=300), lambda: True)
    server.kill()
    server.start()
    for _ in range(400):
        if await client.zcard(ROAD_DOCUMENTS.listed) == 600:
            break
        await asyncio.sleep(0.05)
    assert await stored(client, "r599") == observation("r599")
    assert 0 < await client.ttl(ROAD_DOCUMENTS.key_of("r599")) <= 300


async def test_a_sink_that_follows_another_can_put_everything_too(
    roads: DocumentsSink, client: Redis, server: RedisServer
) -> None:
    await roads.apply(0, sent(observation("a"), observation("b", 1)), lambda: True)
    roads.release([0])
    following = DocumentsSink(ROADS, load_settings(), client, an_hour_back)
    assert await following.load([0]) == {0: 102}
    server.kill()
    server.start()
    await following.apply(0, sent(observation("b", 2), first=102), lambda: True)
    following.release([0])
    assert await stored(client, "a") == observation("a")
    assert await stored(client, "b") == observation("b", 2)


async def test_what_is_no_observation_costs_no_neighbour(roads: DocumentsSink, client: Redis) -> None:
    wrong_time = observation("w", timestamp="yesterday")
    await roads.apply(0, sent(b"", b"nonsense", b"{}", wrong_time, observation()), lambda: True)
    assert await CurrentRoads(client).keys() == ["a10"]
    assert await roads.load([0]) == {0: 105}
