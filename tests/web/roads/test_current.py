from __future__ import annotations

import asyncio
import gzip
import json
import time
from typing import Any

import msgspec
from yarl import URL

from models.timestamps import rfc3339
from tests.stores.roads.observations import T0_US, observation
from tests.web.conftest import Worker
from tests.web.stored import keep_roads, put_roads
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from trafficapp.stores.migrations import migrate


async def current(worker: Worker, path: str = "/traffic/current") -> list[dict[str, Any]]:
    response = await worker.client.get(path)
    assert response.status == 200, await response.text()
    body: list[dict[str, Any]] = await response.json()
    return body


async def test_nothing_was_observed(worker: Worker) -> None:
    assert await current(worker) == []


async def test_roads_as_they_are_now(worker: Worker) -> None:
    await put_roads(
        worker.context.redis,
        observation("b", 60, current_speed=3.5, jam_factor=9.0, congestion_level="high", road_name='Straße "7"'),
        observation("a"),
        observation("b"),
    )
    assert await current(worker) == [
        {
            "road_id": road_id,
            "road_name": name,
            "current_speed": speed,
            "jam_factor": jam,
            "congestion_level": level,
            "last_updated": measured,
        }
        for road_id, name, speed, jam, level, measured in (
            ("a", "Via Roma", 20.0, 4.5, "medium", "2026-01-14T07:00:00Z"),
            ("b", "Straße \"7\"", 3.5, 9.0, "high", "2026-01-14T07:01:00Z"),
        )
    ]  # fmt: skip


async def test_pages_also_while_redis_is_away(history_worker: Worker, database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    now = (time.time() - T0_US / 1e6) // 1
    # as of Postgres and Python: Z before a, and letters beyond ASCII behind both
    known = [observation(name, now) for name in ("a", "Z", "é", "b", "a0")]
    told: dict[str, dict[str, Any]] = {
        "a": {"closed": True},
        "Z": {"confidence": 0.7},
        "a0": {"confidence": 0.71},
        "b": {"confidence": 0.5},
        "é": {"vehicles": 2, "credibility": 0.5},
    }
    known = [msgspec.structs.replace(one, **told.get(one.road_id, {})) for one in known]
    # nothing more is told of a road that is open and measured
    expected = {
        "Z": {"confidence": 0.7, "speed_from": "historical"},
        "a": {"closed": True, "speed_from": None},
        "a0": {"confidence": 0.71},
        "b": {"confidence": 0.5, "speed_from": "speed_limit"},
        # believed little, and measured
        "é": {"vehicles": 2, "credibility": 0.5},
    }
    settings = history_worker.context.settings
    await keep_roads(settings, *known, observation("a", now - 5), observation("gone", now - 660))
    await put_roads(history_worker.context.redis, *known)
    # a page is kept for a moment, so the other source is asked for others
    for source, limit in ((None, 2), ("postgres", 3)):
        if source is not None:
            history_worker.redis_server.kill()
        collected: list[dict[str, Any]] = []
        url = f"/traffic/current?limit={limit}"
        for _ in range(4):
            response = await history_worker.client.get(url)
            assert response.headers.get("X-Data-Source") == source
            collected += await response.json()
            if "next" not in response.links:
                break
            url = URL(response.links["next"]["url"]).path_qs
        assert [row["road_id"] for row in collected] == ["Z", "a", "a0", "b", "é"]
        further = ("closed", "confidence", "speed_from", "vehicles", "credibility")
        shown = {row["road_id"]: {name: row[name] for name in further if name in row} for row in collected}
        assert shown == expected
        assert {row["last_updated"] for row in collected} == {rfc3339(T0_US + round(now * 1e6))}


async def test_neither_redis_nor_postgres(worker: Worker) -> None:
    worker.redis_server.kill()
    response = await worker.client.get("/traffic/current")
    assert (response.status, response.content_type) == (503, "application/problem+json")


async def test_wrong_parameters(worker: Worker) -> None:
    for query in ("limit=0", "limit=10001", "limit=x", "cursor=x", "cursor=Ilx1MDAwMCI"):
        assert (await worker.client.get(f"/traffic/current?{query}")).status == 400, query


async def test_the_network(worker: Worker) -> None:
    graph = city_graph(RoadSettings())
    response = await worker.client.get("/api/roads/network")
    assert (response.status, response.content_type) == (200, "application/geo+json")
    body = await response.json()
    assert list(body) == ["type", "city", "graph_version", "source", "features"]
    assert (body["type"], body["city"], body["graph_version"]) == ("FeatureCollection", "bologna", graph.version)
    assert "EPL-2.0" in body["source"]
    assert [feature["properties"]["edge_id"] for feature in body["features"]] == graph.edge_ids.tolist()
    feature = next(one for one in body["features"] if one["id"] == "a10")
    edge = graph.position_of_edge["a10"]
    assert (feature["type"], feature["geometry"]["type"]) == ("Feature", "LineString")
    assert feature["properties"] == {
        "edge_id": "a10",
        "road_id": "a10",
        "road_name": graph.road_name(edge),
        "lanes": int(graph.lanes[edge]),
        "free_flow_kmh": round(float(graph.free_flow_kmh[edge]), 1),
        "length_m": round(float(graph.length_m[edge]), 1),
    }
    first = graph.shape_offsets[edge]
    lon, lat = feature["geometry"]["coordinates"][0]
    assert (round(lon, 5), round(lat, 5)) == (round(graph.shape_lon[first], 5), round(graph.shape_lat[first], 5))


async def test_the_network_is_sent_once_and_compressed(worker: Worker) -> None:
    plain = await worker.client.get("/api/roads/network", headers={"Accept-Encoding": "identity"})
    packed = await worker.client.get(
        "/api/roads/network", headers={"Accept-Encoding": "br, gzip"}, auto_decompress=False
    )
    assert plain.headers.get("Content-Encoding") is None
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert json.loads(gzip.decompress(await packed.read())) == await plain.json()
    assert plain.headers["ETag"] != packed.headers["ETag"]
    for response in (plain, packed):
        headers = {"If-None-Match": response.headers["ETag"], "Accept-Encoding": "identity"}
        if response is packed:
            headers["Accept-Encoding"] = "gzip"
        again = await worker.client.get("/api/roads/network", headers=headers)
        assert (again.status, await again.read()) == (304, b"")
        assert again.headers["ETag"] == response.headers["ETag"]
