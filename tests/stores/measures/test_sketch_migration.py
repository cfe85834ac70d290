"""Sketches from before they were bytes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg

from trafficapp.stores.measures.lane_queries import lane_sums
from trafficapp.stores.measures.sketches import counts_of
from trafficapp.stores.migrations import migrate

BEGIN = datetime(2026, 1, 14, 7, 0, tzinfo=UTC)


async def test_the_migration_carries_sketches_over(database_url: str) -> None:
    assert await asyncio.to_thread(migrate, database_url, "0041") == "0041"
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        """
        SELECT ensure_time_partition(parent, parent || '_20260114', '2026-01-14Z', '2026-01-15Z')
        FROM unnest('{traffic_metrics,metrics_1m,lane_sums_1m}'::text[]) AS parent;
        SELECT ensure_time_partition(parent, parent || '_202601', '2026-01-01Z', '2026-02-01Z')
        FROM unnest('{metrics_1h,lane_sums_1h}'::text[]) AS parent;
        INSERT INTO traffic_metrics
        SELECT 'a', start, start + interval '5 s', NULL, 1, '{"car": 1}', 50, 0, 0, 'LOW', 0.1, 2, 1, buckets, counts
        FROM (VALUES (timestamptz '2026-01-14 07:00:00Z', '{300,400}'::smallint[], '{1,70000}'::integer[]),
                     ('2026-01-14 07:00:05Z', NULL, NULL)) AS windows (start, buckets, counts);
        SELECT recompute_rollups('2026-01-14 07:00Z', '2026-01-14 08:00Z');
        INSERT INTO lane_sums_1m VALUES ('2026-01-14 07:01Z', 'a', -1, 1, 5000000, 1, 0, 0, '{}', '{}');
        """
    )
    await connection.close()
    await asyncio.to_thread(migrate, database_url)
    expected = {300: 1, 400: 70_000}
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        for table in ("lane_sums_1m", "lane_sums_1h"):
            kept = await pool.fetch(f"SELECT speed_sketch FROM {table} ORDER BY bucket_start")  # noqa: S608
            assert counts_of(kept[0]["speed_sketch"]) == expected
        # whole hours, minutes, and windows themselves
        for until in (BEGIN + timedelta(hours=1), BEGIN + timedelta(minutes=1), BEGIN + timedelta(seconds=30)):
            (found,) = await lane_sums(pool, BEGIN, until)
            assert (found.windows, found.speed_counts) == (2, expected)
        await pool.execute("SELECT recompute_rollups('2026-01-14 07:00Z', '2026-01-14 08:00Z')")
        (found,) = await lane_sums(pool, BEGIN, BEGIN + timedelta(hours=1))
        assert (found.windows, found.speed_counts) == (2, expected)
