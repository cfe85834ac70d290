"""``/api/roads``: the roads of the feed, page by page."""

from __future__ import annotations

import asyncio

import asyncpg
from yarl import URL

from tests.stores.roads.observations import observation
from tests.web.conftest import Worker
from tests.web.stored import keep_roads
from trafficapp.stores.migrations import migrate


async def test_roads_come_in_pages_as_of_their_newest_observation(history_worker: Worker, database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE road_observations, roads, sink_offsets")
    await connection.close()
    newer = observation("a", 60, free_flow_speed=40.0, road_name="Via Nuova", edges=[("e1", 1.0), ("e2", 0.5)])
    await keep_roads(history_worker.context.settings, observation("a"), observation("b"), newer)
    first = await history_worker.client.get("/api/roads?limit=1")
    assert await first.json() == [
        {
            "road_id": "a",
            "road_name": "Via Nuova",
            "free_flow_speed": 40.0,
            "edges": [["e1", 1.0], ["e2", 0.5]],
            "last_seen": "2026-01-14T07:01:00Z",
        }
    ]
    rest = await history_worker.client.get(URL(first.links["next"]["url"]).relative())
    assert [road["road_id"] for road in await rest.json()] == ["b"]
    assert "Link" not in rest.headers
