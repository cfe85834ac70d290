"""Where a vehicle was, in three forms, for those who may know."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from models.timestamps import rfc3339
from tests.fleet.position_records import position_records
from tests.fleet.test_vehicles import NOON, SECOND, fix
from tests.stores.redis.redis_server import RedisServer
from tests.web.auth import tokens
from tests.web.conftest import Worker, serving
from trafficapp.fleet.feeds import POSITIONS
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.migrations import migrate

PATH = "/api/fleet/vehicles/{}/trajectory"
#: By the device's clock, days ahead of every other one.
FIRST = 500_000

FIXES = [
    *(fix(FIRST + 60 * number, (44.5 + 0.005 * number, 11.34), 30.0 + number) for number in range(6)),
    # the tracker of the same car: once at the same time, once in between
    fix(FIRST + 60, (44.6, 11.4), 99.0, None, "gps_data"),
    fix(FIRST + 90, (44.5075, 11.34), 36.0, None, "gps_data"),
    fix(FIRST, (44.5, 11.34), device="only/once"),
]


@pytest.fixture(scope="module")
async def rows(database_url: str) -> None:
    """Written twice, as after a crash."""
    await asyncio.to_thread(migrate, database_url)
    settings = load_settings(postgres={"url": database_url})
    for _ in range(2):
        sink = RowsSink(POSITIONS, settings)
        await sink.load([0])
        await sink.apply(0, position_records(FIXES), lambda: True)
        await sink.close()


def at(number: float) -> str:
    return rfc3339(NOON + round((FIRST + 60 * number) * SECOND))


async def points(worker: Worker, query: str = "", vehicle: str = "car-1") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    path = PATH.format(vehicle) + query
    while path:
        async with worker.client.get(path) as answer:
            assert answer.status == 200, await answer.text()
            found += await answer.json()
            path = str(answer.links["next"]["url"].relative()) if "next" in answer.links else ""
    return found


@pytest.mark.usefixtures("rows")
async def test_each_fix_is_one_row(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    found = await connection.fetch("SELECT vehicle_id, feed, speed_kmh FROM vehicle_positions ORDER BY 1, 2, 3")
    months = await connection.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'vehicle_positions'::regclass"
    )
    await connection.close()
    assert [tuple(row) for row in found] == sorted((one.device_id, one.feed, one.speed_kmh) for one in FIXES)
    assert [row[0] for row in months] == ["vehicle_positions_202612"]


@pytest.mark.usefixtures("rows")
async def test_the_way_is_in_order_of_time_and_two_feeds_are_one_way(history_worker: Worker) -> None:
    found = await points(history_worker)
    assert [one["timestamp"] for one in found] == [at(number) for number in (0, 1, 1.5, 2, 3, 4, 5)]
    assert [one["speed"] for one in found] == [30.0, 31.0, 36.0, 32.0, 33.0, 34.0, 35.0]
    assert [one["feed"] for one in found].count("gps_data") == 1
    assert list(found[0]) == [
        *("timestamp", "latitude", "longitude", "speed", "direction", "computed_speed", "plausible", "feed")
    ]
    assert found[1]["computed_speed"] == pytest.approx(33.36, abs=0.01)
    for limit in (1, 2, 7):
        assert await points(history_worker, f"?limit={limit}") == found


@pytest.mark.usefixtures("rows")
async def test_a_span_is_half_open_and_without_one_it_is_the_newest_hour(history_worker: Worker) -> None:
    for query, numbers in {
        f"?from={at(1)}&to={at(3)}": (1, 1.5, 2),
        f"?from={at(4)}": (4, 5),
        f"?to={at(1)}": (0,),
        "?from=2020-01-01&to=2021-01-01": (),
    }.items():
        assert [one["timestamp"] for one in await points(history_worker, query)] == [at(one) for one in numbers], query
    assert await points(history_worker, vehicle="nobody") == []
    assert len(await points(history_worker, vehicle="only%2Fonce")) == 1
    for wrong in (f"?from={at(2)}&to={at(1)}", "?limit=0", "?format=kml", "?cursor=x"):
        assert (await history_worker.client.get(PATH.format("car-1") + wrong)).status == 400


@pytest.mark.usefixtures("rows")
async def test_it_is_a_line_for_maps(history_worker: Worker) -> None:
    found = await points(history_worker)
    async with history_worker.client.get(PATH.format("car-1") + "?format=geojson") as answer:
        assert answer.content_type == "application/geo+json"
        line = await answer.json(content_type=None)
    assert (line["type"], line["geometry"]["type"]) == ("Feature", "LineString")
    assert line["geometry"]["coordinates"] == [[one["longitude"], one["latitude"]] for one in found]
    assert line["properties"]["vehicle_id"] == "car-1"
    assert line["properties"]["timestamp"] == [one["timestamp"] for one in found]
    assert line["properties"]["speed"] == [one["speed"] for one in found]
    for vehicle, geometry in (("only%2Fonce", {"type": "Point", "coordinates": [11.34, 44.5]}), ("nobody", None)):
        async with history_worker.client.get(PATH.format(vehicle) + "?format=geojson") as answer:
            assert (await answer.json(content_type=None))["geometry"] == geometry


@pytest.mark.usefixtures("rows")
async def test_it_is_lines_for_tables(history_worker: Worker) -> None:
    found = await points(history_worker)
    async with history_worker.client.get(PATH.format("car-1") + "?format=csv&limit=5") as answer:
        assert answer.content_type == "text/csv"
        assert "next" in answer.links
        lines = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [line["timestamp"] for line in lines] == [one["timestamp"] for one in found[:5]]
    assert lines[1] | {"computed_speed": ""} == {
        "timestamp": at(1), "latitude": "44.505", "longitude": "11.34", "speed": "31.0", "direction": "90.0",
        "computed_speed": "", "plausible": "true", "feed": "vehicle_data",
    }  # fmt: skip


@pytest.fixture(params=[True, False], ids=["tokens are known", "no tokens"])
async def private_worker(
    settings: Settings, redis_server: RedisServer, database_url: str, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Worker, bool]]:
    own = {"jwt_secret": tokens.SECRET} if request.param else {}
    made = load_settings(redis=settings.redis, kafka=settings.kafka, postgres={"url": database_url}, auth=own)
    async with serving(made, redis_server) as worker:
        worker.client.session.headers.clear()
        yield worker, request.param


@pytest.mark.usefixtures("rows")
async def test_where_tokens_are_known_an_operators_is_needed(private_worker: tuple[Worker, bool]) -> None:
    worker, knows_tokens = private_worker
    path = PATH.format("car-1")
    async with worker.client.get(path) as answer:
        assert answer.status == (401 if knows_tokens else 200)
    for role, status in (("viewer", 403), ("operator", 200), ("admin", 200)):
        if knows_tokens:
            async with worker.client.get(path, headers=tokens.bearer(tokens.hs256(role))) as answer:
                assert answer.status == status
    assert (await worker.client.get("/api/vehicles/locations")).status == 200
