"""Sums of lanes, and what waits to be added to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.stores.postgres.fixtures import Connection, MakeSink, Pool
from tests.stores.postgres.records import owned, window, window_records
from trafficapp.measures.lanes import LaneSums
from trafficapp.stores.measures.lane_queries import lane_sums

BEGIN = datetime(2026, 1, 14, 7, 0, tzinfo=UTC)
END = BEGIN + timedelta(hours=2)


async def test_sums_are_the_same_before_and_after_they_are_added_up(
    metrics_sink: MakeSink, database: Connection, pool: Pool
) -> None:
    sink = metrics_sink()
    await sink.load([0])
    rows = [
        window(number=number, pictures=3, speed_counts={400: 1, 380 + number % 3: 2}) for number in range(0, 900, 7)
    ]
    half = window_records(*rows[:70]), window_records(*rows[70:], first=70)
    expected = [
        LaneSums("cam_01", None, 129, 129 * 5_000_000, 387, 129, 129 * 50_000, {400: 129, 380: 86, 381: 86, 382: 86})
    ]
    await sink.apply(0, half[0], owned)
    assert await sink.flush() == 70
    await sink.apply(0, half[1], owned)
    assert await lane_sums(pool, BEGIN, END) == expected
    assert await sink.flush() == 59
    assert await sink.flush() == 0
    assert await lane_sums(pool, BEGIN, END) == expected
    assert await database.fetchval("SELECT sum(windows) FROM lane_sums_1h") == 129
    assert await database.fetchval("SELECT count(*) FROM lane_sums_1m") == len({row.window_start[:16] for row in rows})


async def test_whoever_finds_somebody_at_it_leaves_it_to_him(metrics_sink: MakeSink, database: Connection) -> None:
    sink = metrics_sink()
    await sink.load([0])
    await sink.apply(0, window_records(window()), owned)
    async with database.transaction():
        await database.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('trafficapp settles lane_sums_pending', 0))"
        )
        assert await sink.flush() == 0
    assert await sink.flush() == 1
