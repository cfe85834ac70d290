from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from models.timestamps import epoch_us, rfc3339
from tests.stores.alerts.alert_messages import Connection, alert_event, keep_open, store
from tests.web.conftest import Worker
from tests.web.stored import keep_detections, keep_windows, recent_window
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import WINDOW_OFFSETS_KEY

NOTHING = {
    "total_incidents_24h": 0,
    "avg_speed_kmh": None,
    "overall_congestion_level": "UNKNOWN",
    "overall_congestion_score": None,
    "active_alerts": 0,
    "last_updated": None,
    "generated_at": "now",
    "average_speed_kmh": None,
    "average_speed_kmh_5m": None,
    "average_congestion_score_5m": None,
    "total_cameras_active": 0,
    "total_vehicles_last_window": 0,
    "congestion_breakdown": {"LOW": 0, "MODERATE": 0, "HIGH": 0, "SEVERE": 0},
    "worst_camera": None,
    "healthy_share": None,
}


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Connection]:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "TRUNCATE alerts, alert_acknowledgements, cameras, traffic_metrics, traffic_events, metrics_1m, metrics_1h, "
        "sink_offsets, admin_thresholds"
    )
    yield connection
    await connection.close()


async def summary(worker: Worker, status: int = 200) -> dict[str, Any]:
    response = await worker.client.get("/api/dashboard/summary")
    assert response.status == status, await response.text()
    body = await response.json()
    assert isinstance(body, dict)
    if status == 200:
        assert abs(datetime.fromisoformat(body["generated_at"]) - datetime.now(UTC)) < timedelta(seconds=10)
        body["generated_at"] = "now"
    return body


def windows() -> list[Any]:
    return [
        recent_window("a", 1, vehicle_count=30, avg_speed_kmh=10.0, congestion_score=0.7, congestion_level="HIGH"),
        recent_window("b", 2, vehicle_count=10, avg_speed_kmh=50.0, congestion_score=0.3),
        recent_window("no_speed", 1, avg_speed_kmh=None, congestion_score=None, congestion_level="UNKNOWN"),
        recent_window("gone", 63, vehicle_count=90, avg_speed_kmh=1.0, congestion_score=1.0),
    ]


async def test_nothing_is_known(history_worker: Worker, tables: Connection) -> None:
    assert await summary(history_worker) == NOTHING


async def test_cameras_weigh_as_many_times_as_they_saw_vehicles(history_worker: Worker, tables: Connection) -> None:
    rows = windows()
    await history_worker.put(*rows)
    earlier = recent_window("a", 13, avg_speed_kmh=21.0, congestion_score=0.2)
    await keep_windows(history_worker.context.settings, *rows, earlier)
    hour_ago = rfc3339(epoch_us(datetime.now(UTC) - timedelta(hours=1)))
    recent = alert_event("recent", triggered_at=hour_ago, resolved_at=hour_ago)
    silent = alert_event("silent", triggered_at=hour_ago, alert_type="camera_silent")
    await store(tables, recent, silent, alert_event("of long ago"))
    await keep_open(history_worker.context.redis, silent, alert_event("open"))
    body = await summary(history_worker)
    assert list(body) == list(NOTHING)
    assert body == {
        "total_incidents_24h": 1,
        "avg_speed_kmh": 20.0,
        "overall_congestion_level": "HIGH",
        "overall_congestion_score": 0.6,
        "active_alerts": 1,
        "last_updated": rows[0].window_end,
        "generated_at": "now",
        "average_speed_kmh": 20.0,
        # of what began in the last five minutes: every window weighs the same
        "average_speed_kmh_5m": 27.0,
        "average_congestion_score_5m": 0.4,
        "total_cameras_active": 3,
        "total_vehicles_last_window": 50,
        "congestion_breakdown": {"LOW": 0, "MODERATE": 1, "HIGH": 1, "SEVERE": 0},
        "worst_camera": {"camera_id": "a", "congestion_level": "HIGH", "congestion_score": 0.7},
        "healthy_share": 1.0,
    }


async def test_when_no_window_came_for_minutes_nothing_is_said_of_now(
    history_worker: Worker, tables: Connection
) -> None:
    last = recent_window("a", 30, avg_speed_kmh=10.0, congestion_score=0.9)
    await history_worker.put(last)
    await history_worker.context.redis.hincrby(WINDOW_OFFSETS_KEY, "put_at", -121)
    assert await summary(history_worker) == {**NOTHING, "last_updated": last.window_end}


