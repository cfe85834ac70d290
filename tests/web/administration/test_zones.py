from __future__ import annotations

import asyncio
import secrets
from math import cos, radians, sin
from typing import Any

import msgspec
import pytest
from yarl import URL

from models.fleet.fences import FenceChange
from tests.stores.redis.rows import window_rows
from tests.verification.log import read_log
from tests.web.administration.conftest import Call, Connection, caller
from tests.web.conftest import Worker
from trafficapp.engine.kafka import create_topics
from trafficapp.fleet.feeds import CARS, FLEET
from trafficapp.stores.administration import zone_queries
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.stores.postgres.publications import KafkaPublication
from trafficapp.topics import declared_topics

SQUARE = [
    {"lat": 44.0, "lon": 11.0},
    {"lat": 44.0, "lon": 12.0},
    {"lat": 45.0, "lon": 12.0},
    {"lat": 45.0, "lon": 11.0},
]
BOW_TIE = [SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]]
PATH = "/api/admin/zones"


async def camera(call: Call, camera_id: str, latitude: float, longitude: float) -> None:
    body = {"camera_id": camera_id, "latitude": latitude, "longitude": longitude}
    await call("POST", "/api/admin/cameras", body, 201)


async def test_a_zone_lives_from_post_to_delete_and_each_step_is_in_the_audit_log(
    call: Call, history_worker: Worker
) -> None:
    await camera(call, "inside", 44.5, 11.5)
    await camera(call, "on the border", 44.0, 11.5)
    await camera(call, "outside", 43.9, 11.5)
    response = await history_worker.client.post(PATH, json={"name": "Centro", "coordinates": SQUARE})
    zone = await response.json()
    assert (response.status, response.headers["Location"]) == (201, f"{PATH}/{zone['id']}")
    assert zone["coordinates"] == [*SQUARE, SQUARE[0]]
    assert (zone["name"], zone["description"], zone["cameras"]) == ("Centro", None, 2)
    assert await call("GET", f"{PATH}/{zone['id']}") == zone
    assert await call("GET", PATH) == [zone]

    changed = await call("PUT", f"{PATH}/{zone['id']}", {"description": "within the walls", "coordinates": SQUARE[:3]})
    assert changed["coordinates"] == [*SQUARE[:3], SQUARE[0]]
    assert changed["name"] == "Centro"
    assert changed["updated_at"] > zone["updated_at"]
    assert await call("DELETE", f"{PATH}/{zone['id']}", status=204) is None
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        await call(method, f"{PATH}/{zone['id']}", body, 404)

    log = await call("GET", "/api/admin/audit?limit=3")
    assert [row["action"] for row in log] == ["zones.delete", "zones.update", "zones.create"]
    assert [row["before"] and row["before"]["description"] for row in log] == ["within the walls", None, None]
    assert [row["after"] and row["after"]["description"] for row in log] == [None, "within the walls", None]


@pytest.mark.parametrize(
    ("coordinates", "word"),
    [
        (SQUARE[:2], "length"),
        ([SQUARE[0]] * 3, "3 different points"),
        ([*SQUARE[:2], SQUARE[0]], "3 different points"),
        ([{"lat": 1.0, "lon": lon} for lon in (1.0, 2.0, 3.0)], "on a line"),
        (BOW_TIE, "latitude 44.500000, longitude 11.500000"),
        ([*SQUARE[:3], {"lat": 90.1, "lon": 0}], "90"),
        ([*SQUARE[:3], {"lat": 0, "lon": -180.1}], "180"),
        ([*SQUARE[:3], {"lat": 0}], "lon"),
        ("everywhere", "array"),
    ],
)
async def test_what_encloses_no_area_is_no_zone(call: Call, coordinates: Any, word: str) -> None:
    problem = await call("POST", PATH, {"name": "a", "coordinates": coordinates}, 422)
    assert word in problem["detail"]


@pytest.mark.parametrize("name", ["", " ", "12", "a\0b", "x" * 257, None])
async def test_a_name_that_cannot_be_one(call: Call, name: str | None) -> None:
    await call("POST", PATH, {"name": name, "coordinates": SQUARE}, 422)


