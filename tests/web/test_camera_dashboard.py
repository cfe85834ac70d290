"""The steps of a camera dashboard's backend that nobody has changed, and Postgres beside them.

It sends no token with reads and no ``limit``, ignores ``Link``, knows the newer names, and gives up after five seconds.
"""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import msgspec
import pytest
from pypdf import PdfReader

from models.cameras.window_rows import Level, WindowRow
from models.timestamps import epoch_us, rfc3339
from tests.stores.alerts.alert_messages import Connection, alert_event, keep_open, store
from tests.web.conftest import Worker
from tests.web.stored import keep_detections, keep_windows, recent_window
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.time_partitions import ensure_partitions, window_partitions
from trafficapp.windows.congestion import CongestionScale

#: How many windows are kept of each camera, of the first a day's.
WINDOWS = {"cam_01": 17_270, "cam_02": 3000, "cam_03": 900}
#: From this one back they are copied into the tables; the newer ones take the way that they take in production.
_LAST_OF_DAY = 100
CAMERAS = tuple(WINDOWS)
_WINDOW_US = 5_000_000
ROW = (
    "camera_id window_start window_end lane_id vehicle_count counts_by_class avg_speed_kmh stopped_ratio queue_length "
    "congestion_level congestion_score detections p15_speed_kmh p50_speed_kmh p85_speed_kmh p95_speed_kmh"
)
PLACES = """
    INSERT INTO cameras (camera_id, name, latitude, longitude, road_segment)
    VALUES ('cam_01', 'One', 44.49, 11.31, 'Via Emilia'), ('cam_02', 'Two', 44.50, 11.33, 'Viale Masini')
    ON CONFLICT (camera_id) DO UPDATE SET name = EXCLUDED.name, latitude = EXCLUDED.latitude,
        longitude = EXCLUDED.longitude, road_segment = EXCLUDED.road_segment
"""


@dataclass
class Backend:
    """The dashboard's backend, and what the tables say."""

    session: aiohttp.ClientSession
    url: str
    tables: Connection
    worker: Worker

    async def ask(self, path: str, status: int = 200, **parameters: str) -> Any:
        async with self.session.get(f"{self.url}{path}", params=parameters) as response:
            body = await response.json()
            assert response.status == status, body
            return body

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.tables.fetch(query, *arguments)]

    async def row(self, query: str, *arguments: object) -> dict[str, Any]:
        (found,) = await self.rows(query, *arguments)
        return found


