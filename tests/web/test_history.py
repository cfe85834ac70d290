from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import msgspec
import pytest
from yarl import URL

from models.window_rows import WindowRow
from tests.stores.live.rows import window_rows
from tests.stores.live.test_live_sink import flat
from tests.web.conftest import Worker
from trafficapp.stores.migrations import migrate
from trafficapp.stores.time_partitions import ensure_partitions, metrics_partition


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
    response = await history_worker.client.get(f"/metrics/history?camera_id=a&from={since}&to={until}")
    assert response.status == 200
    expected = [
        row
        for row in history
        if row.camera_id == "a" and "2026-01-14T07:00:10Z" <= row.window_start < "2026-01-14T07:00:20Z"
    ]
    assert len(expected) == 6
    assert await response.json() == flat(expected)
    assert "next" not in response.links


@pytest.mark.parametrize("limit", [1, 4, 36])
async def test_pages_are_the_whole(history_worker: Worker, history: list[WindowRow], limit: int) -> None:
    url = f"/metrics/history?camera_id=a&from=2026-01-14T07:00:00Z&limit={limit}"
    collected: list[dict[str, object]] = []
    while url:
        response = await history_worker.client.get(url)
        assert response.status == 200
        page = await response.json()
        assert 0 < len(page) <= limit
        collected += page
        url = URL(response.links["next"]["url"]).path_qs if "next" in response.links else ""
    assert collected == flat([row for row in history if row.camera_id == "a"])


async def test_nothing_in_the_span(history_worker: Worker, history: list[WindowRow]) -> None:
    now = int(datetime.now(UTC).timestamp())
    for query in (f"camera_id=a&from={now - 60}", "camera_id=unheard", "camera_id=a&to=0"):
        response = await history_worker.client.get(f"/metrics/history?{query}")
        assert (response.status, await response.json()) == (200, [])


async def test_health_when_all_is_well(history_worker: Worker) -> None:
    response = await history_worker.client.get("/health")
    assert await response.json() == {"status": "ok", "kafka": "ok", "postgres": "ok", "redis": "ok"}
