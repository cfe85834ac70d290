"""Closed roads over HTTP: routes keep off them and say so, OSRM gets 0, and all of it ends with the closure."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import hdrs

from models.timestamps import epoch_us, rfc3339
from tests.web.conftest import Client, Worker
from tests.web.roads.test_routes import DESTINATION, GRAPH, ORIGIN, QUESTION, ask, loaded, put, soon, under
from trafficapp.roads.routing.routes import Place, RoutePlanner

SECOND = timedelta(seconds=1)


def quickest(origin: dict[str, float] = ORIGIN, destination: dict[str, float] = DESTINATION) -> list[int]:
    """The edges of the quickest way while all is open."""
    found = RoutePlanner(GRAPH).recommend(*(Place(one["lat"], one["lng"]) for one in (origin, destination)))
    return list(found.recommended.edges)


#: In the middle of the way.
EDGE = quickest()[len(quickest()) // 2]
NAME = str(GRAPH.edge_ids[EDGE])


@pytest.fixture
async def client(worker: Worker) -> Client:
    await loaded(worker.client)
    return worker.client


async def exported(client: Client, path: str = "current.csv") -> dict[tuple[str, str], str]:
    text = await (await client.get(f"/export/osrm/{path}")).text()
    return {(one, other): speed for one, other, speed in (line.split(",") for line in text.splitlines())}


def ends(edge: int) -> tuple[str, str]:
    return str(GRAPH.node_ids[GRAPH.edge_from[edge]]), str(GRAPH.node_ids[GRAPH.edge_to[edge]])


def middle(edge: int) -> dict[str, float]:
    begin, end = int(GRAPH.shape_offsets[edge]), int(GRAPH.shape_offsets[edge + 1]) - 1
    return {
        "lat": round(float(GRAPH.shape_lat[begin] + GRAPH.shape_lat[end]) / 2, 5),
        "lng": round(float(GRAPH.shape_lon[begin] + GRAPH.shape_lon[end]) / 2, 5),
    }


async def test_a_route_leaves_a_closed_road_and_comes_back(worker: Worker, client: Client) -> None:
    redis, now = worker.context.redis, datetime.now(UTC)
    before = await under(client, await put(redis, now - 9 * SECOND))
    assert before["avoided"] == []
    told_at = now - 8 * SECOND
    version = await put(redis, now - 8 * SECOND, closed_at={EDGE: told_at})
    closed = await under(client, version)
    assert closed["speeds_from"] == "predictions"
    assert closed["avoided"] == [
        {
            "road_name": GRAPH.road_name(EDGE),
            "edge_ids": [NAME],
            "closed_as_of": rfc3339(epoch_us(told_at)),
            "where": "way",
        }
    ]
    assert closed["recommended_route"]["eta_minutes"] > before["recommended_route"]["eta_minutes"]
    for path in ("current.csv", "predicted.csv?horizon_minutes=20"):
        speeds = await exported(client, path)
        assert {pair for pair, speed in speeds.items() if float(speed) == 0} == {ends(EDGE)}
        assert speeds[ends(EDGE)] == "0"
    after = await under(client, await put(redis, now - 7 * SECOND))
    assert (after["recommended_route"], after["avoided"]) == (before["recommended_route"], [])
    assert (await exported(client))[ends(EDGE)] != "0"


async def test_a_standing_road_is_slow_and_not_closed(worker: Worker, client: Client) -> None:
    answer = await under(client, await put(worker.context.redis, datetime.now(UTC), [NAME]))
    assert answer["avoided"] == []
    assert (await exported(client))[ends(EDGE)] == "2.0"


async def test_what_is_closed_is_so_at_every_departure_and_without_any_speeds(worker: Worker, client: Client) -> None:
    now = datetime.now(UTC)
    changes: dict[str, Any] = {"observed_at": None, "sources": {}}
    await put(worker.context.redis, now, closed_at={EDGE: now}, **changes)

    async def is_known() -> bool:
        return bool((await ask(client))["avoided"])

    await soon(is_known)
    for departure in ("now", rfc3339(epoch_us(now + timedelta(hours=3)))):
        answer = await ask(client, QUESTION | {"departure_time": departure})
        assert answer["speeds_from"] == "free_flow"
        assert [one["edge_ids"] for one in answer["avoided"]] == [[NAME]]
    assert await exported(client) == {ends(EDGE): "0"}


async def test_a_closure_that_was_not_told_again_for_long_is_over(worker: Worker, client: Client) -> None:
    redis, now = worker.context.redis, datetime.now(UTC)
    stale = now - timedelta(minutes=30) + 2 * SECOND
    first = await under(client, await put(redis, now, closed_at={EDGE: stale}))
    assert first["avoided"]

    async def is_over() -> bool:
        # no new version comes: the answer that is kept must not be repeated either
        return not (await ask(client))["avoided"]

    await soon(is_over)
    last = await ask(client)
    assert last["graph_version"] == first["graph_version"]
    # its speed was not told, and so it flows freely
    assert EDGE in quickest()
    assert last["recommended_route"]["distance_km"] < first["recommended_route"]["distance_km"] + 1e-9
    assert ends(EDGE) not in await exported(client)


async def test_no_answer_is_repeated_over_a_road_that_closed(worker: Worker, client: Client) -> None:
    redis, now = worker.context.redis, datetime.now(UTC)
    await under(client, await put(redis, now - SECOND))

    async def is_repeated() -> bool:
        return hdrs.AGE in (await client.post("/route/recommend", json=QUESTION)).headers

    await soon(is_repeated)
    closed = await under(client, await put(redis, now, closed_at={EDGE: now}))
    assert closed["avoided"]
    await soon(is_repeated)
    assert (await ask(client))["avoided"] == closed["avoided"]


async def test_a_place_on_a_closed_road_gets_a_route_beside_it_and_the_answer_says_so(
    worker: Worker, client: Client
) -> None:
    redis, now = worker.context.redis, datetime.now(UTC)
    here = middle(EDGE)
    # both directions of the street, and whatever else is as near
    on = RoutePlanner(GRAPH).index.places_on_roads(here["lat"], here["lng"], 500)
    closed = dict.fromkeys([place.edge for place in on], now)
    await under(client, await put(redis, now, closed_at=closed))
    for question, where in (
        ({"origin": here, "destination": DESTINATION}, "start"),
        ({"origin": ORIGIN, "destination": here}, "end"),
    ):
        answer = await ask(client, question)
        assert where in [one["where"] for one in answer["avoided"]]
        assert len(answer["recommended_route"]["waypoints"]) >= 2


async def test_where_everything_around_is_closed_the_answer_names_it(worker: Worker, client: Client) -> None:
    now = datetime.now(UTC)
    await under(client, await put(worker.context.redis, now - SECOND))
    await put(worker.context.redis, now, closed_at=dict.fromkeys(range(GRAPH.edge_count), now))

    async def is_refused() -> bool:
        return (await client.post("/route/recommend", json=QUESTION)).status == 404

    await soon(is_refused)
    problem = await ask(client, status=404)
    assert "closed to traffic" in problem["detail"]
    await asyncio.sleep(0)
