from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from yarl import URL

from models.events import Envelope
from tests.web.administration.conftest import Call, Connection
from tests.web.conftest import Worker
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.event_log import EVENTS_CHANNEL

BROADCAST = "/api/admin/notifications/broadcast"
AUDIT = "/api/admin/audit"


async def test_everybody_who_listens_hears_a_broadcast_once(call: Call, history_worker: Worker) -> None:
    async with (
        connect(history_worker.redis_server.url) as redis,
        redis.pubsub(ignore_subscribe_messages=True) as listener,
    ):
        await listener.subscribe(EVENTS_CHANNEL)
        body = {"title": "Fog", "message": "Slow down, \u201eattenzione\u201c", "camera_id": "cam_1"}
        sent = await call("POST", BROADCAST, body, 202, X_Admin_User="Giulia")
        assert sent.pop("status") == "queued"
        assert sent == body | {"id": sent["id"], "sent_at": sent["sent_at"], "sent_by": "Giulia"} | {
            "severity": "WARNING",
            "zone": None,
        }
        message: Any = None
        async with asyncio.timeout(180):
            while message is None:
                message = await listener.get_message(timeout=1)
        envelope = msgspec.json.decode(message["data"], type=Envelope)
        assert envelope.event == "admin_broadcast"
        assert msgspec.json.decode(envelope.data) == sent
        assert await listener.get_message(timeout=0.2) is None
    (row,) = await call("GET", AUDIT)
    assert (row["actor"], row["role"], row["action"]) == ("Giulia", "admin", "notifications.broadcast")
    assert (row["before"], row["after"], row["remote"]) == (None, sent, "127.0.0.1")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": ""},
        {"message": "a\0b"},
        {"message": "x" * 5000},
        {"message": "a", "severity": "INFO"},
        {"message": "a", "zone": "nowhere"},
        {"message": "a", "camera_id": "\0"},
    ],
)
async def test_what_is_no_broadcast(call: Call, tables: Connection, body: dict[str, Any]) -> None:
    await call("POST", BROADCAST, body, 422)
    assert await tables.fetchval("SELECT count(*) FROM audit_logs") == 0


async def test_without_redis_a_broadcast_waits(call: Call, tables: Connection, history_worker: Worker) -> None:
    history_worker.redis_server.kill()
    response = await history_worker.client.post(BROADCAST, json={"message": "later"})
    assert (response.status, response.headers["X-Publication"]) == (202, "pending")
    assert await tables.fetchval("SELECT count(*) FROM pending_publications") == 1


async def test_the_audit_log_is_read_in_pages_and_by_actor_action_and_time(
    call: Call, tables: Connection, history_worker: Worker
) -> None:
    await tables.execute(
        "INSERT INTO audit_logs (at, actor, role, action, target) "
        "SELECT '2026-01-14T07:00:00Z'::timestamptz + n * interval '1 s', 'actor ' || n % 2, 'admin', 'a.' || n % 3, "
        "'t' FROM generate_series(0, 11) AS n"
    )
    rows: list[dict[str, Any]] = []
    url = f"{AUDIT}?limit=5&from=2026-01-14T07:00:01Z&to=2026-01-14T07:00:11Z"
    while url:
        response = await history_worker.client.get(url)
        rows += await response.json()
        url = URL(response.links["next"]["url"]).path_qs if "next" in response.links else ""
    assert [row["at"] for row in rows] == [f"2026-01-14T07:00:{second:02}Z" for second in range(10, 0, -1)]
    assert [row["id"] for row in await call("GET", f"{AUDIT}?actor=actor%201&action=a.1")] == [8, 2]
    for query in ("actor=nobody", "actor=%00", "action=a", "from=2026-02-01", "to=2026-01-01"):
        assert await call("GET", f"{AUDIT}?{query}") == []
    for query in ("limit=0", "limit=1001", "from=yesterday", "cursor=x", "cursor=Wy0xXQ"):
        await call("GET", f"{AUDIT}?{query}", status=400)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", AUDIT),
        ("POST", BROADCAST),
        ("GET", "/api/admin/thresholds"),
        ("PUT", "/api/admin/thresholds"),
        ("GET", "/api/admin/zones"),
        ("POST", "/api/admin/cameras"),
    ],
)
async def test_administration_is_for_administrators(worker: Worker, method: str, path: str) -> None:
    response = await worker.client.request(method, path, json={}, headers={"X-Admin-Token": "wrong"})
    assert response.status == 401
