"""The steps of a camera dashboard's backend, unchanged, as far as alerts, administration and sockets go."""

from __future__ import annotations

import asyncio
import csv
import io
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from models.alerts import AlertEvent, alert_number
from tests.stores.alerts import Connection, after_noon, alert_event, keep_open, store
from tests.stores.live.redis_server import RedisServer
from tests.web.conftest import Client, Worker, serving
from trafficapp.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.migrations import migrate
from trafficapp.topics import declared_topics

ALERT = {
    "id",
    "severity",
    "alert_type",
    "camera_id",
    "road_segment",
    "title",
    "message",
    "congestion_level",
    "congestion_score",
    "triggered_at",
    "resolved_at",
    "acknowledged",
    "acknowledged_by",
    "acknowledged_at",
    "alert_number",
}
SPAN = "from=2026-03-02&to=2026-03-03"


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Connection]:
    """A connection to the empty tables."""
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "TRUNCATE alerts, alert_acknowledgements, cameras, audit_logs, pending_publications, monitoring_zones"
    )
    yield connection
    await connection.close()


@pytest.fixture
async def backend(
    settings: Settings, redis_server: RedisServer, database_url: str, kafka_bootstrap: str, tables: Connection
) -> AsyncIterator[Worker]:
    """A worker for a dashboard that has a login of its own: its alerts may be acknowledged without a token."""
    complete = load_settings(
        redis=settings.redis,
        web=settings.web,
        admin=settings.admin,
        limits=settings.limits,
        auth={"public_acknowledge": True},
        kafka={"bootstrap_servers": kafka_bootstrap},
        postgres={"url": database_url},
    )
    await create_topics(complete, declared_topics(complete))
    async with serving(complete, redis_server) as worker:
        worker.client.session.headers.clear()
        yield worker


async def get(client: Client, path: str) -> Any:
    response = await client.get(path)
    assert response.status == 200, await response.text()
    return await response.json()


async def ids(client: Client, path: str) -> list[str]:
    return [row["id"] for row in await get(client, path)]


async def keep(worker: Worker, tables: Connection, *events: AlertEvent) -> None:
    """Into Postgres, and the open ones into Redis."""
    await store(tables, *events)
    await keep_open(worker.context.redis, *(event for event in events if event.resolved_at is None))


async def test_an_alert_is_active_then_acknowledged_and_stays_in_the_history(
    backend: Worker, tables: Connection
) -> None:
    client = backend.client
    await tables.execute("INSERT INTO cameras (camera_id, road_segment) VALUES ('cam_1', 'A1')")
    warning = alert_event("w", severity="WARNING", congestion_level="HIGH")
    critical = alert_event("c", seconds=10)
    await keep(backend, tables, warning, critical)
    await backend.context.registry.refresh()

    active = await get(client, "/api/alerts/active")
    assert [row["id"] for row in active] == [critical.id, warning.id]
    assert all(set(row) == ALERT for row in active)
    assert [(row["acknowledged"], row["road_segment"]) for row in active] == [(False, "A1")] * 2
    assert await get(client, "/api/alerts/current") == active

    # it takes whole numbers only, and has no token
    number = active[1]["alert_number"]
    response = await client.post(f"/api/alerts/{number}/acknowledge", json={"admin_id": "ada"})
    assert response.status == 200, await response.text()
    told = await response.json()
    stored = await tables.fetchrow("SELECT * FROM alert_acknowledgements")
    assert stored is not None
    assert str(stored["alert_id"]) == warning.id
    at = stored["acknowledged_at"].isoformat().replace("+00:00", "Z")
    by = {"acknowledged": True, "acknowledged_by": "ada", "acknowledged_at": at}
    assert told == active[1] | by | {"alert_id": warning.id, "admin_id": "ada", "status": "acknowledged"}

    # at once, though Redis has not heard of it
    assert await ids(client, "/api/alerts/active") == [critical.id]
    current = await get(client, "/api/alerts/current")
    assert [row["acknowledged_by"] for row in current] == [None, "ada"]
    again = await client.post(f"/api/alerts/{warning.id}/acknowledge", headers={"X-Admin-User": "bob"})
    assert (again.status, await again.json()) == (200, told | {"status": "already_acknowledged"})
    response = await client.post(f"/api/alerts/{critical.id}/acknowledge", headers={"X-Admin-User": "bob"})
    assert (await response.json())["admin_id"] == "bob"
    assert await get(client, "/api/alerts/active") == []

    history = await get(client, f"/api/alerts/history?{SPAN}")
    assert [(row["id"], row["acknowledged"], row["acknowledged_by"]) for row in history] == [
        (critical.id, True, "bob"),
        (warning.id, True, "ada"),
    ]
    assert all(set(row) == ALERT for row in history)
    audit = await tables.fetch("SELECT actor, role, action FROM audit_logs")
    assert [tuple(row) for row in audit] == [("anonymous", "viewer", "alerts.acknowledge")] * 2


