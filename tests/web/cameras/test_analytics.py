from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from pypdf import PdfReader

from models.cameras.analytics import AnalyticsComparison, AnalyticsMetrics, TrendHour
from tests.stores.postgres.records import owned, window, window_records
from tests.web.conftest import Worker
from trafficapp.settings import load_settings
from trafficapp.stores.cameras.windows_sink import HistoryMetricsSink
from trafficapp.stores.migrations import migrate

FIGURES = (
    "range_start range_end avg_congestion_score peak_hour_distribution top_segments incident_pie "
    "start end average_congestion average_speed_kmh peak_hour_trends incidents healthy_share"
)

# Two cameras from 07:00 to 07:10 UTC, one of them a minute longer, on a winter's day; nothing else.
DAY = "start=2026-01-14T00:00:00Z&end=2026-01-15T00:00:00Z"


@pytest.fixture(scope="module")
async def history(database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    severe = {"congestion_level": "SEVERE", "congestion_score": 0.9, "avg_speed_kmh": 3.0, "vehicle_count": 40}
    severe["queue_length"] = 12
    rows = [window("a", n) for n in range(120)]
    rows += [window("b", n, **(severe if n < 45 else {})) for n in range(135)]
    sink = HistoryMetricsSink(load_settings(postgres={"url": database_url}))
    await sink.load([0])
    await sink.apply(0, window_records(*rows), owned)
    await sink.close()
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE cameras SET road_segment = 'Via Emilia', latitude = 44.5, longitude = 11.3 WHERE camera_id = 'b';"
        "INSERT INTO monitoring_zones (name, polygon)"
        " VALUES ('west', '[[11.2, 44.4], [11.4, 44.4], [11.4, 44.6], [11.2, 44.6], [11.2, 44.4]]')"
    )
    await connection.executemany(
        "INSERT INTO alerts (id, revision, severity, alert_type, camera_id, title, message, rule, since, triggered_at,"
        " updated_at) VALUES (gen_random_uuid(), 1, $1, 'congestion', $2, '', '', '', $3, $3, $3)",
        [
            (severity, camera_id, datetime(2026, 1, 14, 7, minute, tzinfo=UTC))
            for severity, camera_id, minute in (("WARNING", "a", 1), ("CRITICAL", "b", 2), ("WARNING", None, 3))
        ],
    )
    await connection.close()


async def ask(worker: Worker, path: str, status: int = 200) -> Any:
    response = await worker.client.get(f"/api/analytics/{path}")
    body = await response.json(content_type=None)
    assert response.status == status, body
    return body


@pytest.mark.usefixtures("history")
async def test_the_figures_of_a_range(history_worker: Worker) -> None:
    body = await ask(history_worker, f"metrics?{DAY}")
    assert list(body) == FIGURES.split()
    found = msgspec.convert(body, AnalyticsMetrics)
    assert (found.range_start, found.range_end) == ("2026-01-14T00:00:00Z", "2026-01-15T00:00:00Z")
    assert found.avg_congestion_score == round((210 * 0.2157 + 45 * 0.9) / 255, 4)
    worst = round((90 * 0.2157 + 45 * 0.9) / 135, 4)
    assert [msgspec.to_builtins(segment) for segment in found.top_segments] == [
        {"camera_id": "b", "road_segment": "Via Emilia", "avg_congestion_score": worst, "severe_minutes": 3.75,
         "average_congestion": worst, "average_queue_length": round(45 * 12 / 135, 2), "incident_count": 1,
         "lane_id": None},
        {"camera_id": "a", "road_segment": None, "avg_congestion_score": 0.2157, "severe_minutes": 0.0,
         "average_congestion": 0.2157, "average_queue_length": 0.0, "incident_count": 0, "lane_id": None},
    ]  # fmt: skip
    assert msgspec.to_builtins(found.incident_pie) == [
        {"severity": "EMERGENCY", "count": 0},
        {"severity": "CRITICAL", "count": 1},
        {"severity": "WARNING", "count": 2},
    ]
    # hours without data are left out
    vehicles, score = round((210 * 3 + 45 * 40) / 255, 2), found.avg_congestion_score
    assert body["peak_hour_distribution"] == [{"hour": 7, "avg_vehicle_count": vehicles, "avg_congestion_score": score}]
    assert body["peak_hour_trends"] == [
        {"hour": 7, "vehicle_count": vehicles, "average_congestion": score,
         "average_speed_kmh": round((210 * 31.25 + 45 * 3.0) / 255, 2)}
    ]  # fmt: skip
    assert (body["start"], body["end"]) == (body["range_start"], body["range_end"])
    assert (body["average_congestion"], body["average_speed_kmh"]) == (
        score,
        body["peak_hour_trends"][0]["average_speed_kmh"],
    )
    assert body["incidents"] == {"total_incidents": 3, "high": 2, "critical": 1}


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(("zone", "hours"), [("UTC", [7]), ("Europe/Rome", [8]), ("Asia/Kolkata", [12])])
async def test_hours_are_those_of_the_time_zone(history_worker: Worker, zone: str, hours: list[int]) -> None:
    body = await ask(history_worker, f"metrics?{DAY}&tz={zone}")
    assert [entry["hour"] for entry in body["peak_hour_distribution"] if entry["avg_vehicle_count"]] == hours