def _window(camera_id: str, windows_ago: int, newest_us: int) -> WindowRow:
    """A window of a camera's day, so many before the one that begins at ``newest_us``."""
    start_us = newest_us - (windows_ago - 1) * _WINDOW_US
    number = CAMERAS.index(camera_id)
    vehicles = (windows_ago * (7 + number)) % 61
    speed = None if windows_ago % 97 == 1 + number else round(50.0 - (windows_ago * 13 % 470) / 10, 2)
    stopped = None if speed is None else round((windows_ago % 11) / 10, 4)
    scale = CongestionScale()
    score = scale.score(vehicles, speed, stopped)
    level: Level = scale.level(score)
    return recent_window(
        camera_id,
        window_start=rfc3339(start_us),
        window_end=rfc3339(start_us + _WINDOW_US),
        vehicle_count=vehicles,
        counts_by_class={"car": vehicles - vehicles // 5, "bus": vehicles // 5},
        avg_speed_kmh=speed,
        stopped_ratio=stopped,
        queue_length=vehicles // 3,
        congestion_level=level,
        congestion_score=score,
        detections=5 * vehicles,
    )


@pytest.fixture
async def backend(history_worker: Worker, database_url: str) -> AsyncIterator[Backend]:
    """A city of three cameras; of the first a day's windows are known, of the others some hours'."""
    await asyncio.to_thread(migrate, database_url)
    tables: Connection = await asyncpg.connect(database_url)
    await tables.execute(
        "TRUNCATE alerts, alert_acknowledgements, cameras, monitoring_zones, traffic_metrics, traffic_events, "
        "metrics_1m, metrics_1h, metrics_changes, sink_offsets, admin_thresholds"
    )
    settings, redis = history_worker.context.settings, history_worker.context.redis
    newest_us = epoch_us(recent_window("", 1).window_start)
    await _keep_a_day(tables, newest_us)
    for camera_id in CAMERAS:
        recent = [_window(camera_id, ago, newest_us) for ago in range(_LAST_OF_DAY - 1, 0, -1)]
        lane = msgspec.structs.replace(recent[-1], lane_id=2, vehicle_count=4)
        await keep_windows(settings, *recent, lane)
        await history_worker.put(recent[-1], lane)
    await tables.execute(PLACES)
    await keep_detections(
        settings, *({"camera_id": "cam_01", "vehicle_id": f"v{number}", "lane_id": number % 3} for number in range(12))
    )
    now = datetime.now(UTC)
    alerts = [
        alert_event("jam", "cam_01", triggered_at=rfc3339(epoch_us(now - timedelta(minutes=3)))),
        alert_event(
            "slow",
            "cam_02",
            severity="WARNING",
            congestion_level="HIGH",
            congestion_score=0.6,
            triggered_at=rfc3339(epoch_us(now - timedelta(minutes=50))),
        ),
    ]
    await store(tables, *alerts)
    await keep_open(redis, *alerts)
    assert await history_worker.context.registry.refresh()
    async with aiohttp.ClientSession() as session:
        yield Backend(session, str(history_worker.client.make_url("")).rstrip("/"), tables, history_worker)
    await tables.close()


async def _keep_a_day(tables: Connection, newest_us: int) -> None:
    rows = [
        _window(camera_id, ago, newest_us)
        for camera_id, windows in WINDOWS.items()
        for ago in range(_LAST_OF_DAY, windows)
    ]
    begins = sorted({datetime.fromisoformat(row.window_start).replace(minute=0, second=0) for row in rows})
    await ensure_partitions(tables, {part for begin in begins for part in window_partitions(begin)})
    await tables.copy_records_to_table(
        "traffic_metrics",
        # percentiles are made of what was counted, and nothing was
        columns=WindowRow.__struct_fields__[:12],
        records=[
            (
                row.camera_id,
                datetime.fromisoformat(row.window_start),
                datetime.fromisoformat(row.window_end),
                row.lane_id,
                row.vehicle_count,
                msgspec.json.encode(row.counts_by_class).decode(),
                *msgspec.structs.astuple(row)[6:12],
            )
            for row in rows
        ],
    )
    await tables.execute("INSERT INTO cameras (camera_id) SELECT unnest($1::text[])", [*CAMERAS])
    await tables.execute("SELECT recompute_rollups($1, $2)", begins[0], begins[-1] + timedelta(hours=1))


async def test_a_day_of_a_dashboard(backend: Backend) -> None:
    """One city for all steps: it takes its time to be put there."""
    await _overview(backend)
    await _cameras(backend)
    await _history_of_a_day(backend)
    await _map(backend)
    await _analytics(backend)
    await _comparison(backend)
    await _report(backend)
    # the counters of it all are by endpoint
    async with backend.session.get(f"{backend.url}/metrics") as response:
        counters = await response.text()
    assert 'b2_api_requests_total{endpoint="/api/dashboard/summary",method="GET"' in counters


async def _overview(backend: Backend) -> None:
    health = await backend.ask("/health")
    assert health == {"status": "ok", "kafka": "ok", "postgres": "ok", "redis": "ok"}
    newest = await backend.rows(
        "SELECT DISTINCT ON (camera_id) * FROM traffic_metrics WHERE lane_id IS NULL"
        " ORDER BY camera_id, window_start DESC"
    )
    since = datetime.now(UTC) - timedelta(minutes=5)
    summary = await backend.ask("/api/dashboard/summary")
    after = datetime.now(UTC) - timedelta(minutes=5)
    fast = [row for row in newest if row["avg_speed_kmh"] is not None]
    vehicles = sum(row["vehicle_count"] for row in fast)
    speed = round(sum(row["avg_speed_kmh"] * row["vehicle_count"] for row in fast) / vehicles, 2)
    assert summary["average_speed_kmh"] == summary["avg_speed_kmh"] == speed
    assert summary["total_cameras_active"] == len(CAMERAS)
    assert summary["total_vehicles_last_window"] == sum(row["vehicle_count"] for row in newest)
    levels = {
        level: sum(row["congestion_level"] == level for row in newest) for level in summary["congestion_breakdown"]
    }
    assert summary["congestion_breakdown"] == levels
    assert list(levels) == ["LOW", "MODERATE", "HIGH", "SEVERE"]
    worst = max((row for row in newest if row["congestion_score"] is not None), key=lambda row: row["congestion_score"])
    assert summary["worst_camera"] == {
        name: worst[name] for name in ("camera_id", "congestion_level", "congestion_score")
    }
    assert (summary["active_alerts"], summary["total_incidents_24h"]) == (2, 2)
    # of the five minutes before it was asked
    means = [
        await backend.row(
            "SELECT avg(avg_speed_kmh) AS speed, avg(congestion_score) AS score FROM traffic_metrics "
            "WHERE lane_id IS NULL AND window_start >= $1 AND window_start < $1 + interval '5 minutes'",
            moment,
        )
        for moment in (since, after)
    ]
    assert summary["average_speed_kmh_5m"] in [pytest.approx(mean["speed"], abs=0.006) for mean in means]
    assert summary["average_congestion_score_5m"] in [pytest.approx(mean["score"], abs=6e-5) for mean in means]
    events = await backend.ask("/api/dashboard/events", limit="10")
    assert len(events) == 10
    kept = await backend.rows("SELECT * FROM traffic_events")
    assert {event["vehicle_id"] for event in events} <= {row["vehicle_id"] for row in kept}
    assert all(event["class"] == event["vehicle_class"] == "car" for event in events)
    assert [event["confidence"] for event in events] == [0.9] * 10
    assert await backend.ask("/api/dashboard/events", 400, limit="101")


async def _cameras(backend: Backend) -> None:
    listed = await backend.ask("/cameras")
    ends = await backend.rows("SELECT camera_id, max(window_end) AS ended FROM traffic_metrics GROUP BY 1 ORDER BY 1")
    assert [(camera["camera_id"], camera["last_seen"]) for camera in listed] == [
        (row["camera_id"], rfc3339(epoch_us(row["ended"]))) for row in ends
    ]
    rows = await backend.ask("/metrics/current")
    assert [row["camera_id"] for row in rows] == [*CAMERAS]
    assert rows == await backend.ask("/congestion/current")
    for row in rows:
        assert list(row) == ROW.split()
        whole = await backend.ask("/metrics/current", camera_id=row["camera_id"])
        lanes = whole.pop("lanes")
        assert whole == row
        assert [lane["lane_id"] for lane in lanes] == [2]
        kept = await backend.row(
            "SELECT * FROM traffic_metrics WHERE camera_id = $1 AND window_start = $2 AND lane_id IS NULL",
            row["camera_id"],
            datetime.fromisoformat(row["window_start"]),
        )
        for name in ("vehicle_count", "avg_speed_kmh", "stopped_ratio", "queue_length", "congestion_score"):
            assert row[name] == kept[name]
    await backend.ask("/metrics/current", 404, camera_id="nobody")


async def _history_of_a_day(backend: Backend) -> None:
    now = datetime.now(UTC)
    day = {"from": rfc3339(epoch_us(now - timedelta(hours=24))), "to": rfc3339(epoch_us(now))}
    for camera_id in CAMERAS:
        rows = await backend.ask("/metrics/history", camera_id=camera_id, **day)
        kept = await backend.rows(
            "SELECT * FROM traffic_metrics WHERE camera_id = $1 AND lane_id IS NULL AND window_start >= $2"
            " AND window_start < $3 ORDER BY window_start",
            camera_id,
            now - timedelta(hours=24),
            now,
        )
        starts = [datetime.fromisoformat(row["window_start"]) for row in rows]
        if camera_id == "cam_01":
            # more than ten thousand: the first of each minute, up to the newest minute
            kept = [
                row
                for n, row in enumerate(kept)
                if n == 0 or row["window_start"].minute != kept[n - 1]["window_start"].minute
            ]
            assert len(kept) in (1438, 1439, 1440, 1441)
        assert starts == [row["window_start"] for row in kept]
        assert [(row["vehicle_count"], row["congestion_score"], row["lane_id"]) for row in rows] == [
            (row["vehicle_count"], row["congestion_score"], None) for row in kept
        ]


async def _map(backend: Backend) -> None:
    for minutes in (5, 60):
        before = datetime.now(UTC)
        heatmap = await backend.ask("/api/map/heatmap", minutes=str(minutes))
        after = datetime.now(UTC)
        assert heatmap["window_minutes"] == minutes
        assert [point["camera_id"] for point in heatmap["points"]] == ["cam_01", "cam_02"]
        for point in heatmap["points"]:
            means = [
                await backend.row(
                    "SELECT avg(vehicle_count)::float8 AS vehicles, avg(congestion_score) AS score "
                    "FROM traffic_metrics WHERE camera_id = $1 AND lane_id IS NULL"
                    " AND window_start >= $2 AND window_start < $3",
                    point["camera_id"],
                    now - timedelta(minutes=minutes),
                    now,
                )
                for now in (before, after)
            ]
            assert point["avg_vehicle_count"] in [pytest.approx(mean["vehicles"], abs=0.006) for mean in means]
            assert point["weight"] in [pytest.approx(mean["vehicles"] / 50, abs=6e-5) for mean in means]
            assert point["intensity"] in [pytest.approx(mean["score"], abs=6e-5) for mean in means]
    incidents = await backend.ask("/api/map/incidents")
    assert [(one["camera_id"], one["severity"], one["road_segment"]) for one in incidents] == [
        ("cam_01", "CRITICAL", "Via Emilia"),
        ("cam_02", "WARNING", "Viale Masini"),
    ]
    for one in incidents:
        now = await backend.ask("/metrics/current", camera_id=one["camera_id"])
        for name in ("vehicle_count", "queue_length", "avg_speed_kmh", "counts_by_class", "window_end"):
            assert one[name] == now[name]
    for word, expected in (("SEVERE", 1), ("high", 1), ("EMERGENCY", 0), ("whatever", 0)):
        assert len(await backend.ask("/api/map/incidents", severity=word)) == expected


_FIGURES = """
    SELECT avg(congestion_score) AS score, avg(avg_speed_kmh) AS speed, avg(vehicle_count)::float8 AS vehicles
    FROM traffic_metrics WHERE lane_id IS NULL AND window_start >= $1 AND window_start < $2
"""


async def _analytics(backend: Backend) -> None:
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=7)
    start = end - timedelta(hours=20)
    span = {"start": rfc3339(epoch_us(start)), "end": rfc3339(epoch_us(end))}
    body = await backend.ask("/api/analytics/metrics", **span)
    assert body == await backend.ask("/api/analytics/metrics", **{"from": span["start"], "to": span["end"]})
    kept = await backend.row(_FIGURES, start, end)
    assert body["average_congestion"] == body["avg_congestion_score"] == pytest.approx(kept["score"], abs=6e-5)
    assert body["average_speed_kmh"] == pytest.approx(kept["speed"], abs=0.006)
    hours = await backend.rows(
        "SELECT extract(hour FROM window_start AT TIME ZONE 'UTC')::int AS hour,"
        " avg(vehicle_count)::float8 AS vehicles, avg(congestion_score) AS score, avg(avg_speed_kmh) AS speed"
        " FROM traffic_metrics WHERE lane_id IS NULL AND window_start >= $1 AND window_start < $2"
        " GROUP BY 1 ORDER BY 1",
        start,
        end,
    )
    assert [entry["hour"] for entry in body["peak_hour_trends"]] == [row["hour"] for row in hours]
    for trend, older, row in zip(body["peak_hour_trends"], body["peak_hour_distribution"], hours, strict=True):
        assert trend["vehicle_count"] == older["avg_vehicle_count"] == pytest.approx(row["vehicles"], abs=0.006)
        assert trend["average_congestion"] == older["avg_congestion_score"] == pytest.approx(row["score"], abs=6e-5)
        assert trend["average_speed_kmh"] == pytest.approx(row["speed"], abs=0.006)
    worst = await backend.rows(
        "SELECT camera_id, avg(congestion_score) AS score, avg(queue_length)::float8 AS queue,"
        " count(*) FILTER (WHERE congestion_level = 'SEVERE') / 12.0::float8 AS severe FROM traffic_metrics"
        " WHERE lane_id IS NULL AND window_start >= $1 AND window_start < $2 GROUP BY 1 ORDER BY 2 DESC",
        start,
        end,
    )
    assert [segment["camera_id"] for segment in body["top_segments"]] == [row["camera_id"] for row in worst]
    for segment, row in zip(body["top_segments"], worst, strict=True):
        assert segment["average_congestion"] == pytest.approx(row["score"], abs=6e-5)
        assert segment["average_queue_length"] == pytest.approx(row["queue"], abs=0.006)
        assert segment["severe_minutes"] == pytest.approx(row["severe"], abs=0.006)
        # what the dashboard shows as minutes
        assert abs(segment["incident_count"] * 5 - row["severe"]) <= 2.5
        assert segment["lane_id"] is None
    assert body["incidents"] == {"total_incidents": 2, "high": 1, "critical": 1}
    assert body["incident_pie"] == [
        {"severity": "EMERGENCY", "count": 0},
        {"severity": "CRITICAL", "count": 1},
        {"severity": "WARNING", "count": 1},
    ]


