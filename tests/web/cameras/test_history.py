from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from yarl import URL

from models.cameras.window_rows import WindowRow
from tests.stores.cameras.test_live_sink import flat
from tests.stores.redis.rows import window_rows
from tests.web.conftest import Worker
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.time_partitions import ensure_partitions, metrics_partition


@pytest.fixture(scope="module")
async def history(database_url: str) -> list[WindowRow]:
    """Rows of twelve windows of camera a, with two lanes, and of camera b."""
    await asyncio.to_thread(migrate, database_url)
    rows = [row for window in range(12) for camera in ("a", "b") for row in window_rows(camera, window)]
    connection = await asyncpg.connect(database_url)
    await ensure_partitions(connection, {metrics_partition(datetime.fromisoformat(rows[0].window_start))})
    for row in rows:
        values = msgspec.structs.asdict(row) | {
            "window_start": datetime.fromisoformat(row.window_start),
            "window_end": datetime.fromisoformat(row.window_end),
            "counts_by_class": msgspec.json.encode(row.counts_by_class).decode(),
        }
        for percentile in ("p15", "p50", "p85", "p95"):
            # they are made of what was counted
            assert values.pop(f"{percentile}_speed_kmh") is None
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        await connection.execute(
            f"INSERT INTO traffic_metrics ({', '.join(values)}) VALUES ({places})",  # noqa: S608 - names are ours
            *values.values(),
        )
    await connection.close()
    return rows


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-01-14T07:00:10Z", "2026-01-14T07:00:20Z"),
        ("2026-01-14T08:00:10%2B01:00", "2026-01-14T02:00:20-05:00"),
        ("2026-01-14T08:00:10+01:00", "2026-01-14T07:00:20"),
        ("1768374010", "1768374020000"),
        ("1768374010.0", "1768374019.999999"),
    ],
)
async def test_a_span_is_half_open_in_any_spelling(
    history_worker: Worker, history: list[WindowRow], since: str, until: str
) -> None:
    response = await history_worker.client.get(f"/metrics/history?camera_id=a&from={since}&to={until}&lanes=true")
    assert response.status == 200
    expected = [
        row
        for row in history
        if row.camera_id == "a" and "2026-01-14T07:00:10Z" <= row.window_start < "2026-01-14T07:00:20Z"
    ]
    assert len(expected) == 6
    assert await response.json() == flat(expected)
    assert "next" not in response.links
    assert "X-Step" not in response.headers
    without_lanes = await history_worker.client.get(f"/metrics/history?camera_id=a&from={since}&to={until}")
    assert await without_lanes.json() == flat([row for row in expected if row.lane_id is None])


@pytest.mark.parametrize("limit", [1, 4, 36])
async def test_pages_are_the_whole(history_worker: Worker, history: list[WindowRow], limit: int) -> None:
    url = f"/metrics/history?camera_id=a&from=2026-01-14T07:00:00Z&limit={limit}&lanes=true"
    collected: list[dict[str, object]] = []
    while url:
        response = await history_worker.client.get(url)
        assert response.status == 200
        page = await response.json()
        assert 0 < len(page) <= limit
        collected += page
        url = URL(response.links["next"]["url"]).path_qs if "next" in response.links else ""
    assert collected == flat([row for row in history if row.camera_id == "a"])


FIRST = datetime(2026, 2, 1, 6, 0, 5, tzinfo=UTC)
DAY = timedelta(days=1)
LONG = """
    INSERT INTO traffic_metrics
    SELECT $1, start, start + interval '5 s', $2::smallint, number % 50, jsonb_build_object('car', number % 50),
           30.5, 0, 0, 'LOW', 0.2, 9
    FROM generate_series(0, $4::int) AS number,
         LATERAL (SELECT $3::timestamptz + number * interval '5 s') AS begins (start)
"""


@pytest.fixture(scope="module")
async def long_history(history: list[WindowRow], database_url: str) -> None:
    """A day of two cameras without a gap, one of them with a lane; seven days of a third."""
    connection = await asyncpg.connect(database_url)
    for day in range(9):
        await ensure_partitions(connection, {metrics_partition(FIRST + day * DAY)})
    for camera, lane, days in (("day", None, 1), ("lanes", None, 1), ("lanes", 2, 1), ("week", None, 7)):
        await connection.execute(LONG, camera, lane, FIRST, days * 17_280 - 1)
    await connection.close()


async def span_of(worker: Worker, query: str, days: int = 1) -> tuple[list[dict[str, Any]], str | None]:
    span = {"from": FIRST.isoformat(), "to": (FIRST + days * DAY).isoformat()}
    response = await worker.client.get(f"/metrics/history?{query}", params=span)
    assert response.status == 200, await response.text()
    assert "next" not in response.links
    return await response.json(), response.headers.get("X-Step")