@pytest.mark.usefixtures("history")
async def test_a_zone_chooses_cameras_and_their_alerts(history_worker: Worker) -> None:
    body = await ask(history_worker, f"metrics?{DAY}&zone=west")
    assert [segment["camera_id"] for segment in body["top_segments"]] == ["b"]
    assert {part["severity"]: part["count"] for part in body["incident_pie"]} == {
        "EMERGENCY": 0,
        "CRITICAL": 1,
        "WARNING": 0,
    }
    assert body["incidents"] == {"total_incidents": 1, "high": 0, "critical": 1}
    await ask(history_worker, f"metrics?{DAY}&zone=nowhere", 404)


@pytest.mark.usefixtures("history")
async def test_two_ranges_side_by_side_in_either_spelling(history_worker: Worker) -> None:
    times = ("2026-01-14T07:00:00Z", "2026-01-14T07:02:30Z", "2026-01-14T07:02:30Z", "2026-01-14T08:00:00Z")
    queries = [
        "&".join(f"{name}={time}" for name, time in zip(names, times, strict=True))
        for names in (("start_a", "end_a", "start_b", "end_b"), ("aFrom", "aTo", "bFrom", "bTo"))
    ]
    bodies = [await ask(history_worker, f"compare?{query}") for query in queries]
    assert bodies[0] == bodies[1]
    found = msgspec.convert(bodies[0], AnalyticsComparison)
    assert found.range_a.avg_congestion_score == round((0.2157 + 0.9) / 2, 4)
    assert found.range_b.avg_congestion_score == round((180 * 0.2157 + 15 * 0.9) / 195, 4)
    assert [sum(part.count for part in side.incident_pie) for side in (found.range_a, found.range_b)] == [2, 1]
    sides = "range_a range_b congestion_delta vehicle_count_delta speed_delta incident_delta"
    assert list(bodies[0]) == sides.split()
    for side in (bodies[0]["range_a"], bodies[0]["range_b"]):
        assert list(side) == [*FIGURES.split(), "vehicle_count", "incident_count", "peak_hour"]
    # 30 windows of each camera, then 90 and 105, of which b is severe in the first 15
    counts = [round((30 * 3 + 30 * 40) / 60, 2), round((180 * 3 + 15 * 40) / 195, 2)]
    speeds = [round((30 * 31.25 + 30 * 3.0) / 60, 2), round((180 * 31.25 + 15 * 3.0) / 195, 2)]
    assert [found.range_a.vehicle_count, found.range_b.vehicle_count] == counts
    assert [found.range_a.incident_count, found.range_b.incident_count, found.incident_delta] == [2, 1, -1]
    assert [found.range_a.peak_hour, found.range_b.peak_hour] == [7, 7]
    assert found.vehicle_count_delta == round(counts[1] - counts[0], 2)
    assert found.speed_delta == round(speeds[1] - speeds[0], 2)
    scores = [found.range_a.average_congestion or 0, found.range_b.average_congestion or 0]
    assert found.congestion_delta == round(scores[1] - scores[0], 4)


