"""Sums of road observations equal the observations, whatever is done to these and whichever range is asked for."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from models.timestamps import epoch_us, rfc3339
from tests.stores.postgres.fixtures import Connection, Pool
from tests.stores.postgres.records import owned
from tests.stores.roads.observations import observation, observation_records
from trafficapp.analytics.road_trends import RoadSums
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.feeds.table import kept_tables
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.stores.postgres.retention import sweep
from trafficapp.stores.postgres.time_partitions import ensure_partitions, observations_partition
from trafficapp.stores.roads.observations_sink import HistoryRoadsSink
from trafficapp.stores.roads.trend_queries import RangeTrends, road_trends

BEGIN = datetime(2026, 3, 27, 22, 10, tzinfo=UTC)
_INSERT = """
    INSERT INTO road_observations
    SELECT road, $2::timestamptz + $3 * interval '1 second', '', 20, 50, 4, 'medium', 0.4, false
    FROM unnest($1::text[]) AS road
"""
ROADS = [f"r{number:02}" for number in range(14)]


@pytest.fixture
async def emptied(database: Connection) -> Connection:
    await database.execute("TRUNCATE road_observations, roads")
    assert not await database.fetchval("SELECT count(*) FROM road_hours")
    return database


async def keep(settings: Settings, chance: random.Random, *, seconds: int, count: int) -> None:
    """Through the sink of the history, in runs, with repeats."""
    sink = HistoryRoadsSink(settings)
    await sink.load([0])
    begin_us = epoch_us(BEGIN)
    made = []
    for _ in range(count):
        at = chance.randrange(seconds)
        jam = round(chance.uniform(0, 10), 3)
        made.append(
            observation(
                chance.choice(ROADS),
                timestamp=rfc3339(begin_us + at * 1_000_000),
                current_speed=round(chance.uniform(0, 90), 4),
                jam_factor=jam,
                congestion_level="high" if jam >= 7 else "low",
                closed=chance.random() < 0.1,
                confidence=chance.choice((None, None, 0.2, 0.7, 0.71, 1.0)),
            )
        )
    made += chance.sample(made, count // 10)
    for number in range(0, len(made), 200):
        await sink.apply(0, observation_records(*made[number : number + 200], first=number), owned)
    await sink.close()


async def truth(database: Connection, start: datetime, end: datetime, minutes: int, road_id: str | None) -> RangeTrends:
    """Added up one observation after the other."""
    slots: dict[datetime, RoadSums] = defaultdict(RoadSums)
    roads: dict[str, RoadSums] = defaultdict(RoadSums)
    names = {row["road_id"]: row["road_name"] for row in await database.fetch("SELECT * FROM roads")}
    for row in await database.fetch("SELECT * FROM road_observations"):
        if not start <= row["observed_at"] < end or road_id not in (None, row["road_id"]):
            continue
        if row["closed"] or (row["confidence"] is not None and row["confidence"] <= 0.7):
            # no speed that anybody had
            continue
        one = RoadSums(
            1,
            round(row["current_speed"] * 10_000),
            round(row["jam_factor"] * 10_000),
            int(row["congestion_level"] == "high"),
        )
        second = int(row["observed_at"].timestamp())
        slots[datetime.fromtimestamp(second - second % (60 * minutes), UTC)] += one
        roads[row["road_id"]] += one
    ranked = sorted(roads.items(), key=lambda pair: (-pair[1].jam_e4 / pair[1].observations, pair[0]))
    return RangeTrends(dict(slots), [(road, names.get(road, road), sums) for road, sums in ranked[:10]])


async def test_any_range_is_exact(emptied: Connection, pool: Pool, settings: Settings) -> None:
    chance = random.Random(4)
    await keep(settings, chance, seconds=4 * 86_400, count=3000)
    # what a person corrects by hand counts as well
    await emptied.execute("DELETE FROM road_observations WHERE road_id = 'r03' AND observed_at < '2026-03-29'")
    await emptied.execute(
        "UPDATE road_observations SET jam_factor = 9.5, congestion_level = 'high' WHERE road_id = 'r05'"
    )
    await emptied.execute("UPDATE road_observations SET closed = NOT closed WHERE road_id = 'r06'")
    await emptied.execute("DELETE FROM roads WHERE road_id = 'r07'")
    ends = [BEGIN + timedelta(hours=hours) for hours in (-30, 0, 1.9, 2, 26, 26.01, 50, 60, 200)]
    ends += [BEGIN + timedelta(seconds=chance.randrange(4 * 86_400)) for _ in range(8)]
    midnight = datetime(2026, 3, 28, tzinfo=UTC)
    pairs = [(midnight, midnight + timedelta(days=2)), (midnight, midnight + timedelta(hours=1))]
    pairs += [(BEGIN, BEGIN + timedelta(minutes=5)), (BEGIN, BEGIN + timedelta(minutes=50))]
    pairs += [(start, end) for start in ends for end in ends if start < end and chance.random() < 0.3]
    for start, end in pairs:
        for minutes, road_id in ((60, None), (60, "r05"), (30, None), (15, "r03")):
            expected = await truth(emptied, start, end, minutes, road_id)
            assert await road_trends(pool, start, end, minutes, road_id) == expected, (start, end, minutes, road_id)
    assert await road_trends(pool, *pairs[0], 60, "nowhere") == RangeTrends({}, [])


async def test_writers_side_by_side_add_up(emptied: Connection, pool: Pool) -> None:
    days = [datetime(2026, 3, day, tzinfo=UTC) for day in (28, 29)]
    await ensure_partitions(emptied, map(observations_partition, days))

    async def write(seed: int) -> None:
        chance = random.Random(seed)
        for number in range(20):
            roads = chance.sample(ROADS, 10)
            async with pool.acquire() as connection:
                await connection.execute(
                    _INSERT,
                    roads,
                    chance.choice(days) + timedelta(hours=chance.randrange(3)),
                    seed * 100 + number,
                )

    await asyncio.gather(*map(write, range(4)))
    start, end = days[0], days[1] + timedelta(days=1)
    found = await road_trends(pool, start, end)
    assert found == await truth(emptied, start, end, 60, None)
    assert sum(sums.observations for sums in found.slots.values()) == 800


async def test_sums_are_forgotten_with_their_observations(emptied: Connection, pool: Pool, settings: Settings) -> None:
    await keep(settings, random.Random(1), seconds=3 * 86_400, count=300)
    until = datetime(2026, 3, 29, tzinfo=UTC)
    await emptied.execute("UPDATE time_partitions SET last_written_at = '2026-03-30' WHERE upper_bound <= $1", until)
    short = load_settings(retention={"roads_days": 30})
    dropped = await sweep(pool, short.retention, kept_tables(FEEDS, short))
    assert "road_observations_20260328" in dropped
    for table in ("road_hours", "road_days", "city_hours"):
        oldest = await emptied.fetchval(f"SELECT min(bucket_start) FROM {table}")  # noqa: S608 - a name of ours
        assert oldest >= until
    span = (BEGIN - timedelta(days=9), BEGIN + timedelta(days=9))
    assert await road_trends(pool, *span) == await truth(emptied, *span, 60, None)


async def test_what_was_there_before_is_summed_up(database_url: str) -> None:
    older = f"{database_url}_older"
    name = urlsplit(older).path[1:]
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        await asyncio.to_thread(migrate, older, "0005")
        chance = random.Random(2)
        async with create_pool(load_settings(postgres={"url": older}).postgres) as pool, pool.acquire() as connection:
            days = [BEGIN + timedelta(days=day) for day in range(4)]
            await ensure_partitions(connection, map(observations_partition, days))
        with psycopg.connect(older, autocommit=True) as before, before.cursor() as cursor:
            # as a sink of then wrote them
            rows = [
                (chance.choice(ROADS), BEGIN + timedelta(seconds=chance.randrange(3 * 86_400)), chance.uniform(0, 90))
                for _ in range(500)
            ]
            cursor.executemany(
                "INSERT INTO road_observations VALUES (%s, %s, '', round(%s::numeric, 4), 50, 4, 'medium', 0.4, false)"
                " ON CONFLICT DO NOTHING",
                rows,
            )
        await asyncio.to_thread(migrate, older)
        async with create_pool(load_settings(postgres={"url": older}).postgres) as pool, pool.acquire() as connection:
            span = (BEGIN - timedelta(days=9), BEGIN + timedelta(days=9))
            assert await road_trends(pool, *span) == await truth(connection, *span, 60, None)
    finally:
        with psycopg.connect(database_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
