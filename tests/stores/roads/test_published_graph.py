"""The speeds of the graph in Redis: always the newest, also after Redis was away or lost everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from redis.asyncio import Redis

from models.roads.route_updates import decode_route_update
from tests.stores.redis.redis_server import RedisServer
from tests.tasks import end
from tests.verification.log import read_log
from trafficapp.engine.kafka import create_topics
from trafficapp.engine.outbox import Outbox
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.routing.published import decode_speeds
from trafficapp.roads.routing.usual_speeds import decode_usual
from trafficapp.settings import RoadSettings, Settings, load_settings
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.roads.published_graph import GraphPublisher, graph_channel, graph_key, profile_key
from trafficapp.stores.roads.versioned_document import version_in
from trafficapp.topics import ROUTE_UPDATES, declared_topics

GRAPH: RoadGraph = city_graph(RoadSettings())
EIGHT = datetime(2026, 1, 14, 8, tzinfo=UTC)
FIRST, SECOND = GRAPH.edge_ids[:2].tolist()
EDGES = {"a": [(FIRST, 1.0), ("an edge of another graph", 1.0)], "b": [(SECOND, 0.5)], "nowhere": []}
SPEEDS = {"a": [10.0, 20.0, None, 40.0], "b": [None] * 4, "nowhere": [50.0] * 4}


async def put(publisher: GraphPublisher, made_at: datetime) -> str | None:
    """Publish speeds of a moment; the version that is told."""
    update = await publisher.publish(
        EDGES, SPEEDS, made_at, observed_at=made_at, sources={"a": "model"}, free_flow_kmh={"a": 50.0}
    )
    return None if update is None else update.graph_version


@pytest.fixture(scope="module")
def settings(kafka_bootstrap: str) -> Settings:
    return load_settings(kafka={"bootstrap_servers": kafka_bootstrap, "partitions": 2})


@pytest.fixture
async def outbox(settings: Settings) -> AsyncIterator[Outbox]:
    updates = [topic for topic in declared_topics(settings) if topic.name == ROUTE_UPDATES]
    await create_topics(settings, updates)
    outbox = Outbox(settings)
    yield outbox
    await outbox.stop()


@pytest.fixture
def publisher(client: Redis, outbox: Outbox) -> GraphPublisher:
    return GraphPublisher(client, outbox, GRAPH, "bologna")


async def version_there(client: Redis) -> str | None:
    content = await client.get(graph_key("bologna"))
    return None if content is None else version_in(content)


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(180):
        while not await holds():  # noqa: ASYNC110 - another server changes it
            await asyncio.sleep(0.05)


async def test_a_measured_road_wins_over_what_is_usual_on_its_edge(publisher: GraphPublisher, client: Redis) -> None:
    edges = {"old name": [(FIRST, 1.0), (SECOND, 1.0)], "jam": [(FIRST, 0.3)]}
    speeds = {"old name": [None, 45.0, 45.0, 45.0], "jam": [5.0, 5.0, 5.0, None]}
    await publisher.publish(
        edges,
        speeds,
        EIGHT,
        observed_at=EIGHT,
        sources={"jam": "model", "old name": "time_of_day"},
        free_flow_kmh={"jam": 16.0, "old name": 50.0, "elsewhere": 30.0},
    )
    there = decode_speeds(GRAPH, await client.get(graph_key("bologna")))
    published = there.speeds_kmh
    np.testing.assert_allclose(published[:, 0], [5, 5, 5, 45], rtol=1e-3)
    np.testing.assert_allclose(published[:, 1], [np.nan, 45, 45, 45], rtol=1e-3)
    # each with the free flow of the road that its speed is of
    np.testing.assert_allclose(there.free_flow_kmh[:3], [16, 50, np.nan], rtol=1e-3)


async def test_speeds_go_to_redis_and_the_update_to_kafka(
    publisher: GraphPublisher, client: Redis, settings: Settings
) -> None:
    async with client.pubsub() as heard:
        await heard.subscribe(graph_channel("bologna"))
        seven = EIGHT - timedelta(hours=1)
        update = await publisher.publish(
            EDGES,
            SPEEDS,
            EIGHT,
            observed_at=seven,
            sources={"a": "last_value", "b": "model", "nowhere": "time_of_day"},
            free_flow_kmh={},
        )
        messages = [await heard.get_message(timeout=5) for _ in range(2)]
    assert update is not None
    assert (update.graph_version, update.roads_updated) == ("v20260114080000", 1)
    assert messages[1] is not None
    assert messages[1]["data"] == b"v20260114080000"
    there = decode_speeds(GRAPH, await client.get(graph_key("bologna")))
    assert (there.made_at, there.observed_at) == (EIGHT, seven)
    assert there.sources == {"last_value": 1, "model": 1}
    assert np.nan_to_num(there.speeds_kmh[:, 0]).tolist() == [10, 20, 0, 40]
    assert np.isnan(there.speeds_kmh[:, 1:]).all()
    *_, sent = read_log(settings.kafka.bootstrap_servers, ROUTE_UPDATES)
    assert decode_route_update(sent.value) == update


async def test_versions_rise_within_a_second_and_from_owner_to_owner(
    publisher: GraphPublisher, client: Redis, outbox: Outbox
) -> None:
    versions = [await put(publisher, EIGHT) for _ in range(2)]
    after = GraphPublisher(client, outbox, GRAPH, "bologna")
    versions.append(await put(after, EIGHT - timedelta(seconds=1)))
    assert versions == ["v20260114080000", "v20260114080001", "v20260114080002"]
    assert await version_there(client) == versions[-1]


async def test_what_a_frozen_owner_publishes_late_replaces_nothing(
    publisher: GraphPublisher, client: Redis, outbox: Outbox
) -> None:
    await put(publisher, EIGHT)
    newer = await put(GraphPublisher(client, outbox, GRAPH, "bologna"), EIGHT + timedelta(minutes=5))
    assert await put(publisher, EIGHT + timedelta(minutes=1)) is None
    assert await version_there(client) == newer


async def test_an_owner_who_comes_back_goes_on_behind_the_versions_of_the_other(
    publisher: GraphPublisher, client: Redis, outbox: Outbox, settings: Settings
) -> None:
    now = datetime.now(UTC)
    versions = [await put(publisher, now)]
    # its clock is ahead
    other = GraphPublisher(client, outbox, GRAPH, "bologna")
    versions.append(await put(other, now + timedelta(hours=3)))
    for _ in range(2):
        versions.append(await put(publisher, datetime.now(UTC)))
        assert await version_there(client) == versions[-1]
    assert None not in versions
    assert versions == sorted({str(version) for version in versions})
    log = list(read_log(settings.kafka.bootstrap_servers, ROUTE_UPDATES))
    assert [decode_route_update(record.value).graph_version for record in log[-4:]] == versions


@pytest.mark.parametrize(
    "stored",
    [
        "v20270214080000",
        "v28991231235959",
        "v29991231235959",
        "v99991231235959",
        "v20269999999999",
        "v30000101000000",
        "x",
    ],
)
async def test_no_version_in_redis_holds_the_graph_up(publisher: GraphPublisher, client: Redis, stored: str) -> None:
    versions = []
    for begin in ("before", "after"):
        await client.set(graph_key("bologna"), f'{{"version":"{stored}"')
        versions.append(await put(publisher, datetime.now(UTC)))
        there = decode_speeds(GRAPH, await client.get(graph_key("bologna")))
        assert there.version == versions[-1], begin
    assert str(versions[0]) < str(versions[1])


async def test_the_newest_is_put_when_redis_is_back_and_when_it_is_emptied(
    publisher: GraphPublisher, client: Redis, server: RedisServer
) -> None:
    usual = np.full((24, 2), 33.0)
    await publisher.publish_profile(EDGES, ["a", "b"], usual, usual / 3, "Europe/Rome", EIGHT)
    server.kill()
    # nobody could read them, so nobody is told
    assert [await put(publisher, EIGHT) for _ in range(2)] == [None, None]
    newest = "v20260114080001"
    watching = asyncio.create_task(publisher.watch())

    async def both_there() -> bool:
        try:
            return await version_there(client) == newest and bool(await client.exists(profile_key("bologna")))
        except UNAVAILABLE:
            return False

    server.start()
    await soon(both_there)
    await client.flushall()
    await soon(both_there)
    await end(watching)
    there = decode_usual(GRAPH, await client.get(profile_key("bologna")))
    assert there.speeds_kmh[:, 0].tolist() == [33.0] * 24 + [11.0] * 24
    assert there.part_at(datetime(2026, 7, 1, 22, 30, tzinfo=UTC)) == 0  # half past midnight in Rome
    assert there.part_at(datetime(2026, 7, 3, 22, 30, tzinfo=UTC)) == 24  # on a Saturday there