@pytest.mark.usefixtures("history")
async def test_a_range_without_windows_beside_one_with(history_worker: Worker) -> None:
    empty = "start_a=2026-01-10T00:00:00Z&end_a=2026-01-11T00:00:00Z"
    body = await ask(history_worker, f"compare?{empty}&start_b=2026-01-14T00:00:00Z&end_b=2026-01-15T00:00:00Z")
    assert [body[name] for name in ("congestion_delta", "vehicle_count_delta", "speed_delta")] == [None] * 3
    assert body["incident_delta"] == 3
    side = body["range_a"]
    assert (side["peak_hour_trends"], side["peak_hour"], side["vehicle_count"], side["top_segments"]) == (
        [],
        None,
        None,
        [],
    )
    assert body["range_b"]["peak_hour"] == 7


@pytest.mark.usefixtures("history")
async def test_every_hour_of_a_range(history_worker: Worker) -> None:
    body = await ask(history_worker, "trends?from=2026-01-14T06:30:00Z&to=2026-01-14T08:00:00Z&tz=Europe/Rome")
    hours = msgspec.convert(body, list[TrendHour])
    assert [(hour.local_hour_start, hour.windows) for hour in hours] == [
        ("2026-01-14T07:00:00+01:00", 0),
        ("2026-01-14T08:00:00+01:00", 255),
    ]
    assert hours[0].avg_speed_kmh is None
    assert hours[1].avg_speed_kmh == round((210 * 31.25 + 45 * 3.0) / 255, 2)
    assert hours[1].severe_minutes == 3.75


@pytest.mark.usefixtures("history")
async def test_the_report_is_a_document(history_worker: Worker) -> None:
    response = await history_worker.client.get(f"/api/analytics/report/pdf?{DAY}&tz=Europe/Rome")
    assert (response.status, response.content_type) == (200, "application/pdf")
    name = "traffic-20260114T0000-20260115T0000.pdf"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(await response.read())).pages)
    assert "14 January 2026 01:00 – 15 January 2026 01:00 (Europe/Rome)" in text
    assert "Via Emilia" in text
    assert "local time, Europe/Rome" in text
    assert "hour of the day, Europe/Rome" in text


@pytest.mark.usefixtures("history")
async def test_without_times_it_is_the_last_day(history_worker: Worker) -> None:
    body = await ask(history_worker, "metrics")
    start, end = (datetime.fromisoformat(body[name]) for name in ("range_start", "range_end"))
    assert end - start == timedelta(hours=24)
    assert abs(datetime.now(UTC) - end) < timedelta(minutes=1)
    assert (body["avg_congestion_score"], body["top_segments"], body["peak_hour_distribution"]) == (None, [], [])
    assert [part["count"] for part in body["incident_pie"]] == [0, 0, 0]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("metrics?start=2026-01-15T00:00:00Z&end=2026-01-15T00:00:00Z", "must be before"),
        ("metrics?start=2026-01-15T00:00:00Z&end=2027-03-01T00:00:00Z", "400 days"),
        ("metrics?start=2026-01-15T00:00:00Z&from=2026-01-14T00:00:00Z", "may not differ"),
        ("metrics?end=0001-01-01T00:00:00Z", "first time"),
        ("metrics?start=9999-12-31T23:10:00Z&end=9999-12-31T23:50:00Z", "calendar"),
        ("trends?tz=Europe/Atlantis", "no time zone"),
        ("trends?start=yesterday", "neither ISO 8601"),
        ("compare?start_a=0&end_a=1000&start_b=0", "end_b (or bTo) is needed"),
        ("report/pdf?start=2&end=1", "must be before"),
    ],
)
async def test_a_wrong_question_is_told(history_worker: Worker, query: str, words: str) -> None:
    assert words in (await ask(history_worker, query, 400))["detail"]


async def test_while_postgres_is_away(worker: Worker) -> None:
    await ask(worker, f"metrics?{DAY}", 503)
