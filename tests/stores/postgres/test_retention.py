from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import asyncpg
import pytest
from click.testing import CliRunner

from tests.stores.postgres.fixtures import Connection, MakeSink, Pool
from tests.stores.postgres.records import events, owned, window, window_records
from trafficapp.cli import main
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import RetentionSettings, Settings, load_settings
from trafficapp.stores.feeds.table import kept_tables
from trafficapp.stores.postgres import retention
from trafficapp.stores.postgres.retention import sweep
from trafficapp.stores.postgres.time_partitions import (
    TimePartition,
    ensure_partitions,
    event_partition,
    metrics_partition,
    observations_partition,
    predictions_partition,
)

JANUARY_DAY = "traffic_metrics_20260114"


async def _partitions(database: Connection, parent: str) -> set[str]:
    """What is really attached."""
    found = await database.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass", parent
    )
    return {row[0] for row in found}


async def _age(database: Connection, partition: str, days: float) -> None:
    """Let a partition look as if it was last written some days ago."""
    await database.execute(
        "UPDATE time_partitions SET last_written_at = now() - $2::interval WHERE partition_name = $1",
        partition,
        timedelta(days=days),
    )


def test_the_hour_and_the_day_of_a_time() -> None:
    time = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    hour, day = event_partition(time), metrics_partition(time)
    assert hour.name == "traffic_events_2026022822"
    assert (hour.lower, hour.upper) == (datetime(2026, 2, 28, 22, tzinfo=UTC), datetime(2026, 2, 28, 23, tzinfo=UTC))
    assert day.name == "traffic_metrics_20260228"
    assert (day.lower, day.upper) == (datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))


async def test_many_may_make_the_same_partitions_at_once(history_url: str, database: Connection) -> None:
    days = [metrics_partition(datetime(2031, 1, 1, tzinfo=UTC) + timedelta(days=n)) for n in range(5)]

    async def make() -> None:
        connection = await asyncpg.connect(history_url)
        await ensure_partitions(connection, days)
        await connection.close()

    await asyncio.gather(*(make() for _ in range(8)))
    assert {day.name for day in days} <= await _partitions(database, "traffic_metrics")


async def test_making_a_partition_waits_for_no_writer_and_no_reader(history_url: str, database: Connection) -> None:
    other = await asyncpg.connect(history_url)
    async with database.transaction():
        await database.execute("LOCK TABLE traffic_metrics IN ROW EXCLUSIVE MODE")
        await asyncio.wait_for(ensure_partitions(other, [metrics_partition(datetime(2032, 1, 1, tzinfo=UTC))]), 2)
    await other.close()


async def test_a_replayed_old_recording_survives_the_sweep_until_it_was_unwritten_for_long(
    metrics_sink: MakeSink, database: Connection, pool: Pool
) -> None:
    sink = metrics_sink()
    await sink.load([0])
    await sink.apply(0, window_records(window()), owned)
    assert JANUARY_DAY not in await sweep(pool, RetentionSettings(), ())
    await _age(database, JANUARY_DAY, 29.9)
    assert JANUARY_DAY not in await sweep(pool, RetentionSettings(), ())
    await _age(database, JANUARY_DAY, 30.1)
    assert JANUARY_DAY in await sweep(pool, RetentionSettings(), ())
    assert JANUARY_DAY not in await _partitions(database, "traffic_metrics")
    assert await database.fetchval("SELECT count(*) FROM traffic_metrics") == 0


async def test_a_dropped_partition_is_made_again_also_when_the_sink_remembers_it(
    metrics_sink: MakeSink, database: Connection, pool: Pool
) -> None:
    sink = metrics_sink()
    await sink.load([0])
    await sink.apply(0, window_records(window()), owned)
    await _age(database, JANUARY_DAY, 31)
    assert JANUARY_DAY in await sweep(pool, RetentionSettings(), ())
    await sink.apply(0, window_records(window(number=1), first=1), owned)
    assert await database.fetchval("SELECT count(*) FROM traffic_metrics") == 1


async def test_events_whose_partitions_vanished_are_still_stored(events_sink: MakeSink, database: Connection) -> None:
    sink = events_sink()
    await sink.load([0])
    for name in await _partitions(database, "traffic_events"):
        await database.execute(f"DROP TABLE {name}")
    await sink.apply(0, events(range(10)), owned)
    assert await database.fetchval("SELECT count(*) FROM traffic_events") == 10


async def test_partitions_within_the_retention_period_stay_whoever_wrote_them(database: Connection, pool: Pool) -> None:
    now = datetime.now(UTC)
    kept = [metrics_partition(now - timedelta(days=29)), event_partition(now - timedelta(hours=23))]
    kept += [observations_partition(now - timedelta(days=89)), predictions_partition(now - timedelta(days=29))]
    expired = [metrics_partition(now - timedelta(days=32)), event_partition(now - timedelta(hours=26))]
    expired += [observations_partition(now - timedelta(days=92)), predictions_partition(now - timedelta(days=32))]
    ahead = metrics_partition(now + timedelta(days=400))
    await ensure_partitions(database, [*kept, *expired, ahead])
    for partition in (*kept, *expired):
        await _age(database, partition.name, 92)
    dropped = await sweep(pool, RetentionSettings(), kept_tables(FEEDS, load_settings()))
    assert sorted(dropped) == sorted(partition.name for partition in expired)
    await _age(database, ahead.name, 31)  # a wrong clock wrote there, long ago
    assert await sweep(pool, RetentionSettings(), ()) == [ahead.name]