async def test_a_name_is_given_once(call: Call, tables: Connection, history_worker: Worker) -> None:
    body = {"name": "twice", "coordinates": SQUARE}
    answers = await asyncio.gather(*(history_worker.client.post(PATH, json=body) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    other = await call("POST", PATH, {"name": "other", "coordinates": SQUARE}, 201)
    await call("PUT", f"{PATH}/{other['id']}", {"name": "twice"}, 409)
    assert await tables.fetchval("SELECT count(*) FROM audit_logs") == 2


async def test_zones_come_in_pages(call: Call, history_worker: Worker) -> None:
    for number in range(5):
        await call("POST", PATH, {"name": f"zone {number}", "coordinates": SQUARE}, 201)
    names: list[str] = []
    url = f"{PATH}?limit=2"
    while url:
        response = await history_worker.client.get(url)
        names += [zone["name"] for zone in await response.json()]
        url = URL(response.links["next"]["url"]).path_qs if "next" in response.links else ""
    assert names == [f"zone {number}" for number in range(5)]


@pytest.mark.parametrize("path", ["0", "-1", "one", "9223372036854775808", "%00"])
async def test_an_id_that_cannot_be_one(call: Call, path: str) -> None:
    await call("GET", f"{PATH}/{path}", status=400)
    await call("GET", f"{PATH}?cursor=WzkyMjMzNzIwMzY4NTQ3NzU4MDhd", status=400)


async def test_a_zone_of_very_many_points(call: Call) -> None:
    ring = [{"lat": 44 + sin(radians(n * 0.18)), "lon": 11 + cos(radians(n * 0.18))} for n in range(2000)]
    await call("POST", PATH, {"name": "round", "coordinates": ring}, 201)
    await call("POST", PATH, {"name": "rounder", "coordinates": [*ring, *ring]}, 422)


async def test_without_postgres_nothing_is_changed_and_it_is_said(worker: Worker) -> None:
    call = caller(worker)
    await call("GET", PATH, status=503)
    await call("POST", PATH, {"name": "a", "coordinates": SQUARE}, 503)


async def test_a_zone_chooses_cameras_of_the_current_state(call: Call, history_worker: Worker) -> None:
    await camera(call, "a", 44.5, 11.5)
    await camera(call, "b", 46.0, 11.5)
    await history_worker.put(*window_rows("a", 0), *window_rows("b", 0), *window_rows("unregistered", 0))
    zone = await call("POST", PATH, {"name": "Centro", "coordinates": SQUARE}, 201)
    for path in ("/cameras", "/metrics/current", "/congestion/current"):
        for given in ("Centro", zone["id"]):
            assert {row["camera_id"] for row in await call("GET", f"{path}?zone={given}")} == {"a"}
        assert {row["camera_id"] for row in await call("GET", path)} == {"a", "b", "unregistered"}
        await call("GET", f"{path}?zone=elsewhere", status=404)


async def test_the_rules_of_vehicles_are_told_of_every_change_in_all_partitions(
    call: Call, history_worker: Worker, kafka_bootstrap: str
) -> None:
    settings = history_worker.context.settings
    inner = FLEET.topic_in(settings)
    await create_topics(settings, [topic for topic in declared_topics(settings, [CARS]) if topic.name == inner])
    body = {"name": f"zone {secrets.token_hex(4)}", "coordinates": SQUARE}
    zone = await call("POST", PATH, body, 201)
    await call("PUT", f"{PATH}/{zone['id']}", {"coordinates": SQUARE[:3]})
    await call("DELETE", f"{PATH}/{zone['id']}", status=204)
    told: dict[int, list[FenceChange]] = {}
    for record in await asyncio.to_thread(lambda: list(read_log(kafka_bootstrap, inner))):
        if record.value is not None and record.value.startswith(b"{"):
            change = msgspec.json.decode(record.value, type=FenceChange)
            if change.name == body["name"]:
                told.setdefault(record.partition, []).append(change)
    assert told.keys() == set(range(settings.city.partitions))
    for changes in told.values():
        assert [change.ring and len(change.ring) for change in changes] == [5, 4, None]
        assert changes[0].version < changes[1].version < changes[2].version
        assert {change.zone_id for change in changes} == {zone["id"]}


async def test_zones_are_told_again_for_new_partitions(call: Call, history_worker: Worker, tables: Connection) -> None:
    settings = history_worker.context.settings
    await call("POST", PATH, {"name": "Centro", "coordinates": SQUARE}, 201)
    async with create_pool(settings.postgres) as pool:
        await zone_queries.retell_fences(pool, settings)
    (row,) = await tables.fetch(
        "SELECT payload FROM pending_publications WHERE payload::text LIKE '%Centro%' ORDER BY id DESC LIMIT 1"
    )
    publication = msgspec.json.decode(row["payload"], type=KafkaPublication)
    assert (publication.topic, publication.partitions) == (FLEET.topic_in(settings), "all")
