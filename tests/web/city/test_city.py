"""The city as a whole over HTTP and ``/ws/realtime``, by the steps of its dashboard: a page of another origin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import ClientWebSocketResponse, WSCloseCode, WSMsgType
from msgspec import Struct, structs

from models.timestamps import epoch_us, rfc3339
from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import Worker, serving
from trafficapp.feeds.declaration import Current, Feed
from trafficapp.fleet.feeds import POSITIONS
from trafficapp.incidents.feeds import INCIDENT_STEPS
from trafficapp.quality.feeds import SOURCES
from trafficapp.roads.feeds import ROADS
from trafficapp.settings import Settings
from trafficapp.stores.city.overview import CityReckoning, road_key
from trafficapp.stores.feeds.current import current_of
from trafficapp.weather.feeds import CURRENT_WEATHER

PAGE = "https://city.example.org"
LINE = [(11.3, 44.5), (11.3, 44.51)]


def now() -> str:
    return rfc3339(epoch_us(datetime.now(UTC)))


async def tell(worker: Worker, feed: Feed[Any], message: Struct) -> None:
    """As the live sink does."""
    current, document = feed.current, msgspec.json.encode(message)
    assert isinstance(current, Current)
    key = getattr(message, feed.key)
    await worker.context.redis.set(current.key_of(key), document, ex=current.seconds)
    await worker.context.redis.zadd(current.listed, {key: datetime.now(UTC).timestamp()})
    if current.channel is not None:
        await worker.context.redis.publish(current.channel, b"[" + document + b"]")


def road(road_id: str, speed_kmh: float) -> Struct:
    here = {"coordinates": LINE, "timestamp": now(), "record_timestamp": now(), "confidence": 0.95}
    return structs.replace(ROADS.sample, road_id=road_id, current_speed=speed_kmh, free_flow_speed=50.0, **here)


def vehicle(vehicle_id: str, seconds_ago: float = 0.0, **changes: Any) -> Struct:
    heard = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    here = {"latitude": 44.505, "longitude": 11.3, "direction": 1.0, "received_at": heard, "timestamp": heard}
    return structs.replace(POSITIONS.sample, vehicle_id=vehicle_id, **{**here, **changes})


def incident(incident_id: str, **changes: Any) -> Struct:
    told = {"is_emergency": True, "status": "active", "updated_at": now(), "timestamp": now()}
    return structs.replace(INCIDENT_STEPS.sample, incident_id=incident_id, **{**told, **changes})


async def reckon(worker: Worker) -> None:
    await CityReckoning(worker.context.redis, worker.context.settings).reckon(epoch_us(datetime.now(UTC)))


@pytest.fixture
async def city(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    limits = settings.limits.model_copy(update={"cors_origins": (PAGE,)})
    async with serving(settings.model_copy(update={"limits": limits}), redis_server) as worker:
        yield worker


async def get(worker: Worker, path: str, status: int = 200) -> Any:
    """What the page gets: it asks first whether it may, since it sends a content type with each GET."""
    asking = {"Origin": PAGE, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "content-type"}
    async with worker.client.options(path, headers=asking) as may:
        assert may.status == 204
        assert may.headers["Access-Control-Allow-Origin"] == PAGE
        assert "content-type" in may.headers["Access-Control-Allow-Headers"].lower()
    async with worker.client.get(path, headers={"Origin": PAGE, "Content-Type": "application/json"}) as answer:
        assert answer.status == status, await answer.text()
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        return await answer.json()


async def test_the_dashboard_asks_for_what_it_shows(city: Worker) -> None:
    assert await get(city, "/api/traffic/live/slow", 404)
    empty = await get(city, "/api/analytics/city-summary")
    assert (empty["total_vehicles"], empty["average_city_speed"], empty["congested_roads"]) == (0, None, 0)
    for one in (road("slow", 10.0), road("fast", 50.0), road("stuck", 1.0), road("back", 50.0)):
        await tell(city, ROADS, one)
    # what cannot be believed is in no figure of the city
    for name, state in (("stuck", "unhealthy"), ("back", "healthy")):
        told: dict[str, Any] = {"source_id": f"road:{name}", "kind": "road", "camera_id": None, "state": state}
        await tell(city, SOURCES, structs.replace(SOURCES.sample, **told))
    for one in (vehicle("here"), vehicle("there", direction=180.0), vehicle("gone", seconds_ago=900.0)):
        await tell(city, POSITIONS, one)
    # what is none of ours hides no vehicle
    key = current_of(POSITIONS).key_of("odd")
    await city.context.redis.set(key, b"\xff{]")
    listed = current_of(POSITIONS).listed
    await city.context.redis.zadd(listed, {"odd": datetime.now(UTC).timestamp()})
    for one in (incident("a"), incident("b", status="resolved"), incident("c", is_emergency=False)):
        await tell(city, INCIDENT_STEPS, one)
    await reckon(city)
    await city.context.redis.zrem(listed, "odd")

    summary = await get(city, "/api/analytics/city-summary")
    assert summary.keys() == {
        *("total_vehicles", "active_emergencies", "average_city_speed", "congested_roads", "timestamp"),
        "healthy_share",
    }
    # three roads of one length: 3 / (1 / 10 + 2 / 50)
    assert (summary["total_vehicles"], summary["active_emergencies"]) == (3, 1)
    assert (summary["average_city_speed"], summary["congested_roads"]) == (21.4, 1)
    assert summary["healthy_share"] == 0.75

    located = await get(city, "/api/vehicles/locations?limit=100")
    assert {one["vehicle_id"] for one in located} == {"here", "there", "gone"}
    assert located[0].keys() == {"vehicle_id", "latitude", "longitude", "speed", "direction", "timestamp"}
    emergencies = await get(city, "/api/emergencies/active")
    assert [one["incident_id"] for one in emergencies] == ["a"]
    assert emergencies[0].keys() == {
        *("incident_id", "incident_type", "latitude", "longitude", "severity", "status", "timestamp"),
    }

    slow = await get(city, "/api/traffic/live/slow")
    assert slow.keys() == {"road_id", "average_speed", "vehicle_count", "congestion_level", "timestamp"}
    assert (slow["average_speed"], slow["congestion_level"]) == (10.0, "severe")
    names = ("slow", "fast", "stuck", "back")
    counted = [(await get(city, f"/api/traffic/live/{road_id}"))["vehicle_count"] for road_id in names]
    assert sum(counted) == 1
    assert (await get(city, "/api/traffic/live/nowhere", 404))["status"] == 404
    assert 590 < await city.context.redis.ttl(road_key("slow")) <= 600

    stats = await get(city, "/api/stats")
    assert stats["data_points"] == {"vehicles": 3, "emergencies": 1, "traffic_conditions": 4}
    assert stats["api_status"] == {"websocket_connections": 0, "redis_healthy": True}
    health = await get(city, "/api/health")
    assert (health["status"], health["components"]["redis"]) == ("healthy", {"connected": True, "responsive": True})


async def test_without_redis_it_says_so(city: Worker) -> None:
    city.redis_server.kill()
    health = await get(city, "/api/health")
    assert (health["status"], health["components"]["redis"]) == ("degraded", {"connected": False, "responsive": False})
    stats = await get(city, "/api/stats")
    assert (stats["data_points"]["vehicles"], stats["api_status"]["redis_healthy"]) == (0, False)
    assert (await get(city, "/api/analytics/city-summary", 503))["status"] == 503


async def heard(socket: ClientWebSocketResponse, *kinds: str) -> dict[str, Any]:
    """The first message of each of some types."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(180):
        while set(kinds) - found.keys():
            message = json.loads(await socket.receive_str())
            assert message.keys() == {"type", "data", "timestamp"}
            found.setdefault(message["type"], message["data"])
    return found


