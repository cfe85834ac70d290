"""Figures of feeds over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg

from tests.web.conftest import Worker
from trafficapp.stores.migrations import migrate


async def test_every_topic_that_comes_in_is_listed(history_worker: Worker, database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
    await connection.execute("INSERT INTO feed_minutes VALUES ('vehicle_data', $1, 5)", minute)
    await connection.execute("INSERT INTO feed_refusals VALUES ('vehicle_data', $1, 'not_json', 1, 1)", minute)
    await connection.close()
    async with history_worker.client.get("/api/quality/feeds?minutes=30") as answer:
        found = {one["feed"]: one for one in await answer.json()}
    assert {"cameras", "road-speeds"} <= set(found)
    (cars,) = [one for one in found.values() if one["topic"] == "vehicle_data"]
    assert (cars["messages"], cars["accepted"], cars["refused"], cars["validity"]) == (5, 4, {"not_json": 1}, 0.8)
    assert found["cameras"]["messages"] == 0
    async with history_worker.client.get("/api/quality/feeds?minutes=0") as answer:
        assert answer.status == 400