async def test_the_level_follows_the_thresholds_in_force(history_worker: Worker, tables: Connection) -> None:
    await history_worker.put(*windows())
    await tables.execute(
        "INSERT INTO admin_thresholds (congestion_threshold_low, congestion_threshold_moderate, "
        "congestion_threshold_high, effective_from, set_by) VALUES (0.1, 0.2, 0.6, now(), 'ada')"
    )
    assert (await summary(history_worker))["overall_congestion_level"] == "SEVERE"


async def test_the_same_from_postgres_while_redis_is_away(history_worker: Worker, tables: Connection) -> None:
    await keep_windows(history_worker.context.settings, *windows())
    await store(tables, alert_event("open"))
    history_worker.redis_server.kill()
    response = await history_worker.client.get("/api/dashboard/summary")
    assert response.headers["X-Data-Source"] == "postgres"
    body = await response.json()
    assert (body["avg_speed_kmh"], body["overall_congestion_score"], body["active_alerts"]) == (20.0, 0.6, 1)


async def test_without_postgres_only_the_incidents_are_unknown(worker: Worker) -> None:
    await worker.put(*windows())
    body = await summary(worker)
    assert (body["total_incidents_24h"], body["overall_congestion_level"]) == (None, "HIGH")
    assert (body["average_speed_kmh_5m"], body["average_speed_kmh"]) == (None, 20.0)
    worker.redis_server.kill()
    await asyncio.sleep(1)  # what is shared ends
    await summary(worker, 503)


async def test_newest_detections(history_worker: Worker, tables: Connection) -> None:
    settings = history_worker.context.settings
    await keep_detections(
        settings,
        *(
            {"camera_id": f"cam_{number}", "timestamp": f"2026-01-14T07:00:{number:02}Z", "class": "bus"}
            for number in range(12)
        ),
        {"camera_id": "lane", "timestamp": "2026-01-14T07:01:00Z", "lane_id": 3, "speed_estimate": 41.5},
    )
    response = await history_worker.client.get("/api/dashboard/events")
    body = await response.json()
    assert len(body) == 10
    assert body[:2] == [
        {
            "camera_id": "lane",
            "timestamp": "2026-01-14T07:01:00Z",
            "vehicle_id": "v1",
            "vehicle_class": "car",
            "class": "car",
            "lane_id": 3,
            "speed_kmh": 41.5,
            "confidence": 0.9,
        },
        {
            "camera_id": "cam_11",
            "timestamp": "2026-01-14T07:00:11Z",
            "vehicle_id": "v1",
            "vehicle_class": "bus",
            "class": "bus",
            "lane_id": None,
            "speed_kmh": None,
            "confidence": 0.9,
        },
    ]
    fields = "camera_id timestamp vehicle_id vehicle_class class lane_id speed_kmh confidence"
    assert list(body[0]) == fields.split()
    assert len(await (await history_worker.client.get("/api/dashboard/events?limit=100")).json()) == 13


async def test_the_newest_detections_of_many_are_at_the_end(history_worker: Worker, tables: Connection) -> None:
    # far more than the part of the table that is read first, and those of other partitions are older
    await keep_detections(history_worker.context.settings, {"camera_id": "last", "timestamp": "2026-01-14T08:00:00Z"})
    table = await tables.fetchval("SELECT tableoid::regclass::text FROM traffic_events")
    await tables.execute(
        f"INSERT INTO {table} SELECT 'a', timestamptz '2026-01-14 07:00Z' + number * interval '1 ms', 'v', 'car', 1, 1,"  # noqa: S608
        " 0, 0, 0, 0, 0, 0, NULL, NULL, stored_at FROM traffic_events, generate_series(1, 60000) AS number"
    )
    body = await (await history_worker.client.get("/api/dashboard/events?limit=1")).json()
    assert body[0]["timestamp"] == "2026-01-14T07:01:00Z"


@pytest.mark.parametrize("limit", ["0", "101", "ten"])
async def test_limit_of_detections(history_worker: Worker, tables: Connection, limit: str) -> None:
    assert (await history_worker.client.get(f"/api/dashboard/events?limit={limit}")).status == 400