@pytest.mark.parametrize("token", [{}, {"X-Admin-Token": "wrong"}, {"Authorization": "Bearer wrong"}])
async def test_without_the_setting_a_token_is_needed_and_a_wrong_one_never_passes(
    backend: Worker, history_worker: Worker, tables: Connection, token: dict[str, str]
) -> None:
    alert = alert_event("a")
    await keep(backend, tables, alert)
    workers = [history_worker] if not token else [history_worker, backend]
    for worker in workers:
        worker.client.session.headers.clear()
        response = await worker.client.post(f"/api/alerts/{alert.id}/acknowledge", json={}, headers=token)
        assert response.status == 401
    # the setting opens nothing else
    for path in ("/api/alerts", f"/api/alerts/{alert.id}/resolve"):
        assert (await backend.client.post(path, json={"title": "x"})).status == 401


async def test_words_choose_alerts_in_any_case(backend: Worker, tables: Connection) -> None:
    client = backend.client
    high = alert_event("high", severity="WARNING", congestion_level="HIGH")
    severe = alert_event("severe", "cam_2", 10, alert_type="stopped_traffic")
    eased = alert_event("eased", "cam_3", 20, congestion_level="LOW")
    manual = alert_event("m", None, 30, severity="EMERGENCY", alert_type="manual", congestion_level=None)
    silent = alert_event("s", "cam_4", 40, severity="WARNING", alert_type="camera_silent", congestion_level=None)
    await keep(backend, tables, high, severe, eased, manual, silent)
    for query, expected in (
        ("", [manual, eased, severe, high]),
        ("severity=warning", [high]),
        ("severity=Critical", [eased, severe]),
        ("severity=EMERGENCY", [manual]),
        ("severity=high", [high]),
        ("severity=SEVERE", [severe]),
        ("severity=Low", [eased]),
        ("severity=MODERATE", []),
        ("severity=UNKNOWN", []),
        ("severity=red", []),
        ("severity=", [manual, eased, severe, high]),
        ("alert_type=Stopped_Traffic", [severe]),
        ("type=MANUAL", [manual]),
        ("type=manual&alert_type=Manual", [manual]),
        ("type=flood", []),
        ("camera_id=cam_3", [eased]),
        ("include=quality", [silent, manual, eased, severe, high]),
        ("include=quality&severity=WARNING", [silent, high]),
        ("type=camera_silent", [silent]),
        ("limit=2", [manual, eased]),
    ):
        for path in ("active?", "current?", f"history?{SPAN}&"):
            assert await ids(client, f"/api/alerts/{path}{query}") == [one.id for one in expected], (path, query)
        exported = await (await client.get(f"/api/alerts/export?{SPAN}&{query}")).text()
        assert [row["id"] for row in csv.DictReader(io.StringIO(exported))] == [one.id for one in expected], query


async def test_ended_alerts_are_found_by_the_level_that_raised_them(backend: Worker, tables: Connection) -> None:
    ended = alert_event("ended", congestion_level="LOW", resolved_at=after_noon(60))
    await keep(backend, tables, ended)
    for word, expected in (("SEVERE", [ended.id]), ("LOW", [ended.id]), ("HIGH", [])):
        assert await ids(backend.client, f"/api/alerts/history?{SPAN}&severity={word}") == expected


async def test_open_alerts_come_in_pages_when_few_are_asked_for(backend: Worker, tables: Connection) -> None:
    events = [alert_event(f"alert {number}", seconds=number // 3) for number in range(7)]
    await keep_open(backend.context.redis, *events)
    whole = await ids(backend.client, "/api/alerts/active")
    collected: list[str] = []
    url = "/api/alerts/active?limit=2"
    while url:
        response = await backend.client.get(url)
        collected += [row["id"] for row in await response.json()]
        url = str(response.links["next"]["url"].relative()) if "next" in response.links else ""
    assert (len(whole), collected) == (7, whole)


async def test_every_path_takes_the_number_of_an_alert(backend: Worker, tables: Connection) -> None:
    only_live, only_stored = alert_event("live"), alert_event("stored", seconds=5, resolved_at=after_noon(60))
    manual = alert_event("m", None, 30, severity="EMERGENCY", alert_type="manual", congestion_level=None)
    await keep_open(backend.context.redis, only_live)
    await store(tables, only_stored, manual)
    for event in (only_live, only_stored, manual):
        number = alert_number(event.id)
        assert 0 <= number <= 2**53 - 1
        by_id, by_number = [await get(backend.client, f"/api/alerts/{key}") for key in (event.id, number)]
        assert by_id == by_number
        assert (by_id["id"], by_id["alert_number"]) == (event.id, number)
    from tests.web.conftest import ADMIN

    response = await backend.client.post(f"/api/alerts/{alert_number(manual.id)}/resolve", headers=ADMIN)
    assert (response.status, (await response.json())["id"]) == (200, manual.id)


def test_numbers_of_alerts_differ_and_stay() -> None:
    names = [uuid.uuid5(uuid.NAMESPACE_OID, str(number)) for number in range(20_000)]
    numbers = {alert_number(name) for name in names}
    assert len(numbers) == len(names)
    assert max(numbers) <= 2**53 - 1
    assert max(numbers) > 2**52
    assert alert_number("d720e32d-4765-5177-b65b-42dd7f6e6445") == 7569160010263714
