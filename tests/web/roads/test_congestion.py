"""Congestion events as the API answers them: what goes on, one with its cameras, and what is folded into them."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from typing import Any

import asyncpg
import msgspec
from aiokafka import ConsumerRecord
from msgspec import structs

from models.roads.congestion import CongestionEvent, SuspectedIncident, encode_congestion_event
from models.timestamps import rfc3339
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.roads.notifications import notification
from tests.web.conftest import ADMIN_KEY, Worker
from tests.web.stored import keep_notifications
from trafficapp.roads.feeds import CONGESTION
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.migrations import migrate

_offsets = itertools.count()
_HEAD = CONGESTION.sample.head
_ROAD = CONGESTION.sample.roads[0]


def event(number: int, road_id: str = "a1", latitude: float = 44.5, longitude: float = 11.34) -> CongestionEvent:
    now = rfc3339(round(time.time() * 1e6))
    head = structs.replace(_HEAD, road_id=road_id, latitude=latitude, longitude=longitude)
    return structs.replace(
        CONGESTION.sample,
        event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"event {number}")),
        began_at=now,
        updated_at=now,
        latitude=latitude,
        longitude=longitude,
        head=head,
        tail=head,
        roads=[structs.replace(_ROAD, road_id=road_id)],
    )


def records(*events: CongestionEvent) -> list[Any]:
    now_ms = time.time_ns() // 1_000_000
    return [
        ConsumerRecord(
            "e", 0, next(_offsets), now_ms, 0, one.event_id.encode(), encode_congestion_event(one), None, -1, -1, ()
        )
        for one in events
    ]


async def put(worker: Worker, *events: CongestionEvent) -> None:
    sink = DocumentsSink(CONGESTION, worker.context.settings, worker.context.redis, an_hour_back)
    await sink.load([0])
    await sink.apply(0, records(*events), lambda: True)
    sink.release([0])


async def keep(worker: Worker, *events: CongestionEvent) -> None:
    sink = RowsSink(CONGESTION, worker.context.settings)
    await sink.load([0])
    await sink.apply(0, records(*events), lambda: True)
    await sink.close()


async def empty(database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE congestion_events, notifications, sink_offsets")
    await connection.close()


async def test_events_that_go_on_are_listed_by_page_and_by_zone(history_worker: Worker, database_url: str) -> None:
    await empty(database_url)
    near, far = event(1), event(2, latitude=44.3)
    await put(history_worker, near, far)
    client = history_worker.client
    first = await client.get("/api/congestion/events?limit=1")
    assert len(await first.json()) == 1
    assert "next" in first.links
    found = await (await client.get("/api/congestion/events")).json()
    assert {one["event_id"] for one in found} == {near.event_id, far.event_id}
    corners = [(44.49, 11.33), (44.49, 11.35), (44.51, 11.35), (44.51, 11.33)]
    zone = {"name": f"z{time.time_ns()}", "coordinates": [{"lat": lat, "lon": lon} for lat, lon in corners]}
    made = await client.post("/api/admin/zones", json=zone, headers={"X-Admin-Token": ADMIN_KEY, "X-Admin-User": "t"})
    assert made.status in (200, 201), await made.text()
    inside = await (await client.get("/api/congestion/events", params={"zone": zone["name"]})).json()
    assert [one["event_id"] for one in inside] == [near.event_id]


async def test_suspected_incidents_of_events_that_go_on_are_listed(history_worker: Worker, database_url: str) -> None:
    await empty(database_url)
    suspected = SuspectedIncident(
        road_id="barred",
        road_name="Via Emilia",
        latitude=44.5,
        longitude=11.34,
        since="2026-03-02T07:00:00Z",
        suspected_at="2026-03-02T07:01:00Z",
        state="unconfirmed",
        confidence=0.8,
        evidence="it fell",
        method="sudden_fall_at_head",
        incident_id=None,
    )
    here, calm = structs.replace(event(5), suspected_incident=suspected), event(6)
    over = structs.replace(event(7), suspected_incident=suspected, state="ended", ended_at=calm.updated_at)
    await put(history_worker, here, calm, over)
    await keep(history_worker, here)
    found = await (await history_worker.client.get("/api/incidents/suspected")).json()
    mine = [one for one in found if one["road_id"] == "barred"]
    assert mine == [structs.asdict(suspected) | {"congestion_event_id": here.event_id}]
    connection = await asyncpg.connect(database_url)
    kept = await connection.fetchval("SELECT suspected_incident FROM congestion_events")
    await connection.close()
    assert msgspec.json.decode(kept, type=SuspectedIncident) == suspected


async def test_an_event_has_the_cameras_on_its_roads_and_is_known_when_redis_has_forgotten_it(
    history_worker: Worker, database_url: str
) -> None:
    await empty(database_url)
    graph = city_graph(history_worker.context.settings.roads)
    road, other = graph.edge_ids[[0, 100]].tolist()
    client = history_worker.client
    for name, edge in (("cam-on", 0), ("cam-off", 100)):
        middle = int(graph.shape_offsets[edge])
        at = [float(points[middle : middle + 2].mean()) for points in (graph.shape_lat, graph.shape_lon)]
        body = {"camera_id": name, "name": name, "latitude": at[0], "longitude": at[1]}
        made = await client.put(
            f"/api/admin/cameras/{name}", json=body, headers={"X-Admin-Token": ADMIN_KEY, "X-Admin-User": "t"}
        )
        assert made.status in (200, 201), await made.text()
    here, gone = event(3, road), event(4, other)
    await put(history_worker, here)
    ended = structs.replace(gone, state="ended", ended_at=gone.updated_at, cause=None)
    await keep(history_worker, gone, ended)
    deadline = time.monotonic() + 180
    while (answer := await client.get(f"/api/congestion/events/{here.event_id}")).status == 503:
        assert time.monotonic() < deadline  # the road graph is being read
        await asyncio.sleep(0.1)
    found = await answer.json()
    assert (found["head"]["road_id"], found["cameras"]) == (road, ["cam-on"])
    old = await (await client.get(f"/api/congestion/events/{gone.event_id}")).json()
    assert (old["state"], old["ended_at"], old["cause"], old["cameras"]) == (
        "ended",
        gone.updated_at,
        None,
        ["cam-off"],
    )
    assert (await client.get(f"/api/congestion/events/{uuid.uuid4()}")).status == 404
    assert (await client.get("/api/congestion/events/x")).status == 400


async def test_single_roads_are_told_in_the_place_of_their_event_where_one_asks_for_them(
    history_worker: Worker, database_url: str
) -> None:
    await empty(database_url)
    alone = notification(0, "alone")
    begun = notification(1, "head", alert_type="congestion", congestion_event_id="e", change="begun")
    folded = notification(2, "head", congestion_event_id="e", folded=True)
    await keep_notifications(history_worker.context.settings, alone, begun, folded)

    async def asked(**query: str) -> list[str]:
        span = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z"}
        answer = await history_worker.client.get("/api/notifications", params=span | query)
        assert answer.status == 200, await answer.text()
        return [one["event_id"] for one in await answer.json()]

    assert await asked() == [begun.event_id, alone.event_id]
    assert await asked(grouped="false") == [folded.event_id, alone.event_id]
    assert await asked(alert_type="congestion") == [begun.event_id]
