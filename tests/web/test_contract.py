"""The bodies of the camera system's API have the fields of the contract, in its order, and no others."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from models.timestamps import epoch_us, rfc3339
from tests.stores.alerts.alert_messages import alert_event, keep_open, store
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.roads.notifications import notification, notification_records
from tests.stores.roads.observations import observation
from tests.web.conftest import Worker, serving, settings_of
from tests.web.stored import (
    keep_detections,
    keep_notifications,
    keep_roads,
    keep_windows,
    put_roads,
    recent_window,
)
from trafficapp.roads.feeds import NOTIFIED
from trafficapp.stores.feeds.log_sink import LogSink
from trafficapp.stores.migrations import migrate

WINDOW = (
    "camera_id window_start window_end lane_id vehicle_count counts_by_class avg_speed_kmh stopped_ratio queue_length "
    "congestion_level congestion_score detections "
    # ours, behind the contract's
    "p15_speed_kmh p50_speed_kmh p85_speed_kmh p95_speed_kmh"
)
ALERT = (
    "id severity alert_type camera_id road_segment title message congestion_level congestion_score triggered_at "
    "resolved_at acknowledged_by acknowledged_at"
)
#: Alerts in JSON say beside it whether they are acknowledged, and their number.
#: The contract's fields and, behind them, ours.
ALERT_ROW = ALERT.replace("acknowledged_by", "acknowledged acknowledged_by") + " alert_number"
ALERT_ROW += " alarm_at"
NOTIFICATION = "event_id timestamp alert_type road_id road_name severity message affected_routes affected_routes_count"
NOTIFICATION += " congestion_event_id change folded"
THRESHOLDS = "congestion_threshold_low congestion_threshold_moderate congestion_threshold_high"

#: Path, whether it is a list, and the fields, written down from the contract.
EXACT: list[tuple[str, bool, str]] = [
    ("/health", False, "status kafka postgres redis"),
    ("/cameras", True, "camera_id last_seen"),
    ("/metrics/current", True, WINDOW),
    ("/metrics/current?lanes=true", True, WINDOW),
    ("/metrics/current?camera_id=cam_1", False, f"{WINDOW} lanes"),
    ("/metrics/history?camera_id=cam_1", True, WINDOW),
    ("/congestion/current", True, WINDOW),
    (
        "/api/dashboard/summary",
        False,
        "total_incidents_24h avg_speed_kmh overall_congestion_level overall_congestion_score active_alerts "
        "last_updated generated_at average_speed_kmh average_speed_kmh_5m average_congestion_score_5m "
        "total_cameras_active total_vehicles_last_window congestion_breakdown worst_camera "
        # ours
        "healthy_share",
    ),
    (
        "/api/dashboard/events",
        True,
        "camera_id timestamp vehicle_id vehicle_class class lane_id speed_kmh confidence",
    ),
    ("/api/map/heatmap?minutes=5", False, "window_minutes points"),
    (
        "/api/map/heatmap?minutes=5&format=array",
        True,
        "camera_id latitude longitude road_segment weight intensity avg_vehicle_count vehicle_count last_window",
    ),
    (
        "/api/map/incidents",
        True,
        "alert_id camera_id latitude longitude road_segment severity alert_type title triggered_at congestion_level "
        "score vehicle_count queue_length avg_speed_kmh counts_by_class window_end",
    ),
    ("/api/alerts/current", True, ALERT_ROW),
    ("/api/alerts/active", True, ALERT_ROW),
    ("/api/alerts/history", True, ALERT_ROW),
    ("/api/notifications", True, NOTIFICATION),
    ("/analytics/trends", False, "hourly_avg_speed rush_hour_patterns top_congested_roads"),
    ("/traffic/current", True, "road_id road_name current_speed jam_factor congestion_level last_updated"),
]

#: The contract's fields and, behind them, ours.
CAMERA_FORECAST = (
    "camera_id model horizon_minutes step_seconds history_samples generated_at forecast",
    "lanes source note",
)

#: Fields of what is inside of ``/api/analytics/metrics``.
FIGURES = (
    "range_start range_end avg_congestion_score peak_hour_distribution top_segments incident_pie "
    "start end average_congestion average_speed_kmh peak_hour_trends incidents "
    # ours
    "healthy_share"
)
INSIDE = {
    "peak_hour_distribution": "hour avg_vehicle_count avg_congestion_score",
    "top_segments": (
        "camera_id road_segment avg_congestion_score severe_minutes average_congestion average_queue_length "
        "incident_count lane_id"
    ),
    "incident_pie": "severity count",
    "peak_hour_trends": "hour vehicle_count average_congestion average_speed_kmh",
}

#: The contract names these fields and leaves the rest open.
AT_LEAST: list[tuple[str, bool, str]] = [
    ("/api/predict/accuracy", False, "from to compared_to models cameras"),
    ("/api/admin/thresholds", False, THRESHOLDS),
    ("/api/admin/zones", True, "name description coordinates"),
    (
        "/api/admin/cameras",
        True,
        "camera_id name latitude longitude road_segment description calibration",
    ),
]


@pytest.fixture(scope="module")
async def everything(database_url: str, kafka_bootstrap: str) -> AsyncIterator[Worker]:
    """A worker behind which everything is there."""
    server = RedisServer()
    server.start()
    try:
        async with serving(settings_of(server, kafka_bootstrap, database_url), server) as worker:
            yield worker
    finally:
        server.kill()


@pytest.fixture(scope="module")
async def filled(everything: Worker, database_url: str) -> Worker:
    """A worker that knows something of everything; no test changes what another looks at."""
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "TRUNCATE alerts, alert_acknowledgements, cameras, monitoring_zones, traffic_metrics, traffic_events, "
        "metrics_1m, metrics_1h, road_observations, roads, notifications"
    )
    await connection.execute(
        "INSERT INTO cameras (camera_id, name, latitude, longitude, road_segment) "
        # where the shipped model's stands
        "VALUES ('cam_1', 'One', 44.5, 11.5, 'A'), ('cam_01', 'In Bologna', 44.498457, 11.327121, 'B')"
    )
    await connection.execute(
        "INSERT INTO monitoring_zones (name, polygon) VALUES ('centre', '[[11,44],[12,44],[12,45],[11,45],[11,44]]')"
    )
    settings = everything.context.settings
    window = recent_window("cam_1")
    # the shipped model of cameras knows cam_01
    await keep_windows(settings, window, recent_window("cam_01", 13))
    await everything.put(window)
    await keep_detections(settings, {"camera_id": "cam_1"})
    alert = alert_event("now", triggered_at=rfc3339(epoch_us(datetime.now(UTC))))
    await store(connection, alert)
    await keep_open(everything.context.redis, alert)
    await put_roads(everything.context.redis, observation())
    now = {"timestamp": rfc3339(epoch_us(datetime.now(UTC)) - 1_000_000)}
    await keep_roads(settings, observation(**now))
    await keep_notifications(settings, notification(**now))
    assert await everything.context.registry.refresh()
    await connection.close()
    return everything


async def fields(worker: Worker, path: str, is_list: bool) -> list[str]:
    response = await worker.client.get(path)
    assert response.status == 200, await response.text()
    body: Any = await response.json()
    assert isinstance(body, list) == is_list
    if not is_list:
        return list(body)
    assert body
    return list(body[0])


@pytest.mark.parametrize(("path", "is_list", "expected"), EXACT)
async def test_exactly_the_fields_of_the_contract(filled: Worker, path: str, is_list: bool, expected: str) -> None:
    assert await fields(filled, path, is_list) == expected.split()


@pytest.mark.parametrize(("path", "is_list", "expected"), AT_LEAST)
async def test_at_least_the_fields_of_the_contract(filled: Worker, path: str, is_list: bool, expected: str) -> None:
    assert set(expected.split()) <= set(await fields(filled, path, is_list))


async def test_predicting_a_camera_as_the_contract_says(filled: Worker) -> None:
    path = "/api/predict/congestion?camera_id=cam_01&horizon_minutes=10&lookback_minutes=15"
    assert await fields(filled, path, is_list=False) == " ".join(CAMERA_FORECAST).split()
    body = await (await filled.client.get(path)).json()
    assert (body["horizon_minutes"], body["step_seconds"], body["source"]) == (10, 60, "model")
    assert [step["step"] for step in body["forecast"]] == list(range(1, 11))
    assert list(body["forecast"][0])[:4] == ["step", "predicted_at", "congestion_score", "congestion_level"]


async def test_the_file_has_the_columns_of_the_contract(filled: Worker) -> None:
    text = await (await filled.client.get("/api/alerts/export")).text()
    lines = list(csv.reader(io.StringIO(text, newline="")))
    assert lines[0] == ALERT.split()
    assert len(lines) == 2


async def test_trends_of_roads(filled: Worker) -> None:
    body = await (await filled.client.get("/analytics/trends")).json()
    assert list(body["hourly_avg_speed"][0]) == ["hour", "speed"]
    assert {entry["speed"] for entry in body["hourly_avg_speed"]} == {20.0, None}
    assert [road["road_id"] for road in body["top_congested_roads"]] == ["a10"]
    assert len(body["rush_hour_patterns"]) == 2


async def test_each_notification_comes_as_its_record(filled: Worker) -> None:
    sink = LogSink(NOTIFIED, filled.context.settings, filled.context.redis, an_hour_back)
    await sink.load([0])
    news = notification(timestamp=rfc3339(epoch_us(datetime.now(UTC))))
    async with filled.client.ws_connect("/ws/notifications") as connection:
        await sink.apply(0, (records := notification_records(100, news)), lambda: True)
        message = await connection.receive_str(timeout=10)
    sink.release([0])
    assert message.encode() == records[0].value
    assert list(json.loads(message)) == NOTIFICATION.split()


async def test_analytics(filled: Worker) -> None:
    now = datetime.now(UTC)
    span = {"start": rfc3339(epoch_us(now - timedelta(hours=3))), "end": rfc3339(epoch_us(now + timedelta(hours=1)))}
    for names in (("start", "end"), ("from", "to")):
        response = await filled.client.get(
            "/api/analytics/metrics", params=dict(zip(names, span.values(), strict=True))
        )
        body = await response.json()
        assert (response.status, list(body)) == (200, FIGURES.split()), body
        for name, expected in INSIDE.items():
            assert list(body[name][0]) == expected.split()
    for names in (("start_a", "end_a", "start_b", "end_b"), ("aFrom", "aTo", "bFrom", "bTo")):
        ranges = dict(zip(names, [*span.values()] * 2, strict=True))
        body = await (await filled.client.get("/api/analytics/compare", params=ranges)).json()
        deltas = ["congestion_delta", "vehicle_count_delta", "speed_delta", "incident_delta"]
        assert list(body) == ["range_a", "range_b", *deltas], body
        compared = [*FIGURES.split(), "vehicle_count", "incident_count", "peak_hour"]
        assert list(body["range_a"]) == list(body["range_b"]) == compared
    report = await filled.client.get("/api/analytics/report/pdf", params=span)
    assert report.content_type == "application/pdf"
    assert report.headers["Content-Disposition"].startswith("attachment;")
    assert (await report.read()).startswith(b"%PDF-")


async def test_acknowledging_as_the_contract_says(filled: Worker) -> None:
    alert_id = alert_event("now").id
    path = f"/api/alerts/{alert_id}/acknowledge"
    first = await filled.client.post(path, json={"admin_id": "ada"})
    told = await first.json()
    assert (first.status, list(told)) == (200, [*ALERT_ROW.split(), "alert_id", "admin_id", "status"])
    assert (told["alert_id"], told["admin_id"], told["status"]) == (alert_id, "ada", "acknowledged")
    again = await filled.client.post(path, headers={"X-Admin-User": "bob"})
    assert (again.status, await again.json()) == (200, told | {"status": "already_acknowledged"})


async def test_administering_as_the_contract_says(filled: Worker) -> None:
    client = filled.client
    levels = dict(zip(THRESHOLDS.split(), (0.2, 0.5, 0.7), strict=True))
    changed = await client.put("/api/admin/thresholds", json=levels)
    assert changed.status == 200, await changed.text()
    assert levels.items() <= (await (await client.get("/api/admin/thresholds")).json()).items()
    corners = [{"lat": 44.0, "lon": 11.0}, {"lat": 44.0, "lon": 12.0}, {"lat": 45.0, "lon": 12.0}]
    made = await client.post("/api/admin/zones", json={"name": "north", "coordinates": corners})
    assert made.status == 201, await made.text()
    zone = await made.json()
    assert zone["coordinates"] == [*corners, corners[0]]
    assert (await client.put(f"/api/admin/zones/{zone['id']}", json={"name": "south"})).status == 200
    assert (await client.delete(f"/api/admin/zones/{zone['id']}")).status in (200, 204)
    camera = {"camera_id": "cam_9", "name": "Nine", "latitude": 44.5, "longitude": 11.5, "road_segment": "B"}
    assert (await client.post("/api/admin/cameras", json=camera)).status == 201
    assert (await client.put("/api/admin/cameras/cam_9", json={"description": "north side"})).status == 200
    assert camera.items() <= (await (await client.get("/api/admin/cameras/cam_9")).json()).items()
    assert (await client.delete("/api/admin/cameras/cam_9")).status in (200, 204)
    broadcast = await client.post("/api/admin/notifications/broadcast", json={"message": "Road works tonight"})
    assert broadcast.status in (200, 201, 202), await broadcast.text()


async def test_recommending_a_route_as_the_contract_says(worker: Worker) -> None:
    places = {"origin": {"lat": 44.4976, "lng": 11.3086}, "destination": {"lat": 44.4935, "lng": 11.3262}}
    for departure in ("now", rfc3339(epoch_us(datetime.now(UTC) + timedelta(hours=1)))):
        async with asyncio.timeout(20):
            question = places | {"departure_time": departure}
            while (response := await worker.client.post("/route/recommend", json=question)).status == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        body = await response.json()
        assert response.status == 200, body
        assert list(body)[:2] == ["recommended_route", "alternatives"]
        assert len(body["alternatives"]) <= 2
        for route in (body["recommended_route"], *body["alternatives"]):
            assert list(route) == ["waypoints", "distance_km", "eta_minutes", "congestion_summary"]
            assert all(list(point) == ["lat", "lng", "road_name"] for point in route["waypoints"])
            assert len(route["waypoints"]) >= 2
            assert route["distance_km"] > 0
            assert route["eta_minutes"] > 0
