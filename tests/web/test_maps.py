from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.stores.alerts import Connection, alert_event, keep_open
from tests.web.conftest import Worker
from tests.web.stored import keep_windows, recent_window
from trafficapp.heatmap import heat_span
from trafficapp.stores.migrations import migrate

PLACED = (
    "INSERT INTO cameras (camera_id, name, latitude, longitude) "
    "VALUES ('a', 'A', 44.5, 11.5), ('b', 'B', 45.5, 11.5), ('no_score', 'C', 44.6, 11.5)"
    " ON CONFLICT (camera_id) DO UPDATE SET name = EXCLUDED.name, latitude = EXCLUDED.latitude, "
    "longitude = EXCLUDED.longitude"
)


@pytest.fixture
async def placed(history_worker: Worker, database_url: str) -> AsyncIterator[Worker]:
    """A worker that knows three cameras and a zone around one of them."""
    await asyncio.to_thread(migrate, database_url)
    connection: Connection = await asyncpg.connect(database_url)
    await connection.execute(
        "TRUNCATE cameras, monitoring_zones, traffic_metrics, metrics_1m, metrics_1h, sink_offsets"
    )
    await connection.execute(PLACED)
    await connection.execute(
        "INSERT INTO monitoring_zones (name, polygon) VALUES ('centre', '[[11,44],[12,44],[12,45],[11,45],[11,44]]')"
    )
    assert await history_worker.context.registry.refresh()
    yield history_worker
    await connection.close()


async def test_heatmap(placed: Worker) -> None:
    await keep_windows(
        placed.context.settings,
        recent_window("a", 1, congestion_score=0.9, vehicle_count=20),
        recent_window("a", 2, congestion_score=0.6, vehicle_count=5),
        recent_window("a", 3, congestion_score=None, congestion_level="UNKNOWN", avg_speed_kmh=None, vehicle_count=2),
        recent_window("a", 1000, congestion_score=0.0),
        recent_window("b", 1, congestion_score=0.2),
        recent_window("nowhere", 1),
        recent_window("no_score", 1, congestion_score=None, congestion_level="UNKNOWN", avg_speed_kmh=None),
    )
    body = await (await placed.client.get("/api/map/heatmap")).json()
    assert body == [
        {"camera_id": "a", "latitude": 44.5, "longitude": 11.5, "weight": 0.75, "vehicle_count": 9},
        {"camera_id": "b", "latitude": 45.5, "longitude": 11.5, "weight": 0.2, "vehicle_count": 10},
    ]
    day = await (await placed.client.get("/api/map/heatmap?minutes=1440")).json()
    assert (day[0]["weight"], day[0]["vehicle_count"]) == (0.5, 9)
    inside = await (await placed.client.get("/api/map/heatmap?zone=centre")).json()
    assert inside == body[:1]


def test_a_span_holds_whole_minutes() -> None:
    now = datetime(2026, 3, 2, 12, 0, 59, tzinfo=UTC)
    assert heat_span(now, 5) == (
        datetime(2026, 3, 2, 11, 55, tzinfo=UTC),
        datetime(2026, 3, 2, 12, 1, tzinfo=UTC),
    )
    assert heat_span(now + timedelta(seconds=1), 1)[0] == datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


async def test_incidents(placed: Worker) -> None:
    here, there = alert_event("here", "a"), alert_event("there", "b", 5, severity="WARNING")
    silent = alert_event("silent", "a", alert_type="camera_silent")
    others = (alert_event("nowhere", "nowhere"), alert_event("city", None), silent)
    await keep_open(placed.context.redis, here, there, *others)
    body = await (await placed.client.get("/api/map/incidents")).json()
    assert body == [
        {
            "alert_id": alert.id,
            "camera_id": alert.camera_id,
            "latitude": latitude,
            "longitude": 11.5,
            "severity": alert.severity,
            "alert_type": "congestion",
            "title": alert.title,
            "triggered_at": alert.triggered_at,
        }
        for alert, latitude in ((there, 45.5), (here, 44.5))
    ]
    for query in ("severity=CRITICAL", "zone=centre"):
        found = await (await placed.client.get(f"/api/map/incidents?{query}")).json()
        assert [alert["alert_id"] for alert in found] == [here.id]


async def test_a_zone_chooses_among_the_lists_of_cameras(placed: Worker) -> None:
    await placed.put(recent_window("a"), recent_window("b"), recent_window("nowhere"))
    for path in ("/cameras", "/metrics/current", "/congestion/current"):
        assert [row["camera_id"] for row in await (await placed.client.get(path)).json()] == ["a", "b", "nowhere"]
        found = await (await placed.client.get(f"{path}?zone=centre")).json()
        assert [row["camera_id"] for row in found] == ["a"]
        assert (await placed.client.get(f"{path}?zone=moon")).status == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("heatmap?minutes=0", 400),
        ("heatmap?minutes=1441", 400),
        ("heatmap?zone=moon", 404),
        ("incidents?severity=LOW", 400),
        ("incidents?zone=moon", 404),
    ],
)
async def test_refused(placed: Worker, path: str, status: int) -> None:
    response = await placed.client.get(f"/api/map/{path}")
    assert response.status == status
    assert response.content_type == "application/problem+json"
