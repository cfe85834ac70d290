"""Where vehicles are, as the contract's maps ask for it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from models.fleet.fixes import Fix
from tests.fleet.position_records import position_records
from tests.fleet.test_vehicles import fix
from tests.stores.redis.fixtures import an_hour_back
from tests.web.conftest import Client, Worker
from trafficapp.fleet.feeds import POSITIONS
from trafficapp.settings import Settings
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.redis.connection import connect

FIELDS = ["vehicle_id", "latitude", "longitude", "speed", "direction", "timestamp"]

#: As far ahead as a producer comes whose clock gains a minute a round.
AHEAD_SECONDS = 500_000


async def put(worker: Worker, settings: Settings, fixes: Iterable[Fix]) -> None:
    """Let fixes take the way they take in production, from the rules on."""
    client = connect(worker.redis_server.url)
    sink = DocumentsSink(POSITIONS, settings, client, an_hour_back)
    await sink.load([0])
    await sink.apply(0, position_records(fixes), lambda: True)
    sink.release([0])
    await client.aclose()


async def all_pages(client: Client, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while path:
        async with client.get(path) as answer:
            assert answer.status == 200, await answer.text()
            found += await answer.json()
            path = str(answer.links["next"]["url"].relative()) if "next" in answer.links else ""
    return found


async def test_nobody_is_an_empty_list(worker: Worker) -> None:
    for path in ("/api/vehicles/locations", "/api/fleet/vehicles", "/api/vehicles"):
        assert await all_pages(worker.client, path) == []


async def test_locations_are_those_of_the_contract_newest_first(worker: Worker, settings: Settings) -> None:
    """Also with clocks that run ahead for days, which no guard may hide."""
    moments = {f"car-{number:03}": AHEAD_SECONDS + number // 3 for number in range(130)}
    await put(worker, settings, [fix(second, device=device) for device, second in moments.items()])
    async with worker.client.get("/api/vehicles/locations") as answer:
        assert answer.content_type == "application/json"
        listed = await answer.json()
    newest = sorted(moments, key=lambda device: (moments[device], device), reverse=True)
    assert [one["vehicle_id"] for one in listed] == newest[:100]
    assert list(listed[0]) == FIELDS
    assert {name: type(listed[0][name]) for name in FIELDS} == {
        "vehicle_id": str, "latitude": float, "longitude": float, "speed": float, "direction": float, "timestamp": str,
    }  # fmt: skip
    assert listed[0]["timestamp"] == "2026-12-05T06:54:03Z"
    for limit in (7, 43, 130, 1000):
        found = await all_pages(worker.client, f"/api/vehicles/locations?limit={limit}")
        assert [one["vehicle_id"] for one in found] == newest
    for wrong in ("0", "x", "10001"):
        assert (await worker.client.get(f"/api/vehicles/locations?limit={wrong}")).status == 400
    assert (await worker.client.get("/api/vehicles/locations?cursor=x")).status == 400


async def test_what_has_expired_is_left_out_and_costs_nobody_a_place(worker: Worker, settings: Settings) -> None:
    await put(worker, settings, [fix(number, device=f"car-{number}") for number in range(6)])
    client = connect(worker.redis_server.url)
    await client.delete("vehicle:location:car-5", "vehicle:location:car-3")
    await client.aclose()
    found = await all_pages(worker.client, "/api/vehicles/locations?limit=2")
    assert [one["vehicle_id"] for one in found] == ["car-4", "car-2", "car-1", "car-0"]


async def test_the_document_has_the_key_and_the_hour_of_the_contract(worker: Worker, settings: Settings) -> None:
    await put(worker, settings, [fix(AHEAD_SECONDS, make="BMW"), fix(AHEAD_SECONDS, speed=36.0, feed="gps_data")])
    client = connect(worker.redis_server.url)
    document, seconds = await client.get("vehicle:location:car-1"), await client.ttl("vehicle:location:car-1")
    await client.aclose()
    assert 3590 < seconds <= 3600
    read = json.loads(document)
    assert [name for name in read if name in FIELDS] == FIELDS
    assert (read["speed"], read["direction"], read["make"]) == (30.0, 90.0, "BMW")
    assert {feed: said["speed"] for feed, said in read["feeds"].items()} == {"vehicle_data": 30.0, "gps_data": 36.0}
    (listed,) = await all_pages(worker.client, "/api/fleet/vehicles?key=car-1")
    assert listed == read
    assert (await worker.client.get("/api/fleet/vehicles?key=car-2")).status == 404


async def test_without_redis_it_says_so(worker: Worker) -> None:
    worker.redis_server.kill()
    for path in ("/api/vehicles/locations", "/api/fleet/vehicles"):
        async with worker.client.get(path) as answer:
            assert answer.status == 503
            assert "where vehicles are" in (await answer.json())["detail"]
