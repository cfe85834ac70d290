"""Incidents over HTTP: routes keep off them within seconds, emergencies as the city's dashboard reads them, units."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from models.incidents.current import Incident
from models.timestamps import epoch_us, rfc3339
from tests.incidents.places import incident
from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import Worker, serving
from tests.web.roads.test_closed_roads import EDGE, middle
from tests.web.roads.test_routes import DESTINATION, GRAPH, QUESTION, ask, loaded, put, soon
from trafficapp.feeds.declaration import Current
from trafficapp.fleet.feeds import LOCATED
from trafficapp.incidents.feeds import INCIDENT_STEPS
from trafficapp.settings import Settings

SECOND = timedelta(seconds=1)
HERE = middle(EDGE)


def now(ago: float = 0) -> str:
    return rfc3339(epoch_us(datetime.now(UTC) - ago * SECOND))


def on_the_road(incident_id: str = "i", **changes: Any) -> Incident:
    """An incident in the middle of the quickest way."""
    place = {"latitude": HERE["lat"], "longitude": HERE["lng"]}
    return incident(incident_id, **{**place, "updated_at": now(), **changes})


async def tell(worker: Worker, one: Incident) -> None:
    """As the live sink does."""
    current, document = INCIDENT_STEPS.current, msgspec.json.encode(one)
    assert isinstance(current, Current)
    redis = worker.context.redis
    await redis.set(current.key_of(one.incident_id), document, ex=7200)
    await redis.zadd(current.listed, {one.incident_id: epoch_us(one.updated_at) / 1e6})
    await redis.publish(current.channel, b"[" + document + b"]")


class Located(Struct, frozen=True, kw_only=True):
    """Where a vehicle is, as the fleet tells it."""

    vehicle_id: str
    latitude: float
    longitude: float
    timestamp: str
    vehicle_type: str | None = None
    received_at: str | None = None


@pytest.fixture
async def city_worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    """A worker that knows where vehicles are."""
    async with serving(settings, redis_server) as worker:
        await loaded(worker.client)
        yield worker


# ---------------------------------------------------------------------- routes


def of_kind(answer: dict[str, Any], where: str) -> list[str]:
    return [one["incident_id"] for one in answer["incidents"] if one["where"] == where]


async def test_routes_keep_off_incidents_and_come_back(city_worker: Worker) -> None:
    client = city_worker.client
    before = await ask(client)
    assert before["incidents"] == []
    await tell(city_worker, on_the_road(state="reported", closed=True))
    await tell(city_worker, on_the_road("other", latitude=44.0))
    assert (await ask(client))["recommended_route"] == before["recommended_route"]

    await tell(city_worker, on_the_road(closed=True, incident_type="road_closure"))

    async def is_closed() -> bool:
        return bool((await ask(client))["avoided"])

    await soon(is_closed)
    closed = await ask(client)
    assert str(GRAPH.edge_ids[EDGE]) in closed["avoided"][0]["edge_ids"]
    assert closed["incidents"] == [
        {
            "incident_id": "i",
            "incident_type": "road_closure",
            "severity": "high",
            "road_name": GRAPH.road_name(EDGE),
            "closed": True,
            "speed_share": None,
            "where": "avoided",
        }
    ]
    assert closed["recommended_route"]["eta_minutes"] > before["recommended_route"]["eta_minutes"]
    effects = await (await client.get("/api/incidents/effects")).json()
    assert [(one["incident_id"], one["closed"]) for one in effects] == [("i", True)]
    assert str(GRAPH.edge_ids[EDGE]) in effects[0]["edge_ids"]
    exported = await (await client.get("/export/osrm/current.csv")).text()
    assert any(line.endswith(",0") for line in exported.splitlines())
    tomorrow = QUESTION | {"departure_time": rfc3339(epoch_us(datetime.now(UTC) + timedelta(hours=20)))}
    assert of_kind(await ask(client, tomorrow), "avoided") == ["i"]

    await tell(city_worker, on_the_road(state="cleared", closed=True))

    async def is_over() -> bool:
        return not (await ask(client))["avoided"]

    await soon(is_over)
    after = await ask(client)
    assert (after["recommended_route"], after["incidents"]) == (before["recommended_route"], [])
    # a step that comes out of order closes nothing again
    await tell(city_worker, on_the_road(closed=True, updated_at=now(60)))
    await tell(city_worker, on_the_road("last", closed=True))
    await soon(is_closed)
    assert of_kind(await ask(client), "avoided") == ["last"]


async def test_an_accident_slows_its_road_for_those_who_leave_soon(city_worker: Worker) -> None:
    client = city_worker.client
    await put(city_worker.context.redis, datetime.now(UTC) - SECOND)
    for where, severity in (("route", "low"), ("avoided", "critical")):
        # where the road is slow enough another way is quicker; where it hardly is, it takes a little longer
        await tell(city_worker, on_the_road(where, severity=severity))

        async def is_met(where: str = where) -> bool:
            return bool((await ask(client))["incidents"])

        await soon(is_met)
        answer = await ask(client)
        (met,) = (one for one in answer["incidents"] if one["incident_id"] == where)
        assert (met["closed"], met["speed_share"]) == (False, {"low": 0.95, "critical": 0.35}[severity])
        await tell(city_worker, on_the_road(where, state="normal"))
    await tell(city_worker, on_the_road("slow", severity="critical"))

    async def is_slow() -> bool:
        return [one["incident_id"] for one in (await ask(client))["incidents"]] == ["slow"]

    await soon(is_slow)
    later = QUESTION | {"departure_time": rfc3339(epoch_us(datetime.now(UTC) + timedelta(hours=2)))}
    assert (await ask(client, later))["incidents"] == []


async def test_a_worker_that_starts_later_knows_what_is_in_the_way(
    settings: Settings, redis_server: RedisServer
) -> None:
    async with serving(settings, redis_server) as worker:
        await tell(worker, on_the_road(closed=True))
    async with serving(settings, redis_server) as worker:
        await loaded(worker.client)

        async def is_closed() -> bool:
            return bool((await ask(worker.client))["avoided"])

        await soon(is_closed)


# ---------------------------------------------------------------------- units


async def locate(worker: Worker, *vehicles: Located) -> None:
    for one in vehicles:
        await worker.context.redis.set(LOCATED.key_of(one.vehicle_id), msgspec.json.encode(one), ex=3600)
        await worker.context.redis.zadd(LOCATED.listed, {one.vehicle_id: epoch_us(one.timestamp) / 1e6})


def located(vehicle_id: str, kind: str | None, place: dict[str, float] = DESTINATION, **changes: Any) -> Located:
    told = {"timestamp": now(10), "vehicle_type": kind} | changes
    return Located(vehicle_id=vehicle_id, latitude=place["lat"], longitude=place["lng"], **told)


async def test_the_nearest_units_are_those_that_get_there_first(city_worker: Worker) -> None:
    client = city_worker.client
    await tell(city_worker, on_the_road("i/1", closed=True))
    path = f"/api/incidents/{'i/1'.replace('/', '%2F')}/units"
    assert await (await client.get(path)).json() == []
    await locate(
        city_worker,
        located("bus", "bus", HERE),
        located("old", "police", HERE, timestamp=now(301)),
        located("slow-clock", "police", HERE, timestamp=now(-3600), received_at=now(400)),
        located("here", "police", HERE),
        located("there", "Ambulance", received_at=now(5), timestamp=now(-3600)),
        located("off", "fire", {"lat": 40.0, "lng": 11.0}),
    )
    found = await (await client.get(path)).json()
    assert [(one["unit_id"], one["unit_type"]) for one in found] == [("here", "police"), ("there", "ambulance")]
    assert found[0]["eta_seconds"] < 5 < found[1]["eta_seconds"]
    assert found[1]["distance_m"] > 100
    await locate(
        city_worker, located("bus", "fire", HERE), located("more", "fire", HERE), located("most", "fire", HERE)
    )
    assert len(await (await client.get(path)).json()) == 3
    assert len(await (await client.get(f"{path}?limit=1")).json()) == 1
    await tell(city_worker, on_the_road("far", latitude=10.0))
    for unknown in ("nothing", "far"):
        assert (await client.get(f"/api/incidents/{unknown}/units")).status == 404


# ---------------------------------------------------------------------- emergencies


async def test_active_emergencies_are_what_the_citys_dashboard_reads(city_worker: Worker) -> None:
    client = city_worker.client
    assert await (await client.get("/api/emergencies/active")).json() == []
    changes = {"status": "responding", "state": "responding", "incident_type": "Theft", "severity": "low"}
    for one in (
        on_the_road("b", is_emergency=True),
        on_the_road("a", is_emergency=True, **changes),
        on_the_road("over", is_emergency=True, state="normal", status="resolved"),
        on_the_road("c"),
    ):
        await tell(city_worker, one)

    async def are_there() -> bool:
        return bool(await (await client.get("/api/emergencies/active")).json())

    await soon(are_there)
    answer = await client.get("/api/emergencies/active")
    listed = await answer.json()
    assert listed[0] == {
        "incident_id": "a",
        "incident_type": "Theft",
        "latitude": HERE["lat"],
        "longitude": HERE["lng"],
        "severity": "low",
        "status": "responding",
        "timestamp": "2026-01-14T12:00:00Z",
    }
    assert [one["incident_id"] for one in listed] == ["a", "b"]
    first = await client.get("/api/emergencies/active?limit=1")
    assert [one["incident_id"] for one in await first.json()] == ["a"]
    second = await client.get(first.links["next"]["url"].relative())
    assert [one["incident_id"] for one in await second.json()] == ["b"]
    assert "next" not in second.links


# ---------------------------------------------------------------------- reports and actions


REPORT = {"incident_type": "accident", "latitude": HERE["lat"], "longitude": HERE["lng"]}


@pytest.mark.parametrize(
    ("wrong", "status", "words"),
    [
        ({"incident_type": "ufo"}, 422, "incident_type"),
        ({"latitude": 144.5}, 422, "latitude"),
        ({"latitude": "north"}, 422, "latitude"),
        ({"latitude": HERE["lng"], "longitude": HERE["lat"]}, 422, "they look swapped"),
        ({"latitude": 10.0}, 422, "outside the city"),
        ({"severity": 6}, 422, "severity"),
        ({"heading": 361}, 422, "heading"),
        ({"description": "x" * 2001}, 422, "description"),
        ({"description": "a\u202eb"}, 422, "description"),
        ({"timestamp": "yesterday"}, 422, "neither ISO 8601"),
        ({"timestamp": "2020-01-01T00:00:00Z"}, 422, "minutes ago"),
        ({"timestamp": "2999-01-01T00:00:00Z"}, 422, "ahead"),
        (None, 422, "incident_type"),
        ("{", 400, "no JSON"),
    ],
)
async def test_a_bad_report_is_refused_with_what_is_wrong(
    bounded_worker: Worker, wrong: Any, status: int, words: str
) -> None:
    body = json.dumps({} if wrong is None else REPORT | wrong) if not isinstance(wrong, str) else wrong
    answer = await bounded_worker.client.post(
        "/api/incidents/report", data=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status == status
    assert answer.content_type == "application/problem+json"
    assert words in (await answer.json())["detail"]


@pytest.fixture
async def bounded_worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    """A worker of a city with bounds; Kafka is away."""
    bounds = {"bounds": (44.0, 11.0, 45.0, 12.0)}
    changed = settings.model_copy(update={"city": settings.city.model_copy(update=bounds)})
    async with serving(changed, redis_server) as worker:
        yield worker


async def test_a_caller_may_report_a_few_times_and_nothing_is_accepted_without_kafka(
    bounded_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.incidents.publishing.ACKNOWLEDGED_WITHIN_SECONDS", 0.05)
    statuses = [(await bounded_worker.client.post("/api/incidents/report", json=REPORT)).status for _ in range(6)]
    assert statuses == [503] * 5 + [429]
    answer = await bounded_worker.client.post("/api/incidents/report", json=REPORT)
    assert "more than 6 reports a minute" in (await answer.json())["detail"]
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    # bad ones cost nothing, and reading goes on
    assert (await bounded_worker.client.get("/api/emergencies/active")).status == 200
