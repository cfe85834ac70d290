from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
from yarl import URL

from models.alerts import AlertEvent, AlertRow
from tests.stores.alerts.alert_messages import Connection, after_noon, alert_event, keep_open, store
from tests.web.conftest import Worker
from trafficapp.stores.alerts.current import ACKNOWLEDGED_KEY
from trafficapp.stores.migrations import migrate

#: What is withheld alone is marked as such.
COLUMNS = [name for name in AlertRow.__struct_fields__ if name != "withheld"]


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Connection]:
    """A connection to the empty tables."""
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE alerts, alert_acknowledgements, cameras, audit_logs, pending_publications")
    yield connection
    await connection.close()


async def ids(worker: Worker, path: str) -> list[str]:
    response = await worker.client.get(path)
    assert response.status == 200, await response.text()
    return [row["id"] for row in await response.json()]


async def test_current_alerts_from_redis(worker: Worker) -> None:
    old, new = alert_event("old"), alert_event("new", "cam_2", 0.5, severity="WARNING", alert_type="stopped_traffic")
    await keep_open(worker.context.redis, old, new)
    by = '{"acknowledged_by":"ada","acknowledged_at":"2026-03-02T12:00:09Z"}'
    await worker.context.redis.hset(ACKNOWLEDGED_KEY, old.id, by)  # type: ignore[misc]
    response = await worker.client.get("/api/alerts/current")
    assert "X-Data-Source" not in response.headers
    body = await response.json()
    assert [list(row) for row in body] == [COLUMNS, COLUMNS]
    assert [row["id"] for row in body] == [new.id, old.id]
    assert (body[1]["acknowledged_by"], body[1]["acknowledged_at"]) == ("ada", "2026-03-02T12:00:09Z")
    for query in ("severity=WARNING", "alert_type=stopped_traffic", "type=stopped_traffic", "camera_id=cam_2"):
        assert await ids(worker, f"/api/alerts/current?{query}") == [new.id]
    assert await ids(worker, "/api/alerts/current?road_segment=A1") == []


async def test_current_alerts_from_postgres_while_redis_is_away(history_worker: Worker, tables: Connection) -> None:
    await store(tables, alert_event("open"), alert_event("ended", resolved_at=after_noon(60)))
    history_worker.redis_server.kill()
    response = await history_worker.client.get("/api/alerts/current")
    assert response.headers["X-Data-Source"] == "postgres"
    assert [row["id"] for row in await response.json()] == [alert_event("open").id]


async def test_neither_redis_nor_postgres(worker: Worker) -> None:
    worker.redis_server.kill()
    response = await worker.client.get("/api/alerts/current")
    assert response.status == 503
    assert response.content_type == "application/problem+json"


async def test_history_is_half_open_and_filtered(history_worker: Worker, tables: Connection) -> None:
    await tables.execute("INSERT INTO cameras (camera_id, road_segment) VALUES ('cam_1', 'A1'), ('cam_2', 'A2')")
    first, second = alert_event("first"), alert_event("second", "cam_2", 10, severity="WARNING")
    third = alert_event("third", None, 20, severity="EMERGENCY", alert_type="manual", resolved_at=after_noon(30))
    await store(tables, first, second, third)
    await tables.execute("INSERT INTO alert_acknowledgements VALUES ($1, 'ada')", uuid.UUID(first.id))
    span = "/api/alerts/history?from=2026-03-02T12:00:00Z&to=2026-03-02T12:00:20.5Z"
    assert await ids(history_worker, span) == [third.id, second.id, first.id]
    assert await ids(history_worker, "/api/alerts/history?from=1772452800&to=1772452820") == [second.id, first.id]
    for query, expected in (
        ("severity=EMERGENCY", third),
        ("type=manual", third),
        ("alert_type=manual&type=manual", third),
        ("camera_id=cam_1", first),
        ("road_segment=A2", second),
    ):
        assert await ids(history_worker, f"{span}&{query}") == [expected.id]
    body = await (await history_worker.client.get(span)).json()
    assert [list(row) for row in body] == [COLUMNS] * 3
    assert [row["road_segment"] for row in body] == [None, "A2", "A1"]
    assert [row["acknowledged_by"] for row in body] == [None, None, "ada"]
    assert body[0]["resolved_at"] == after_noon(30)


