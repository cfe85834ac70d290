"""``/api/simulated-spans``: history that was simulated can be told from history that was measured."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg

from tests.web.conftest import Worker
from trafficapp.stores.migrations import migrate

BEGIN = datetime(2026, 1, 14, 6, tzinfo=UTC)


async def test_spans_that_touch_the_range_are_told_whole(history_worker: Worker, database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE simulated_spans")
    try:
        for day in (0, 2):
            span = BEGIN + timedelta(days=day), BEGIN + timedelta(days=day, hours=12)
            await connection.execute(
                "INSERT INTO simulated_spans (from_time, to_time, seed, contents) VALUES ($1, $2, 1, 'all')", *span
            )
        client = history_worker.client
        response = await client.get("/api/simulated-spans?from=2026-01-14T12:00:00Z&to=2026-01-16T06:00:00Z")
        assert await response.json() == [
            {"from": "2026-01-14T06:00:00Z", "to": "2026-01-14T18:00:00Z", "goes_on": False}
        ]
        assert await (await client.get("/api/simulated-spans?to=2026-01-14T06:00:00Z")).json() == []
        now = datetime.now(UTC)
        for begin, end in ((now - timedelta(hours=9), now - timedelta(hours=8)), (now - timedelta(hours=7), now)):
            await connection.execute(
                "INSERT INTO simulated_spans (from_time, to_time, contents) VALUES ($1, $2, 'live')", begin, end
            )
        response = await client.get("/api/simulated-spans")
        assert [span["goes_on"] for span in await response.json()] == [False, True]
    finally:
        await connection.execute("TRUNCATE simulated_spans")
        await connection.close()