async def _comparison(backend: Backend) -> None:
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=7)
    bounds = [end - timedelta(hours=4), end - timedelta(hours=2), end]
    a, b, c = map(rfc3339, map(epoch_us, bounds))
    body = await backend.ask("/api/analytics/compare", start_a=a, end_a=b, start_b=b, end_b=c)
    assert body == await backend.ask("/api/analytics/compare", aFrom=a, aTo=b, bFrom=b, bTo=c)
    kept = [await backend.row(_FIGURES, *pair) for pair in itertools.pairwise(bounds)]
    for side, row in zip((body["range_a"], body["range_b"]), kept, strict=True):
        assert side["average_congestion"] == pytest.approx(row["score"], abs=6e-5)
        assert side["vehicle_count"] == pytest.approx(row["vehicles"], abs=0.006)
        assert side["average_speed_kmh"] == pytest.approx(row["speed"], abs=0.006)
        busiest = max(side["peak_hour_trends"], key=lambda hour: hour["vehicle_count"])
        assert side["peak_hour"] == busiest["hour"]
    assert body["congestion_delta"] == pytest.approx(kept[1]["score"] - kept[0]["score"], abs=1.1e-4)
    assert body["vehicle_count_delta"] == pytest.approx(kept[1]["vehicles"] - kept[0]["vehicles"], abs=0.011)
    assert body["speed_delta"] == pytest.approx(kept[1]["speed"] - kept[0]["speed"], abs=0.011)
    assert (body["range_a"]["incident_count"], body["range_b"]["incident_count"], body["incident_delta"]) == (0, 2, 2)


async def _report(backend: Backend) -> None:
    end = datetime.now(UTC).replace(microsecond=0)
    span = {"start": rfc3339(epoch_us(end - timedelta(hours=24))), "end": rfc3339(epoch_us(end))}
    async with backend.session.get(f"{backend.url}/api/analytics/report/pdf", params=span) as response:
        assert (response.status, response.content_type) == (200, "application/pdf")
        assert response.headers["Content-Disposition"].startswith('attachment; filename="')
        document = await response.read()
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(document)).pages)
    assert "local time, UTC" in text
    for camera_id in CAMERAS:
        assert camera_id in text