@pytest.mark.parametrize("limit", [1, 3, 7, 5000])
async def test_pages_are_the_whole(history_worker: Worker, tables: Connection, limit: int) -> None:
    # some at the same instant: the id decides among them
    events = [alert_event(f"alert {number}", seconds=number // 3) for number in range(7)]
    await store(tables, *events)
    url, collected = f"/api/alerts/history?from=2026-03-02&limit={limit}", list[str]()
    while url:
        response = await history_worker.client.get(url)
        page = await response.json()
        assert 0 < len(page) <= limit
        collected += [row["id"] for row in page]
        url = URL(response.links["next"]["url"]).path_qs if "next" in response.links else ""
    expected = sorted(events, key=lambda event: (event.triggered_at, uuid.UUID(event.id)), reverse=True)
    assert collected == [event.id for event in expected]


async def test_an_alert_explains_itself(history_worker: Worker, tables: Connection) -> None:
    ended = alert_event("ended", action="resolved", revision=4, resolved_at=after_noon(60), updated_at=after_noon(60))
    await store(tables, ended)
    body = await (await history_worker.client.get(f"/api/alerts/{ended.id}")).read()
    assert msgspec.json.decode(body, type=AlertEvent) == ended
    live = alert_event("live", revision=2, action="updated")
    await keep_open(history_worker.context.redis, live)
    body = await (await history_worker.client.get(f"/api/alerts/{live.id}")).read()
    assert msgspec.json.decode(body, type=AlertEvent) == live


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/alerts/current?include=everything", 400),
        ("/api/alerts/current?camera_id=a%00b", 400),
        ("/api/alerts/current?severity=WARNING&severity=CRITICAL", 400),
        ("/api/alerts/current?type=manual&alert_type=incident", 400),
        ("/api/alerts/history?limit=0", 400),
        ("/api/alerts/history?limit=5001", 400),
        ("/api/alerts/history?from=2026-03-02&to=2026-03-02", 400),
        ("/api/alerts/history?to=0001-01-01", 400),
        ("/api/alerts/history?from=yesterday", 400),
        ("/api/alerts/history?cursor=nonsense", 400),
        ("/api/alerts/not-a-uuid", 400),
        ("/api/alerts/9007199254740992", 400),
        ("/api/alerts/7", 404),
        ("/api/alerts/00000000-0000-0000-0000-000000000000", 404),
    ],
)
async def test_refused(history_worker: Worker, tables: Connection, path: str, status: int) -> None:
    response = await history_worker.client.get(path)
    assert response.status == status, await response.text()
    assert response.content_type == "application/problem+json"


async def test_a_zone_chooses_cameras(history_worker: Worker, tables: Connection) -> None:
    await tables.execute("TRUNCATE monitoring_zones")
    await tables.execute(
        "INSERT INTO cameras (camera_id, name, latitude, longitude, road_segment) "
        "VALUES ('cam_1', 'in', 44.5, 11.5, 'A1'), ('cam_2', 'out', 45.5, 11.5, 'A2')"
    )
    await tables.execute(
        "INSERT INTO monitoring_zones (name, polygon) VALUES ('centre', '[[11,44],[12,44],[12,45],[11,45],[11,44]]')"
    )
    assert await history_worker.context.registry.refresh()
    inside, outside = alert_event("inside"), alert_event("outside", "cam_2")
    await store(tables, inside, outside, alert_event("nowhere", None))
    await keep_open(history_worker.context.redis, inside, outside, alert_event("nowhere", None))
    for path in ("current?", "history?from=2026-03-02&"):
        assert await ids(history_worker, f"/api/alerts/{path}zone=centre") == [inside.id]
        assert (await history_worker.client.get(f"/api/alerts/{path}zone=moon")).status == 404
    assert await ids(history_worker, "/api/alerts/current?road_segment=A2") == [outside.id]