async def test_the_city_is_told_as_it_changes(city: Worker) -> None:
    await tell(city, ROADS, road("slow", 10.0))
    await reckon(city)
    async with city.client.ws_connect("/ws/realtime") as socket:
        first = await heard(socket, "connection", "city_analytics")
        assert first["city_analytics"]["congested_roads"] == 1
        await socket.send_str('{"type":"ping"}')
        assert await heard(socket, "pong") == {"pong": {}}
        await socket.send_str("nothing that anybody knows")
        await tell(city, POSITIONS, vehicle("car"))
        await tell(city, INCIDENT_STEPS, incident("quiet", is_emergency=False))
        await tell(city, INCIDENT_STEPS, incident("loud"))
        await tell(city, CURRENT_WEATHER, structs.replace(CURRENT_WEATHER.sample, received_at=now()))
        await tell(city, ROADS, road("slow", 50.0))
        await reckon(city)
        told = await heard(socket, "vehicles", "emergencies", "weather", "traffic", "city_analytics")
        assert [one["vehicle_id"] for one in told["vehicles"]] == ["car"]
        assert [one["incident_id"] for one in told["emergencies"]] == ["loud"]
        assert [one["station"] for one in told["weather"]] == [CURRENT_WEATHER.sample.station]
        assert [(one["road_id"], one["congestion_level"]) for one in told["traffic"]] == [("slow", "light")]
        assert (await get(city, "/api/stats"))["api_status"]["websocket_connections"] == 1


async def test_types_are_chosen_and_others_refused(city: Worker) -> None:
    async with city.client.ws_connect("/ws/realtime?types=pong") as socket:
        await tell(city, POSITIONS, vehicle("car"))
        await reckon(city)
        await asyncio.sleep(1.2)
        await socket.send_str('{"type":"ping"}')
        kinds = [json.loads(await socket.receive_str())["type"] for _ in range(2)]
        assert kinds == ["connection", "pong"]
    async with city.client.get("/ws/realtime?types=buses") as refused:
        assert refused.status in {400, 426}


async def test_a_worker_that_stops_asks_its_clients_to_come_back(settings: Settings, redis_server: RedisServer) -> None:
    """1000 and 1001 mean to them not to."""
    async with serving(settings, redis_server) as worker:
        socket = await worker.client.ws_connect("/ws/realtime")
        await heard(socket, "connection")
        closing = asyncio.create_task(worker.client.server.runner.shutdown())  # type: ignore[union-attr]
        message = await socket.receive(timeout=10)
        await closing
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.SERVICE_RESTART)


async def test_lists_of_feeds_come_by_zone_and_in_other_forms(city: Worker) -> None:
    await tell(city, POSITIONS, vehicle("=car", direction=None))
    async with city.client.get("/api/vehicles?format=csv") as answer:
        header, line = (await answer.text()).splitlines()
        assert answer.content_type == "text/csv"
        assert header.split(",")[:3] == ["vehicle_id", "latitude", "longitude"]
        assert line.startswith("'=car,44.505,11.3,")
    async with city.client.get("/api/vehicles?format=geojson") as answer:
        found = json.loads(await answer.read())
        assert answer.content_type == "application/geo+json"
        assert found["features"][0]["geometry"] == {"type": "Point", "coordinates": [11.3, 44.505]}
        assert found["features"][0]["properties"]["vehicle_id"] == "=car"
    async with city.client.get("/api/vehicles?zone=Centro") as refused:
        assert refused.status == 503  # zones are in Postgres, which is not there
