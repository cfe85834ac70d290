"""``POST /route/recommend``: under the newest speeds on every worker, whatever happens to what publishes them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from aiohttp import hdrs
from redis.asyncio import Redis

from models.timestamps import epoch_us, rfc3339
from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import Client, Worker, serving
from trafficapp.engine.kafka import create_topics
from trafficapp.engine.outbox import Outbox
from trafficapp.roads.graph.earth import metres_along
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.graph.versions import version_at
from trafficapp.roads.routing.congestion import Level, RouteCongestion
from trafficapp.roads.routing.published import PublishedSpeeds, encode_speeds
from trafficapp.roads.routing.routes import Place, RoutePlanner, Unreachable
from trafficapp.roads.routing.weights import HORIZONS_SECONDS
from trafficapp.settings import RoadSettings, Settings, load_settings
from trafficapp.stores.roads.published_graph import GraphPublisher, graph_channel, graph_key
from trafficapp.stores.roads.recent_routes import recent_routes
from trafficapp.topics import ROUTE_UPDATES, declared_topics
from web.roads.routes import in_words

GRAPH: RoadGraph = city_graph(RoadSettings())
ROADS: dict[str, list[tuple[str, float]]] = {edge: [(edge, 1.0)] for edge in GRAPH.edge_ids.tolist()}


def with_a_choice() -> tuple[dict[str, float], dict[str, float]]:
    """Two places between which there are several ways."""
    planner, rng = RoutePlanner(GRAPH), np.random.default_rng(1)
    while True:
        nodes = rng.integers(GRAPH.node_count, size=2).tolist()
        one, other = (
            Place(round(float(GRAPH.node_lat[node]), 5), round(float(GRAPH.node_lon[node]), 5)) for node in nodes
        )
        with contextlib.suppress(Unreachable):
            if planner.recommend(one, other).alternatives:
                return {"lat": one.lat, "lng": one.lon}, {"lat": other.lat, "lng": other.lon}


ORIGIN, DESTINATION = with_a_choice()
QUESTION = {"origin": ORIGIN, "destination": DESTINATION, "departure_time": "now"}


async def ask(client: Client, question: Any = QUESTION, status: int = 200) -> dict[str, Any]:
    response = await client.post("/route/recommend", json=question)
    body: dict[str, Any] = await response.json()
    assert response.status == status, body
    return body


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(180):
        while not await holds():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.02)


async def loaded(client: Client) -> None:
    async def answers() -> bool:
        return (await client.post("/route/recommend", json=QUESTION)).status != 503

    await soon(answers)


async def under(client: Client, version: str, question: Any = QUESTION) -> dict[str, Any]:
    """The first answer under a version."""
    answer: dict[str, Any] = {}

    async def is_used() -> bool:
        answer.update(await ask(client, question))
        return bool(answer["graph_version"] == version)

    await soon(is_used)
    return answer


def roads(route: dict[str, Any]) -> set[str]:
    return {point["road_name"] for point in route["waypoints"]}


async def put(redis: Redis, made_at: datetime, jammed: Sequence[str] = (), **changes: Any) -> str:
    """Publish speeds as another worker does: measured just then, every road flows freely but some."""
    speeds = np.tile(GRAPH.free_flow_kmh, (len(HORIZONS_SECONDS), 1))
    speeds[:, [GRAPH.position_of_edge[edge] for edge in jammed]] = 2.0
    published = PublishedSpeeds(
        version=version_at(made_at),
        publisher="another",
        made_at=made_at,
        observed_at=made_at,
        sources={"model": GRAPH.edge_count},
        horizons_seconds=HORIZONS_SECONDS,
        speeds_kmh=speeds,
        free_flow_kmh=np.full(GRAPH.edge_count, np.nan),
    )
    published = replace(published, **changes)
    await redis.set(graph_key("bologna"), encode_speeds(GRAPH, published))
    await redis.publish(graph_channel("bologna"), published.version)
    return published.version


async def publish(
    publisher: GraphPublisher,
    speeds: dict[str, list[float | None]],
    free_flow_kmh: dict[str, float] | None = None,
) -> str:
    """Publish measured speeds of all roads; the version."""
    now = datetime.now(UTC)
    update = await publisher.publish(
        ROADS,
        speeds,
        now,
        observed_at=now,
        sources=dict.fromkeys(ROADS, "model"),
        free_flow_kmh=free_flow_kmh or {},
    )
    assert update is not None
    return update.graph_version


@pytest.fixture
async def client(worker: Worker) -> Client:
    await loaded(worker.client)
    return worker.client


@pytest.fixture
async def outbox(kafka_bootstrap: str) -> AsyncIterator[Outbox]:
    settings = load_settings(kafka={"bootstrap_servers": kafka_bootstrap, "partitions": 2})
    await create_topics(settings, [topic for topic in declared_topics(settings) if topic.name == ROUTE_UPDATES])
    outbox = Outbox(settings)
    yield outbox
    await outbox.stop()


async def test_without_any_speeds_roads_flow_freely_and_the_answer_says_so(client: Client) -> None:
    answer = await ask(client)
    assert (answer["graph_version"], answer["speeds_from"]) == ("free-flow", "free_flow")
    assert "no speeds have been published" in answer["note"]
    route = answer["recommended_route"]
    assert route["congestion_summary"]["known_share"] == 0
    assert route["congestion_summary"]["text"] == "Flows freely."
    assert route["eta_minutes"] > 0
    assert (route["waypoints"][0]["lat"], route["waypoints"][0]["lng"]) == pytest.approx(
        tuple(ORIGIN.values()), abs=2e-3
    )


async def test_from_and_to_roads_without_a_way_the_answer_says_how_far_its_ends_were_moved(client: Client) -> None:
    """At the border of this network roads lead only out of it, or only into it."""
    out_of, into = (
        next(edge for edge in range(GRAPH.edge_count) if not turns[edge])
        for turns in (GRAPH.turns_out_of, GRAPH.turns_into)
    )
    # what ends at the border, and what begins there
    origin, destination = GRAPH.edge_to[out_of], GRAPH.edge_from[into]
    places = [
        {"lat": float(GRAPH.node_lat[node]), "lng": float(GRAPH.node_lon[node])} for node in (origin, destination)
    ]
    answer = await ask(client, {"origin": places[0], "destination": places[1]})
    waypoints = answer["recommended_route"]["waypoints"]
    for place, point, told in (
        (places[0], waypoints[0], answer["origin_moved_m"]),
        (places[1], waypoints[-1], answer["destination_moved_m"]),
    ):
        apart = metres_along(*(np.array([value]) for value in (*place.values(), point["lat"], point["lng"])))[0]
        assert told == pytest.approx(apart, abs=1.0)
    assert ("next to the origin" in answer["moved_note"]) == (answer["origin_moved_m"] > 50)
    assert ("next to the destination" in answer["moved_note"]) == (answer["destination_moved_m"] > 50)
    usual = await ask(client)
    assert usual["origin_moved_m"] >= 0


@pytest.mark.parametrize(
    ("level", "delay_seconds", "eta_seconds", "text"),
    [
        ("low", 40.0, 600.0, "Flows freely."),
        ("low", 40.0, 110.0, "Light traffic."),
        ("low", 100.0, 270.0, "Light traffic, 2 min longer than on the empty road, most of it on a204."),
        ("medium", 40.0, 80.0, "Slow traffic."),
        ("high", 600.0, 700.0, "Heavy congestion, 10 min longer than on the empty road, most of it on a204."),
    ],
)
def test_a_route_flows_freely_only_where_next_to_no_time_is_lost(
    level: Level, delay_seconds: float, eta_seconds: float, text: str
) -> None:
    assert in_words(RouteCongestion(level, delay_seconds, 0.0, 0.0, 1.0, "a204"), eta_seconds) == text


async def test_a_jam_is_avoided_on_every_worker_and_when_it_clears_the_route_comes_back(
    worker: Worker, settings: Settings, redis_server: RedisServer, outbox: Outbox
) -> None:
    publisher = GraphPublisher(worker.context.redis, outbox, GRAPH, "bologna")
    async with serving(settings, redis_server) as other:
        clients = [worker.client, other.client]
        for client in clients:
            await loaded(client)
        free: dict[str, list[float | None]] = {
            edge: [float(speed)] * 4 for edge, speed in zip(GRAPH.edge_ids.tolist(), GRAPH.free_flow_kmh, strict=True)
        }
        version = await publish(publisher, free)
        before = [await under(client, version) for client in clients]
        assert before[0]["recommended_route"] == before[1]["recommended_route"]
        assert (before[0]["speeds_from"], before[0]["note"], before[0]["jams"]) == ("predictions", None, [])
        usual = before[0]["recommended_route"]
        detour = before[0]["alternatives"][0]
        jammed = sorted(roads(usual) - roads(detour))
        jam = free | {edge: [2.0, 2.0, 2.0, 2.0] for edge in jammed}
        version = await publish(publisher, jam)
        for client in clients:
            during = await under(client, version)
            assert roads(during["recommended_route"]).isdisjoint(jammed)
            assert during["recommended_route"]["congestion_summary"]["level"] == "low"
            assert {jam["road_name"] for jam in during["jams"]} <= set(jammed)
            assert max(jam["delay_minutes"] for jam in during["jams"]) >= 0.5
        version = await publish(publisher, free)
        for client in clients:
            after = await under(client, version)
            assert (after["recommended_route"]["waypoints"], after["jams"]) == (usual["waypoints"], [])


async def test_congestion_is_measured_against_the_free_flow_of_the_feed(
    worker: Worker, client: Client, outbox: Outbox
) -> None:
    """A road that flows as fast as it can is not congested, however fast the graph has it; now and as usual."""
    publisher = GraphPublisher(worker.context.redis, outbox, GRAPH, "bologna")
    limits = dict(zip(GRAPH.edge_ids.tolist(), GRAPH.free_flow_kmh.tolist(), strict=True))
    fifth = {edge: limit * 0.2 for edge, limit in limits.items()}
    everywhere = np.tile(np.array(list(fifth.values())), (288, 1))
    # versions are of seconds: that of the speeds must be another one
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    await publisher.publish_profile(ROADS, list(fifth), everywhere, None, "Europe/Rome", an_hour_ago)
    speeds: dict[str, list[float | None]] = {edge: [speed] * 4 for edge, speed in fifth.items()}
    for days, free_flow_kmh, level, text in ((1, fifth, "low", "Flows freely."), (2, limits, "high", "Heavy")):
        version = await publish(publisher, speeds, free_flow_kmh)
        another_day = QUESTION | {"departure_time": rfc3339(epoch_us(datetime.now(UTC) + timedelta(days=days)))}
        now, later = await under(client, version), await ask(client, another_day)
        assert (now["speeds_from"], later["speeds_from"]) == ("predictions", "usual_speeds")
        for answer in (now, later):
            route = answer["recommended_route"]
            told = route["congestion_summary"]
            assert told["known_share"] == 1
            assert told["high_km"] == pytest.approx(route["distance_km"] if level == "high" else 0, abs=0.002)
            assert (told["medium_km"], told["level"]) == (0, level)
            assert told["text"].startswith(text)
            assert (told["delay_minutes"] > 1) == (level == "high")


async def test_each_answer_is_of_one_version_while_versions_change(worker: Worker, client: Client) -> None:
    now = datetime.now(UTC) - timedelta(minutes=1)
    first = await put(worker.context.redis, now)
    free = await under(client, first)
    jammed = sorted(roads(free["recommended_route"]) - roads(free["alternatives"][0]))
    versions = {first: 0}

    async def publish() -> None:
        for number in range(1, 9):
            jam = jammed if number % 2 else ()
            versions[await put(worker.context.redis, now + timedelta(seconds=number), jam)] = number
            await asyncio.sleep(0.05)

    publishing = asyncio.create_task(publish())
    seen = set()
    while not publishing.done():
        # other ends each time, so that no answer is repeated
        questions = [QUESTION | {"origin": {**ORIGIN, "lat": ORIGIN["lat"] + 1e-5 * i}} for i in range(6)]
        for answer in await asyncio.gather(*(ask(client, question) for question in questions)):
            number = versions.get(answer["graph_version"])
            assert number is not None
            seen.add(number)
            assert roads(answer["recommended_route"]).isdisjoint(jammed) == bool(number % 2)
    await publishing
    assert len(seen) > 1


@pytest.mark.parametrize("damage", ["truncated", "of another graph", "no version", "not a document"])
async def test_a_document_that_does_not_fit_changes_nothing(worker: Worker, client: Client, damage: str) -> None:
    redis = worker.context.redis
    now = datetime.now(UTC)
    good = await put(redis, now - timedelta(seconds=30))
    await under(client, good)
    await put(redis, now)
    content: Any = await redis.get(graph_key("bologna"))
    document = json.loads(content)
    bad = {
        "truncated": content[: len(content) // 2],
        "of another graph": json.dumps(document | {"graph_version": "0" * 12}),
        "no version": json.dumps(document | {"version": "newest"}),
        "not a document": b"\x80\x04N.",
    }[damage]
    await redis.delete(graph_key("bologna"))
    await redis.set(graph_key("bologna"), bad)
    await redis.publish(graph_channel("bologna"), "new")
    refused = worker.context.telemetry.graph_refused

    async def is_refused() -> bool:
        return refused.collect()[0].samples[0].value >= 1

    if damage != "of another graph":  # that has the version that was just taken over
        await soon(is_refused)
    assert (await ask(client))["speeds_from"] == "predictions"
    newest = await put(redis, now + timedelta(seconds=1))
    await under(client, newest)


async def test_an_emptied_redis_leaves_the_newest_in_use(worker: Worker, client: Client) -> None:
    version = await put(worker.context.redis, datetime.now(UTC))
    await under(client, version)
    await worker.context.redis.flushall()
    await worker.context.redis.publish(graph_channel("bologna"), "gone")
    await asyncio.sleep(0.1)
    assert (await ask(client))["graph_version"] == version
    worker.redis_server.kill()
    assert (await ask(client))["graph_version"] == version


async def test_old_speeds_count_as_unknown(worker: Worker, client: Client, outbox: Outbox) -> None:
    made_at = datetime.now(UTC) - timedelta(minutes=31)
    await put(worker.context.redis, made_at)

    async def is_known() -> bool:
        return "older than 30 minutes" in ((await ask(client))["note"] or "")

    await soon(is_known)
    answer = await ask(client)
    assert (answer["graph_version"], answer["speeds_from"]) == ("free-flow", "free_flow")
    # usual speeds take over, now and for later departures
    publisher = GraphPublisher(worker.context.redis, outbox, GRAPH, "bologna")
    half = np.tile(GRAPH.free_flow_kmh / 2, (288, 1))
    await publisher.publish_profile(ROADS, GRAPH.edge_ids.tolist(), half, None, "Europe/Rome", datetime.now(UTC))

    async def is_usual() -> bool:
        return (await ask(client))["speeds_from"] == "usual_speeds"

    await soon(is_usual)
    slow = await ask(client)
    assert slow["recommended_route"]["eta_minutes"] > 1.3 * answer["recommended_route"]["eta_minutes"]
    # not in the same second: usual speeds have a version of their own
    version = await put(worker.context.redis, datetime.now(UTC) - timedelta(minutes=1))
    await under(client, version)
    for minutes, source in ((29, "predictions"), (31, "usual_speeds"), (60 * 24 * 6, "usual_speeds")):
        departure = rfc3339(epoch_us(datetime.now(UTC) + timedelta(minutes=minutes)))
        later = await ask(client, QUESTION | {"departure_time": departure})
        assert (later["speeds_from"], later["departure_time"]) == (source, departure)


async def test_speeds_of_which_nothing_was_measured_lately_are_no_predictions_however_new(
    worker: Worker, client: Client
) -> None:
    redis, now = worker.context.redis, datetime.now(UTC)
    usual = {"sources": {"time_of_day": GRAPH.edge_count}, "observed_at": now - timedelta(minutes=20)}
    nothing = {"observed_at": None, "sources": {}, "speeds_kmh": np.full((4, GRAPH.edge_count), np.nan)}
    # the last one is of another publisher, whose clock is a day behind: that holds nobody up
    for ago, note, changes in (
        (9, "no road was measured lately", usual),
        (8, "older than 30 minutes", {"observed_at": now - timedelta(minutes=31)}),
        (7, "no speed has been measured yet", nothing),
        (6, None, {}),
        (86_400, "3 of 10 roads", {"publisher": "other", "sources": {"model": 7, "time_of_day": 3}}),
    ):
        version = await put(redis, now - timedelta(seconds=ago), **({"observed_at": now} | changes))

        async def is_told(note: str | None = note) -> bool:
            told = (await ask(client))["note"]
            return told is None if note is None else note in (told or "")

        await soon(is_told)
        answer = await ask(client)
        believed = note is None or note.startswith("3")
        assert answer["speeds_from"] == ("predictions" if believed else "free_flow")
        assert answer["graph_version"] == (version if believed else "free-flow")
        exported = await client.get("/export/osrm/current.csv")
        assert exported.headers["X-Graph-Version"] == (version if believed else "none")


async def test_an_answer_is_repeated_under_the_same_version_only(worker: Worker, client: Client) -> None:
    redis = worker.context.redis
    version = await put(redis, datetime.now(UTC) - timedelta(seconds=5))
    first = await under(client, version)
    del first["departure_time"]
    key = f"route:cache:{ORIGIN['lat']:.5f},{ORIGIN['lng']:.5f}:{DESTINATION['lat']:.5f},{DESTINATION['lng']:.5f}"

    async def is_repeated() -> bool:
        again = await client.post("/route/recommend", json=QUESTION)
        answer = await again.json()
        del answer["departure_time"]
        assert answer == first
        return hdrs.AGE in again.headers

    await soon(is_repeated)
    assert 0 < await redis.ttl(key) <= 300
    # not that of another city or graph
    kept = json.loads(await redis.get(key))
    assert kept["version"] == f"bologna {GRAPH.version} {version}"
    await redis.set(key, json.dumps(kept | {"version": f"elsewhere {GRAPH.version} {version}"}))
    assert hdrs.AGE not in (await client.post("/route/recommend", json=QUESTION)).headers
    newer = await put(redis, datetime.now(UTC))
    await under(client, newer)
    # another departure, another answer
    departure = rfc3339(epoch_us(datetime.now(UTC) + timedelta(minutes=20)))
    assert (await ask(client, QUESTION | {"departure_time": departure}))["departure_time"] == departure


async def test_who_is_on_the_way_is_remembered(worker: Worker, client: Client) -> None:
    answer = await ask(client)
    name = answer["recommended_route"]["waypoints"][1]["road_name"]

    async def is_noted() -> bool:
        await ask(client)
        return (await recent_routes(worker.context.redis)).count_through([name]) == 1

    await soon(is_noted)


async def test_without_redis_there_is_an_answer(worker: Worker, client: Client) -> None:
    worker.redis_server.kill()
    assert (await ask(client))["speeds_from"] == "free_flow"


IN_HANOI = {"lat": 21.0, "lng": 105.8}


@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        ({"origin": IN_HANOI}, 404, "no road of bologna within 500 m"),
        ({"origin": {"lat": 44.53, "lng": 11.32}}, 404, "the nearest is 2"),
        ({"origin": {"lat": ORIGIN["lng"], "lng": ORIGIN["lat"]}}, 404, "seem to be swapped"),
        ({"destination": ORIGIN}, 400, "same place"),
        ({"origin": None}, 422, r"\$\.origin"),
        ({"origin": {"lat": 91, "lng": 11}}, 422, r"\$\.origin\.lat"),
        ({"origin": {"lat": 44.5, "lon": 11.3}}, 422, "lng"),
        ({"departure_time": "soon"}, 400, "neither 'now' nor ISO 8601"),
        ({"departure_time": "2020-01-01T00:00:00Z"}, 400, "is past"),
        ({"departure_time": "2120-01-01T00:00:00Z"}, 400, "7 days"),
        ({"departure_time": "0001-01-01T00:00:00+23:00"}, 400, "neither"),
    ],
)
async def test_what_is_wrong_is_told(client: Client, change: dict[str, Any], status: int, detail: str) -> None:
    body = await ask(client, QUESTION | change, status)
    assert body["status"] == status
    assert re.search(detail, body["detail"]), body


async def test_a_damaged_graph_is_told_and_the_worker_works(
    settings: Settings, redis_server: RedisServer, tmp_path: Any
) -> None:
    (tmp_path / "graph.npz").write_bytes(b"PK")
    broken = settings.model_copy(update={"roads": RoadSettings(graph=tmp_path)})
    async with serving(broken, redis_server) as worker:

        async def is_told() -> bool:
            return "damaged" in (await ask(worker.client, status=503))["detail"]

        await soon(is_told)
        assert (await worker.client.get("/cameras")).status == 200


async def test_speeds_for_osrm(worker: Worker, client: Client) -> None:
    empty = await client.get("/export/osrm/current.csv")
    assert (empty.status, await empty.text(), empty.headers["X-Graph-Version"]) == (200, "", "none")
    edge = str(GRAPH.edge_ids[3])
    version = await put(worker.context.redis, datetime.now(UTC), [edge])
    await under(client, version)
    ends = GRAPH.node_ids[[GRAPH.edge_from[3], GRAPH.edge_to[3]]].tolist()
    for path in ("current.csv", "predicted.csv?horizon_minutes=20"):
        response = await client.get(f"/export/osrm/{path}")
        assert (response.content_type, response.headers["X-Graph-Version"]) == ("text/csv", version)
        lines = [line.split(",") for line in (await response.text()).splitlines()]
        assert {(one, other): speed for one, other, speed in lines}[tuple(ends)] == "2.0"
        pairs = set(zip(GRAPH.edge_from.tolist(), GRAPH.edge_to.tolist(), strict=True))
        assert len(lines) == len(pairs)
    assert (await client.get("/export/osrm/predicted.csv?horizon_minutes=15")).status == 400


async def test_whoever_starts_in_the_middle_of_a_change_answers_under_what_stands_in_redis(
    worker: Worker, settings: Settings, redis_server: RedisServer
) -> None:
    """A swap is one assignment in a worker and one script in Redis: a kill leaves the old version or the new one."""
    redis = worker.context.redis
    first = await put(redis, datetime.now(UTC) - timedelta(seconds=9))
    async with serving(settings, redis_server) as stopped:
        await loaded(stopped.client)
        # ended while it takes a version over
        newer = await put(redis, datetime.now(UTC))
    assert newer > first
    async with serving(settings, redis_server) as after:
        await loaded(after.client)
        await under(after.client, newer)
    await loaded(worker.client)
    await under(worker.client, newer)