async def test_old_notifications_go_a_piece_at_a_time(
    database: Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "DELETED_AT_ONCE", 4)
    monkeypatch.setattr(retention, "DELETIONS", 1)
    await database.execute(
        """INSERT INTO notifications (event_id, notified_at, alert_type, road_id, road_name, severity, message)
        SELECT gen_random_uuid(), now() - n * interval '1 day', 'sudden_jam', 'r', '',
        'WARNING', '' FROM generate_series(361, 372) AS days (n)"""
    )
    left = []
    for _ in range(3):
        settings = load_settings(retention={"notifications_days": 364.5})
        await sweep(pool, settings.retention, kept_tables(FEEDS, settings))
        left.append(await database.fetchval("SELECT count(*) FROM notifications"))
    assert left == [8, 4, 4]
    assert await database.fetchval("SELECT min(notified_at) > now() - interval '364.5 days' FROM notifications")


async def test_the_audit_log_is_kept_as_long_as_a_setting_says(database: Connection, pool: Pool) -> None:
    await database.execute("TRUNCATE audit_logs")
    await database.execute(
        """INSERT INTO audit_logs (at, actor, role, action, target)
        SELECT now() - n * interval '1 day', 'a', 'admin', 'x', n::text FROM generate_series(1, 400, 33) AS days (n)"""
    )
    await sweep(pool, load_settings(retention={"audit_days": 100}).retention, ())
    left = await database.fetch("SELECT target FROM audit_logs ORDER BY id")
    assert [row["target"] for row in left] == ["1", "34", "67"]
    assert RetentionSettings().audit_days == 365


async def test_the_sweep_makes_partitions_ahead(database: Connection, pool: Pool) -> None:
    await sweep(pool, RetentionSettings(), ())
    now = await database.fetchval("SELECT now()")
    hours = {event_partition(now + timedelta(hours=n)).name for n in range(4)}
    days = {metrics_partition(now + timedelta(days=n)).name for n in range(2)}
    assert hours <= await _partitions(database, "traffic_events")
    assert days <= await _partitions(database, "traffic_metrics")


async def test_a_partition_in_use_is_left_and_writers_do_not_wait_long(
    metrics_sink: MakeSink, database: Connection, pool: Pool, history_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ATTEMPTS", 3)
    old = TimePartition("traffic_metrics", "traffic_metrics_20250101", *_day(2025, 1, 1))
    await ensure_partitions(database, [old])
    await _age(database, old.name, 40)
    sink = metrics_sink()
    await sink.load([0])
    reader = await asyncpg.connect(history_url)
    async with reader.transaction():
        await reader.fetchval("SELECT count(*) FROM traffic_metrics")
        sweeping = asyncio.create_task(sweep(pool, RetentionSettings(), ()))
        waits = []
        for offset in range(20):
            began = asyncio.get_running_loop().time()
            await sink.apply(0, window_records(window(number=offset), first=offset), owned)
            waits.append(asyncio.get_running_loop().time() - began)
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(sweeping, 10) == []
    assert max(waits) < 1.0
    assert old.name in await _partitions(database, "traffic_metrics")
    assert await sweep(pool, RetentionSettings(), ()) == [old.name]
    await reader.close()


async def test_a_partition_that_is_written_while_it_expires_is_not_lost(
    metrics_sink: MakeSink, database: Connection, history_url: str
) -> None:
    """The sweep has chosen a partition; before it drops it, a sink says that it is about to write."""
    day = metrics_partition(datetime(2025, 2, 1, tzinfo=UTC))
    await ensure_partitions(database, [day])
    await _age(database, day.name, 40)
    writer = await asyncpg.connect(history_url)
    async with writer.transaction():
        await ensure_partitions(writer, [day])
        dropping = asyncio.create_task(
            database.fetchval("SELECT drop_expired_time_partition($1, interval '30 days')", day.name)
        )
        await asyncio.sleep(0.2)
        assert not dropping.done()
    assert await dropping is False
    assert day.name in await _partitions(database, "traffic_metrics")
    await writer.close()


async def test_the_command_sweeps(database: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    day = metrics_partition(datetime(2025, 3, 1, tzinfo=UTC))
    await ensure_partitions(database, [day])
    await _age(database, day.name, 3)
    monkeypatch.setenv("DATABASE_URL", settings.postgres.url.get_secret_value())
    monkeypatch.setenv("RETENTION_METRICS_DAYS", "2")
    result = await asyncio.to_thread(CliRunner().invoke, main, ["retention", "run"])
    assert result.exit_code == 0, result.output
    assert f"dropped {day.name}" in result.output


def _day(year: int, month: int, day: int) -> tuple[datetime, datetime]:
    start = datetime(year, month, day, tzinfo=UTC)
    return start, start + timedelta(days=1)
