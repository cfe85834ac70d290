"""``/analytics/trends``: hours of the city, rush hours, the worst roads."""

from __future__ import annotations

import asyncio

import pytest

from models.timestamps import rfc3339
from tests.stores.roads.observations import T0_US, observation
from tests.web.conftest import Worker
from tests.web.stored import keep_roads
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool

SPAN = "from=2026-01-14T00:00:00Z&to=2026-01-15T00:00:00Z"


@pytest.fixture
async def worker_with_roads(history_worker: Worker, database_url: str) -> Worker:
    """Three roads at every half hour from 07:00 to 12:00 UTC, 08:00 to 13:00 in Rome."""
    await asyncio.to_thread(migrate, database_url)
    settings = history_worker.context.settings
    async with create_pool(settings.postgres) as pool:
        await pool.execute("TRUNCATE road_observations, roads, sink_offsets")
    seen = [
        observation(
            road_id,
            road_name=f"Via {road_id}",
            timestamp=rfc3339(T0_US + half * 1_800_000_000),
            current_speed=speed + half,
            jam_factor=jam,
            congestion_level="high" if jam >= 7 else "low",
        )
        for half in range(10)
        for road_id, speed, jam in (("a", 30, 2), ("b", 10, 8), ("c", 20, 5))
    ]
    await keep_roads(settings, *seen)
    return history_worker


async def test_trends_of_a_day_and_of_a_road(worker_with_roads: Worker) -> None:
    client = worker_with_roads.client
    body = await (await client.get(f"/analytics/trends?{SPAN}")).json()
    speeds = {entry["hour"]: entry["speed"] for entry in body["hourly_avg_speed"]}
    assert list(speeds) == list(range(24))
    assert {hour: speed for hour, speed in speeds.items() if speed is not None} == {
        8: 20.5, 9: 22.5, 10: 24.5, 11: 26.5, 12: 28.5,
    }  # fmt: skip
    morning, evening = body["rush_hour_patterns"]
    assert (morning["name"], morning["from_hour"], morning["to_hour"]) == ("morning", 7, 9)
    assert (morning["avg_speed"], morning["avg_speed_outside"], morning["observations"]) == (20.5, 25.5, 6)
    assert (evening["observations"], evening["avg_speed"]) == (0, None)
    assert [road["road_id"] for road in body["top_congested_roads"]] == ["b", "c", "a"]
    assert body["top_congested_roads"][0] == {
        "road_id": "b",
        "road_name": "Via b",
        "observations": 10,
        "avg_jam_factor": 8.0,
        "avg_speed": 14.5,
        "high_share": 1.0,
    }
    one = await (await client.get(f"/analytics/trends?{SPAN}&road_id=a")).json()
    assert one["hourly_avg_speed"][8] == {"hour": 8, "speed": 30.5}
    assert [road["road_id"] for road in one["top_congested_roads"]] == ["a"]
    # the default is the last 24 hours, of which nothing is known here
    recent = await (await client.get("/analytics/trends")).json()
    assert recent["top_congested_roads"] == []
    assert all(entry["speed"] is None for entry in recent["hourly_avg_speed"])


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "from=2026-01-15&to=2026-01-14",
        "from=2024-01-01&to=2026-01-01",
        "to=0001-01-01T00:00:00Z",
        "from=9999-12-31T22:30:00Z&to=9999-12-31T23:59:00Z",
        "road_id=",
    ],
)
async def test_ranges_that_cannot_be_asked_for(worker_with_roads: Worker, query: str) -> None:
    response = await worker_with_roads.client.get(f"/analytics/trends?{query}")
    assert response.status == 400, await response.text()
    assert response.content_type == "application/problem+json"
