from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.stores.alerts.alert_messages import Connection, alert_event, keep_open, store
from tests.web.conftest import Worker
from tests.web.stored import keep_windows, recent_window
from trafficapp.analytics.heatmap import full_counts, heat_span
from trafficapp.settings import load_settings
from trafficapp.stores.migrations import migrate

POINT = "camera_id latitude longitude road_segment weight intensity avg_vehicle_count vehicle_count last_window"
INCIDENT = (
    "alert_id camera_id latitude longitude road_segment severity alert_type title triggered_at congestion_level score "
    "vehicle_count queue_length avg_speed_kmh counts_by_class window_end"
)
PLACED = (
    "INSERT INTO cameras (camera_id, name, latitude, longitude, road_segment) "
    "VALUES ('a', 'A', 44.5, 11.5, 'Via A'), ('b', 'B', 45.5, 11.5, NULL), ('no_score', 'C', 44.6, 11.5, NULL)"
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
    rows = [
        recent_window("a", 1, congestion_score=0.9, vehicle_count=20),
        recent_window("a", 2, congestion_score=0.6, vehicle_count=5),
        recent_window("a", 3, congestion_score=None, congestion_level="UNKNOWN", avg_speed_kmh=None, vehicle_count=2),
        recent_window("a", 1000, congestion_score=0.0),
        recent_window("b", 1, congestion_score=0.2, vehicle_count=70),
        recent_window("nowhere", 1),
        recent_window("no_score", 1, congestion_score=None, congestion_level="UNKNOWN", avg_speed_kmh=None),
    ]
    await keep_windows(placed.context.settings, *rows)
    found = await (await placed.client.get("/api/map/heatmap")).json()
    assert list(found) == ["window_minutes", "points"]
    assert found["window_minutes"] == 5
    body = found["points"]
    # as they were made, since the next window may have begun in between
    ended = {row.camera_id: row.window_end for row in reversed(rows)}
    assert body == [
        {"camera_id": "a", "latitude": 44.5, "longitude": 11.5, "road_segment": "Via A", "weight": 0.18,
         "intensity": 0.75, "avg_vehicle_count": 9.0, "vehicle_count": 9, "last_window": ended["a"]},
        {"camera_id": "b", "latitude": 45.5, "longitude": 11.5, "road_segment": None, "weight": 1.0,
         "intensity": 0.2, "avg_vehicle_count": 70.0, "vehicle_count": 70, "last_window": ended["b"]},
        {"camera_id": "no_score", "latitude": 44.6, "longitude": 11.5, "road_segment": None, "weight": 0.2,
         "intensity": None, "avg_vehicle_count": 10.0, "vehicle_count": 10, "last_window": ended["no_score"]},
    ]  # fmt: skip
    assert list(body[0]) == (
        [
            "camera_id",
            "latitude",
            "longitude",
            "road_segment",
            "weight",
            "intensity",
            "avg_vehicle_count",
            "vehicle_count",
            "last_window",
        ]
    )
    assert await (await placed.client.get("/api/map/heatmap?format=array")).json() == body
    day = await (await placed.client.get("/api/map/heatmap?minutes=1440")).json()
    assert day["window_minutes"] == 1440
    assert (day["points"][0]["intensity"], day["points"][0]["avg_vehicle_count"]) == (0.5, 9.25)
    inside = await (await placed.client.get("/api/map/heatmap?zone=centre&format=array")).json()
    assert inside == [body[0], body[2]]


async def test_the_mean_is_over_the_minutes_asked_for_and_no_others(placed: Worker) -> None:
    # a window every five seconds of six minutes; what is full is the setting's 50, of a camera its own
    windows = [recent_window("a", ago, vehicle_count=ago, congestion_score=ago / 100) for ago in range(1, 73)]
    await keep_windows(placed.context.settings, *windows)
    for minutes in (1, 2, 5):
        before = datetime.now(UTC)
        (point,) = await (await placed.client.get(f"/api/map/heatmap?minutes={minutes}&format=array")).json()
        after = datetime.now(UTC)
        expected = []
        for now in (before, after):
            since = now - timedelta(minutes=minutes)
            inside = [row for row in windows if since <= datetime.fromisoformat(row.window_start) < now]
            expected.append(round(sum(row.vehicle_count for row in inside) / len(inside), 2))
        assert point["avg_vehicle_count"] in expected
        assert point["weight"] == pytest.approx(point["avg_vehicle_count"] / 50, abs=1e-4)
        assert point["intensity"] == pytest.approx(point["avg_vehicle_count"] / 100, abs=1e-4)


def test_what_is_full_may_be_a_cameras_own() -> None:
    full = full_counts(load_settings(congestion={"max_count": 40}, cameras={"b": {"max_count": 12}, "c": {}}))
    assert [full(camera_id) for camera_id in "abc"] == [40, 12, 40]


def test_a_span_is_that_of_the_minutes() -> None:
    now = datetime(2026, 3, 2, 12, 0, 59, 5, tzinfo=UTC)
    assert heat_span(now, 5) == (datetime(2026, 3, 2, 11, 55, 59, 5, tzinfo=UTC), now)


async def test_incidents(placed: Worker) -> None:
    here, there = (
        alert_event("here", "a"),
        alert_event("there", "b", 5, severity="WARNING", congestion_level="HIGH", congestion_score=0.6),
    )
    silent = alert_event("silent", "a", alert_type="camera_silent")
    others = (alert_event("nowhere", "nowhere"), alert_event("city", None), silent)
    await keep_open(placed.context.redis, here, there, *others)
    window = recent_window("a", vehicle_count=31, queue_length=12, avg_speed_kmh=6.5, counts_by_class={"bus": 31})
    await placed.put(window)
    body = await (await placed.client.get("/api/map/incidents")).json()
    seen = {"vehicle_count": 31, "queue_length": 12, "avg_speed_kmh": 6.5, "counts_by_class": {"bus": 31},
            "window_end": window.window_end}  # fmt: skip
    assert body == [
        {
            "alert_id": alert.id,
            "camera_id": alert.camera_id,
            "latitude": latitude,
            "longitude": 11.5,
            "road_segment": segment,
            "severity": alert.severity,
            "alert_type": "congestion",
            "title": alert.title,
            "triggered_at": alert.triggered_at,
            "congestion_level": alert.congestion_level,
            "score": alert.congestion_score,
            **now,
        }
        for alert, latitude, segment, now in (
            (there, 45.5, None, dict.fromkeys(seen)),
            (here, 44.5, "Via A", seen),
        )
    ]
    assert list(body[0]) == INCIDENT.split()
    for query in ("severity=CRITICAL", "severity=severe", "zone=centre"):
        found = await (await placed.client.get(f"/api/map/incidents?{query}")).json()
        assert [alert["alert_id"] for alert in found] == [here.id]
    for word, expected in (("WARNING", [there]), ("high", [there]), ("", [there, here])):
        found = await (await placed.client.get(f"/api/map/incidents?severity={word}")).json()
        assert [alert["alert_id"] for alert in found] == [alert.id for alert in expected]
    for word in ("EMERGENCY", "LOW", "MODERATE", "UNKNOWN", "fatal"):
        response = await placed.client.get(f"/api/map/incidents?severity={word}")
        assert (response.status, await response.json()) == (200, [])


async def test_an_incident_of_people_has_the_level_that_its_camera_has_now(placed: Worker) -> None:
    manual = alert_event("manual", "a", severity="EMERGENCY", congestion_level=None, congestion_score=None)
    await keep_open(placed.context.redis, manual)
    await placed.put(recent_window("a", congestion_level="HIGH", congestion_score=0.61))
    (found,) = await (await placed.client.get("/api/map/incidents?severity=emergency")).json()
    assert (found["congestion_level"], found["score"]) == ("HIGH", 0.61)


@pytest.mark.parametrize("word", ["", "WARNING", "critical", "EMERGENCY", "low", "Moderate", "HIGH", "SEVERE", "red"])
async def test_words_choose_the_same_alerts_on_the_map_and_in_the_list(placed: Worker, word: str) -> None:
    """One that rose, one that eases, one of people at a camera where traffic stands, a camera that is silent."""
    open_ones = [
        alert_event("rose", "a", severity="CRITICAL", congestion_level="SEVERE"),
        alert_event("eases", "b", severity="WARNING", congestion_level="LOW"),
        alert_event("of people", "a", severity="EMERGENCY", alert_type="manual", congestion_level=None),
        alert_event("silent", "b", severity="WARNING", alert_type="camera_silent", congestion_level=None),
    ]
    await keep_open(placed.context.redis, *open_ones)
    await placed.put(recent_window("a", congestion_level="HIGH"), recent_window("b", congestion_level="SEVERE"))
    shown = await (await placed.client.get(f"/api/map/incidents?severity={word}")).json()
    listed = await (await placed.client.get(f"/api/alerts/active?severity={word}")).json()
    assert sorted(one["alert_id"] for one in shown) == sorted(one["id"] for one in listed)
    assert len(shown) == {"": 3, "low": 1, "Moderate": 0, "HIGH": 0, "red": 0}.get(word, 1)


async def test_incidents_while_redis_is_away(placed: Worker, database_url: str) -> None:
    connection: Connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE alerts, alert_acknowledgements")
    await store(connection, alert_event("here", "a"))
    await connection.close()
    older, newest = recent_window("a", 2), recent_window("a", 1, vehicle_count=33)
    await keep_windows(placed.context.settings, older, newest)
    placed.redis_server.kill()
    (found,) = await (await placed.client.get("/api/map/incidents")).json()
    assert (found["vehicle_count"], found["window_end"]) == (33, newest.window_end)


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
        ("heatmap?format=points", 400),
        (f"incidents?severity={'x' * 65}", 400),
        ("incidents?zone=moon", 404),
    ],
)
async def test_refused(placed: Worker, path: str, status: int) -> None:
    response = await placed.client.get(f"/api/map/{path}")
    assert response.status == status
    assert response.content_type == "application/problem+json"
