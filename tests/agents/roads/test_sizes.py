"""The largest that may come of a road goes through the real broker and both stores; what is larger is a dead letter."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from agents.roads.feed import RoadFeedSink
from models.cameras.detections import MAX_MESSAGE_BYTES
from models.dead_letters import decode_dead_letter
from models.roads.current import MOST_OBSERVATION_BYTES
from models.roads.notifications import decode_notification
from models.roads.predictions import decode_prediction
from models.timestamps import rfc3339
from tests.agents.roads.test_forecasts import City, owner
from tests.roads.feed_messages import message, record, roads
from tests.roads.towns import chain
from tests.verification.log import end_offsets, read_log
from trafficapp.engine.kafka import create_topics
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.state import StateLog
from trafficapp.engine.state_rows import UNTOLD
from trafficapp.engine.telemetry import Telemetry
from trafficapp.roads.feeds import NOTIFIED, PREDICTED, ROAD_DOCUMENTS, ROADS
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.settings import Settings, load_settings
from trafficapp.state_logs import road_feed_state_log
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import PartitionSpan
from trafficapp.stores.roads.observations_sink import HistoryRoadsSink
from trafficapp.topics import DEAD_LETTERS, NOTIFICATIONS, PREDICTIONS, declared_topics, road_observations

#: A name that takes six bytes a character in JSON.
ROAD_ID = "\x01" * 256
#: "true" has another length than "false".
ALWAYS = ((0, 24),)
WAY = chain(1000, 231, road=ROAD_ID)


@pytest.fixture
async def settings(kafka_bootstrap: str, redis_url: str, database_url: str) -> Settings:
    settings = load_settings(
        app_id=f"test-sizes-{secrets.token_hex(4)}",
        kafka={"bootstrap_servers": kafka_bootstrap},
        redis={"url": redis_url},
        postgres={"url": database_url},
        forecast={"settle_seconds": 0.1, "round_seconds": 1},
        roads={"rush_hours": ALWAYS},
        # one observation is enough, and what it raises is told by itself
        notifications={"raise_observations": 1, "grouped": False},
    )
    await asyncio.to_thread(migrate, database_url)
    await create_topics(settings, declared_topics(settings))
    return settings


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


@asynccontextmanager
async def feed_of(settings: Settings, graph: RoadGraph) -> AsyncIterator[tuple[RoadFeedSink, StateLog]]:
    outbox = Outbox(settings)
    state = road_feed_state_log(settings, outbox)
    sink = RoadFeedSink(settings, graph, outbox, state, Telemetry())
    await sink.load([3])
    try:
        yield sink, state
    finally:
        await sink.flush()
        sink.release([3])
        await outbox.stop()


def sent(offset: int, **changes: Any) -> ConsumerRecord[bytes, bytes]:
    """A record of the feed that came now."""
    now_ms = int(time.time()) * 1000
    told = message(**{"timestamp": rfc3339(now_ms * 1000)} | changes)
    key, value = str(told["road_id"]).encode(), json.dumps(told).encode()
    return ConsumerRecord("traffic-raw", 3, offset, now_ms, 1, key, value, None, -1, -1, ())


def log_of(settings: Settings, topic: str, first: int = 0) -> list[ConsumerRecord[bytes, bytes]]:
    found = read_log(settings.kafka.bootstrap_servers, topic)
    return [
        ConsumerRecord(topic, one.partition, one.offset, one.timestamp_ms, 0, one.key, one.value, None, -1, -1, ())
        for one in found
        if one.offset >= first
    ]


def filling(event_id: str = "x" * 256) -> dict[str, Any]:
    """A message whose observation is as large as one may be, when its times are whole seconds."""
    one: dict[str, Any] = {"road_id": ROAD_ID, "event_id": event_id, "jam_factor": 9.9, "current_speed": 3.0}
    outcome = roads(WAY, rush_hours=ALWAYS).apply([record(10, **one, road_name="n")])
    room = MOST_OBSERVATION_BYTES - len(outcome.records[0][1]) + 1
    assert 0 < room <= 1200
    return one | {"road_name": "\x01" * (room // 6) + "n" * (room % 6)}


async def test_the_largest_observation_and_all_that_follows(settings: Settings, redis: Redis) -> None:
    letters = end_offsets(settings.kafka.bootstrap_servers, DEAD_LETTERS).get(3, 0)
    largest = filling()
    async with feed_of(settings, WAY) as (feed, state):
        before = rfc3339((int(time.time()) - 60) * 1_000_000)
        larger = largest | {"road_name": largest["road_name"] + "n", "timestamp": before}
        await feed.apply(3, [sent(10, **largest), sent(11, **larger)], lambda: True)
        await feed.flush()
        # whoever goes on from the changelog knows the road
        again = feed.take_over(3, (await state.load([3]))[3], UNTOLD)
        assert [len(road.edges) for road in again.roads.values()] == [1000]
    (observation,) = await asyncio.to_thread(log_of, settings, road_observations(settings))
    assert len(observation.value or b"") == MOST_OBSERVATION_BYTES
    refused = await asyncio.to_thread(log_of, settings, DEAD_LETTERS, letters)
    assert [decode_dead_letter(one.value or b"").reason for one in refused if one.partition == 3] == ["too_large"]

    city = City(settings)
    async with owner(city, redis) as forecasts:
        await forecasts.apply(0, [observation], lambda: True)
        async with asyncio.timeout(180):
            while not city.told(NOTIFICATIONS):  # noqa: ASYNC110 - others write the topic
                await asyncio.sleep(0.1)
        await forecasts.flush()
        assert (await forecasts.load([0]))[0] == 1
    predictions, notifications = city.told(PREDICTIONS), city.told(NOTIFICATIONS)
    assert {decode_prediction(one).road_id for one in predictions} == {ROAD_ID}
    assert {decode_notification(one).road_id for one in notifications} == {ROAD_ID}
    await keep_and_check(settings, redis, observation, predictions, notifications)


async def keep_and_check(
    settings: Settings,
    redis: Redis,
    observation: ConsumerRecord[bytes, bytes],
    predictions: list[bytes],
    notifications: list[bytes],
) -> None:
    """Both stores take all of it."""

    async def everything(_: object) -> dict[int, PartitionSpan]:
        return {0: PartitionSpan(0, 1)}

    def as_records(values: list[bytes]) -> list[ConsumerRecord[bytes, bytes]]:
        now_ms = time.time_ns() // 1_000_000
        return [ConsumerRecord("", 0, n, now_ms, 0, None, v, None, -1, -1, ()) for n, v in enumerate(values)]

    live = DocumentsSink(ROADS, settings, redis, everything)
    await live.load([0])
    await live.apply(0, [observation], lambda: True)
    live.release([0])
    assert await redis.get(ROAD_DOCUMENTS.key_of(ROAD_ID)) == observation.value
    history = (HistoryRoadsSink(settings), RowsSink(PREDICTED, settings), RowsSink(NOTIFIED, settings))
    for sink, records in zip(history, ([observation], as_records(predictions), as_records(notifications)), strict=True):
        await sink.load([0])
        await sink.apply(0, records, lambda: True)
        assert sink.counters.rows > 0
        assert sink.counters.unreadable == sink.counters.unstorable == 0
        await sink.close()
    async with create_pool(settings.postgres) as pool:
        assert await pool.fetchval("SELECT jsonb_array_length(edges) FROM roads WHERE road_id = $1", ROAD_ID) == 1000


async def test_a_whole_run_of_the_largest_messages(settings: Settings) -> None:
    """Many megabytes at once: they are sent piece by piece, and refused ones are no more than a letter each."""
    letters = end_offsets(settings.kafka.bootstrap_servers, DEAD_LETTERS).get(3, 0)
    largest = filling("y" * 250)
    now_us = int(time.time()) * 1_000_000
    run = []
    for offset in range(100, 200):
        some = largest | {"timestamp": rfc3339(now_us - offset * 1_000_000), "event_id": f"y{offset}"}
        padding = MAX_MESSAGE_BYTES - len(sent(0, **some, more="").value or b"") + offset % 2
        run.append(sent(offset, **some, more="x" * padding))
    async with feed_of(settings, WAY) as (feed, _):
        assert not feed.is_waiting()
        await feed.apply(3, run, lambda: True)
        assert feed.is_waiting()
    told = await asyncio.to_thread(log_of, settings, road_observations(settings))
    assert [len(one.value or b"") > MOST_OBSERVATION_BYTES - 300 for one in told] == [True] * 50
    refused = await asyncio.to_thread(log_of, settings, DEAD_LETTERS, letters)
    reasons = [decode_dead_letter(one.value or b"").reason for one in refused if one.partition == 3]
    assert reasons == ["too_large"] * 50


async def test_a_road_of_thousands_of_edges_is_no_more_than_a_letter(settings: Settings) -> None:
    letters = end_offsets(settings.kafka.bootstrap_servers, DEAD_LETTERS).get(3, 0)
    async with feed_of(settings, chain(5000, 231, road=ROAD_ID)) as (feed, _):
        await feed.apply(3, [sent(300, road_id=ROAD_ID), sent(301, road_id=f"{0:0231d}")], lambda: True)
    (observation,) = await asyncio.to_thread(log_of, settings, road_observations(settings))
    assert observation.key == f"{0:0231d}".encode()
    refused = await asyncio.to_thread(log_of, settings, DEAD_LETTERS, letters)
    assert [decode_dead_letter(one.value or b"").reason for one in refused if one.partition == 3] == ["too_large"]