def starts(rows: list[dict[str, Any]]) -> list[datetime]:
    return [datetime.fromisoformat(row["window_start"]) for row in rows]


@pytest.mark.usefixtures("long_history")
@pytest.mark.parametrize(
    ("query", "days", "step", "length"),
    [
        ("camera_id=day", 1, "1m", timedelta(minutes=1)),
        ("camera_id=lanes&lanes=true", 1, "1m", timedelta(minutes=1)),
        ("camera_id=week", 7, "5m", timedelta(minutes=5)),
        ("camera_id=week&step=1h", 7, "1h", timedelta(hours=1)),
    ],
)
async def test_a_long_span_is_thinned_and_says_so_and_is_not_cut(
    history_worker: Worker, query: str, days: int, step: str, length: timedelta
) -> None:
    rows, told = await span_of(history_worker, query, days)
    assert told == step
    lanes = 2 if "lanes=true" in query else 1
    assert [row["lane_id"] for row in rows[:4]] == ([None, 2, None, 2] if lanes == 2 else [None] * 4)
    found = starts(rows[::lanes])
    # the first window of each step, from the first of the span on to its end
    first = FIRST.replace(second=0)
    assert found == [FIRST, *(first + number * length for number in range(1, round(days * DAY / length) + 1))]
    # each as it is
    for row, start in zip(rows[::lanes], found, strict=True):
        number = round((start - FIRST).total_seconds() / 5)
        assert (row["vehicle_count"], row["counts_by_class"]) == (number % 50, {"car": number % 50})
        assert row["window_end"] == (start + timedelta(seconds=5)).isoformat().replace("+00:00", "Z")


@pytest.mark.usefixtures("long_history")
async def test_with_a_step_everything_comes_however_much_it_is(history_worker: Worker) -> None:
    rows, told = await span_of(history_worker, "camera_id=lanes&step=5s&lanes=true")
    assert told == "5s"
    whole = [FIRST + number * timedelta(seconds=5) for number in range(17_280)]
    assert starts(rows[::2]) == starts(rows[1::2]) == whole


@pytest.mark.usefixtures("long_history")
async def test_what_fits_is_not_thinned(history_worker: Worker) -> None:
    until = FIRST + 10_000 * timedelta(seconds=5)
    for more, expected in ((0, 10_000), (5, 834)):
        span = {"from": FIRST.isoformat(), "to": (until + timedelta(seconds=more)).isoformat()}
        response = await history_worker.client.get("/metrics/history?camera_id=day", params=span)
        assert len(await response.json()) == expected
        assert response.headers.get("X-Step") == ("1m" if more else None)


@pytest.mark.usefixtures("long_history")
@pytest.mark.parametrize("lanes", ["true", "false"])
async def test_pages_of_a_thinned_span_are_the_whole(history_worker: Worker, lanes: str) -> None:
    query = f"camera_id=lanes&lanes={lanes}&step=5m"
    expected, _ = await span_of(history_worker, query)
    span = {"from": FIRST.isoformat(), "to": (FIRST + DAY).isoformat()}
    collected: list[dict[str, Any]] = []
    url = str(URL(f"/metrics/history?{query}&limit=101").extend_query(span))
    while url:
        response = await history_worker.client.get(url)
        assert response.headers["X-Step"] == "5m"
        collected += await response.json()
        url = URL(response.links["next"]["url"]).path_qs if "next" in response.links else ""
    assert collected == expected


@pytest.mark.usefixtures("long_history")
async def test_with_a_limit_a_long_span_comes_in_pages_of_all_its_windows(history_worker: Worker) -> None:
    span = {"from": FIRST.isoformat(), "to": (FIRST + DAY).isoformat()}
    response = await history_worker.client.get("/metrics/history?camera_id=day&limit=7", params=span)
    assert starts(await response.json()) == [FIRST + number * timedelta(seconds=5) for number in range(7)]
    assert "next" in response.links
    assert "X-Step" not in response.headers


async def test_a_step_that_is_none(history_worker: Worker) -> None:
    response = await history_worker.client.get("/metrics/history?camera_id=a&step=7s")
    assert response.status == 400


async def test_nothing_in_the_span(history_worker: Worker, history: list[WindowRow]) -> None:
    now = int(datetime.now(UTC).timestamp())
    for query in (f"camera_id=a&from={now - 60}", "camera_id=unheard", "camera_id=a&to=0"):
        response = await history_worker.client.get(f"/metrics/history?{query}")
        assert (response.status, await response.json()) == (200, [])


async def test_health_when_all_is_well(history_worker: Worker) -> None:
    response = await history_worker.client.get("/health")
    assert await response.json() == {"status": "ok", "kafka": "ok", "postgres": "ok", "redis": "ok"}
