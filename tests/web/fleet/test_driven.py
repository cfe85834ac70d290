"""What vehicles did, as people ask for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import numpy as np
import pytest

from models.fleet.drives import DrivingEvent, GeofenceEvent, GeofenceStep, VehicleTrip
from models.records import PlainRecord
from models.timestamps import from_epoch_us, rfc3339
from tests.fleet.test_vehicles import NOON, SECOND
from tests.stores.redis.redis_server import RedisServer
from tests.web.auth import tokens
from tests.web.conftest import Worker, serving
from trafficapp.administration.zones import places_inside
from trafficapp.fleet.drive_feeds import DRIVING, GEOFENCES, TRIPS
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.migrations import migrate

PATHS = ("/api/fleet/trips", "/api/fleet/geofences/events", "/api/fleet/events", "/api/fleet/summary")
#: South of it begins the zone, whose border two trips touch.
BORDER = 44.5
STEPS: tuple[tuple[int, GeofenceStep], ...] = ((0, "enter"), (20, "dwell"), (30, "leave"))
RING = [(11.0, 44.0), (12.0, 44.0), (12.0, BORDER), (11.0, BORDER), (11.0, 44.0)]


def at(minute: int) -> Any:
    return from_epoch_us(NOON + minute * 60 * SECOND)


def trip(vehicle: str, minute: int, latitude: float) -> VehicleTrip:
    return VehicleTrip(
        vehicle_id=vehicle, began_at=at(minute - 10), ended_at=at(minute), distance_m=5000.0, moving_seconds=500.0,
        standing_seconds=100.0, began_latitude=latitude, began_longitude=11.5, ended_latitude=46.0,
        ended_longitude=11.5, ended_by="stand",
    )  # fmt: skip


TRIPS_TOLD = [trip("car-1", 10, 44.2), trip("car-2", 10, BORDER), trip("car-1", 40, 45.0), trip("car-3", 50, 44.3)]
STEPS_TOLD = [
    GeofenceEvent(
        vehicle_id=vehicle,
        zone_id=zone,
        zone=f"zone {zone}",
        event=event,
        timestamp=at(minute),
        entered_at=at(0),
        seconds=60.0 * minute,
        latitude=44.2,
        longitude=11.5,
    )
    for vehicle in ("car-1", "car-2")
    for zone in (1, 2)
    for minute, event in STEPS
]
DRIVING_TOLD = [
    DrivingEvent(
        vehicle_id="car-1",
        event="speeding",
        began_at=at(1),
        ended_at=at(2),
        latitude=44.2,
        longitude=11.5,
        speed_kmh=70.0,
        limit_kmh=50.0,
    ),
    DrivingEvent(
        vehicle_id="car-1",
        event="harsh_braking",
        began_at=at(2),
        ended_at=at(2),
        latitude=45.2,
        longitude=11.5,
        speed_kmh=70.0,
        to_speed_kmh=40.0,
        deceleration_mps2=4.17,
    ),
]


@pytest.fixture(scope="module")
async def rows(database_url: str) -> None:
    """Written twice, as after a crash."""
    await asyncio.to_thread(migrate, database_url)
    for _ in range(2):
        for feed, told in ((TRIPS, TRIPS_TOLD), (GEOFENCES, STEPS_TOLD), (DRIVING, DRIVING_TOLD)):
            sink = RowsSink(feed, load_settings(postgres={"url": database_url}))
            await sink.load([0])
            now_ms = NOON // 1000
            records = [PlainRecord(n, now_ms, 0, b"", msgspec.json.encode(one)) for n, one in enumerate(told)]
            await sink.apply(0, records, lambda: True)
            await sink.close()
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO monitoring_zones (name, polygon) VALUES ('south', $1) ON CONFLICT DO NOTHING",
        msgspec.json.encode(RING).decode(),
    )
    await connection.close()


async def pages(worker: Worker, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while path:
        async with worker.client.get(path) as answer:
            assert answer.status == 200, await answer.text()
            found += await answer.json()
            path = str(answer.links["next"]["url"].relative()) if "next" in answer.links else ""
    return found


@pytest.mark.usefixtures("rows")
async def test_lists_are_newest_first_and_come_in_pages(history_worker: Worker) -> None:
    await history_worker.context.registry.refresh()
    for path, time, count in ((PATHS[0], "ended_at", 4), (PATHS[1], "timestamp", 12), (PATHS[2], "ended_at", 2)):
        found = await pages(history_worker, path)
        assert len(found) == count
        assert [one[time] for one in found] == sorted((one[time] for one in found), reverse=True)
        for limit in (1, 3):
            assert await pages(history_worker, f"{path}?limit={limit}") == found
        for wrong in ("limit=0", "cursor=x", "from=2026-11-30&to=2026-11-29"):
            assert (await history_worker.client.get(f"{path}?{wrong}")).status == 400


@pytest.mark.usefixtures("rows")
async def test_lists_are_chosen_by_vehicle_zone_time_and_kind(history_worker: Worker) -> None:
    await history_worker.context.registry.refresh()
    for query, vehicles in {
        "vehicle_id=car-1": ["car-1", "car-1"],
        "zone=south": ["car-3", "car-1"],  # what begins on its northern border is of the zone beyond
        f"from={rfc3339(NOON + 600 * SECOND)}&to={rfc3339(NOON + 2400 * SECOND)}": ["car-2", "car-1"],
        "vehicle_id=nobody": [],
    }.items():
        assert [one["vehicle_id"] for one in await pages(history_worker, f"{PATHS[0]}?{query}")] == vehicles, query
    for query, count in {"zone=2": 6, "zone=zone%201&event=leave": 2, "zone=gone": 0, "vehicle_id=car-1": 6}.items():
        assert len(await pages(history_worker, f"{PATHS[1]}?{query}")) == count, query
    for query, events in {"zone=south": ["speeding"], "event=harsh_braking": ["harsh_braking"]}.items():
        assert [one["event"] for one in await pages(history_worker, f"{PATHS[2]}?{query}")] == events
    assert (await history_worker.client.get(f"{PATHS[0]}?zone=nowhere")).status == 404


@pytest.mark.usefixtures("rows")
async def test_figures_are_those_of_the_lists(history_worker: Worker) -> None:
    await history_worker.context.registry.refresh()
    async with history_worker.client.get(f"{PATHS[3]}?from=2026-11-29") as answer:
        assert await answer.json() == {
            "vehicles": 3, "trips": 4, "distance_km": 20.0, "moving_seconds": 2000.0, "standing_seconds": 400.0,
            "average_trip_km": 5.0, "average_moving_speed_kmh": 36.0, "harsh_brakings": 1, "speedings": 1,
            "harsh_brakings_per_100_km": 5.0, "speedings_per_100_km": 5.0,
        }  # fmt: skip
    for query, trips in {
        "from=2026-11-29&zone=south": 2,
        "from=2026-11-29&vehicle_id=car-1": 2,
        "to=2000-01-01": 0,
    }.items():
        async with history_worker.client.get(f"{PATHS[3]}?{query}") as answer:
            found = await answer.json()
        assert found["trips"] == trips
    assert found["average_trip_km"] is None


@pytest.mark.usefixtures("rows")
async def test_a_place_lies_in_a_zone_by_the_same_rule_in_the_database(database_url: str) -> None:
    dice, corners = random.Random(1), [0.0, 1.0, 2.0, 3.0]
    connection = await asyncpg.connect(database_url)
    places = [(x / 4, y / 4) for x in range(-1, 14) for y in range(-1, 14)]
    for _ in range(40):
        ring = [(dice.choice(corners), dice.choice(corners)) for _ in range(dice.randrange(3, 7))]
        ring.append(ring[0])
        found = await connection.fetch(
            "SELECT lies_inside($1, $2, x, y) FROM unnest($3::float8[], $4::float8[]) AS place (x, y)",
            *([corner[axis] for corner in ring] for axis in (0, 1)),
            *([place[axis] for place in places] for axis in (0, 1)),
        )
        assert [row[0] for row in found] == places_inside(ring, np.array(places)).tolist(), ring
    await connection.close()


@pytest.fixture
async def guarded_worker(settings: Settings, redis_server: RedisServer, database_url: str) -> AsyncIterator[Worker]:
    made = load_settings(
        redis=settings.redis, kafka=settings.kafka, postgres={"url": database_url}, auth={"jwt_secret": tokens.SECRET}
    )
    async with serving(made, redis_server) as worker:
        worker.client.session.headers.clear()
        yield worker


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("path", PATHS)
async def test_where_tokens_are_known_an_operators_is_needed(guarded_worker: Worker, path: str) -> None:
    assert (await guarded_worker.client.get(path)).status == 401
    for role, status in (("viewer", 403), ("operator", 200)):
        async with guarded_worker.client.get(path, headers=tokens.bearer(tokens.hs256(role))) as answer:
            assert answer.status == status
