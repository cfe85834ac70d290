from __future__ import annotations

import asyncio
import contextlib
import importlib
import random
import re
import struct
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner

from models.cameras.window_rows import WindowRow
from tests.stores.postgres.fixtures import Connection, MakeSink, Pool
from tests.stores.postgres.proxy import Proxy
from tests.stores.postgres.records import owned, window, window_records
from tests.tasks import end
from trafficapp.cli import main
from trafficapp.settings import RetentionSettings, Settings, load_settings
from trafficapp.stores import migrations
from trafficapp.stores.cameras.rollups import LANE_SUMS, SUMS
from trafficapp.stores.measures.sketches import counts_of
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.retention import sweep
from trafficapp.windows.speed_sketch import add_counts, count_speeds

QUEUES = importlib.import_module("trafficapp.stores.migrations.versions.0010_queue_sums")
LANES = Path(migrations.__file__).parent / "sql" / "0043_pending_lane_sums.sql"
RECOMPUTE = re.search(r"CREATE OR REPLACE FUNCTION recompute_rollups.*?END \$\$;", LANES.read_text(), re.DOTALL)
assert RECOMPUTE is not None
_WITHOUT_QUEUES = SUMS.index("queued")

Sums = dict[tuple[datetime, str], tuple[int, ...]]


def random_row(chance: random.Random, camera_id: str, number: int) -> WindowRow:
    if chance.random() < 0.1:
        unknown = {"avg_speed_kmh": None, "stopped_ratio": None, "congestion_score": None}
        return window(camera_id, number, congestion_level="UNKNOWN", **unknown)
    score = round(chance.random(), 4)
    level = "SEVERE" if score >= 0.8 else "HIGH" if score >= 0.55 else "LOW"
    speed = round(chance.uniform(0, 130), 3)
    return window(
        camera_id, number, vehicle_count=chance.randrange(60), congestion_score=score, congestion_level=level,
        avg_speed_kmh=speed, queue_length=chance.randrange(20), pictures=chance.randrange(3),
        speed_counts=count_speeds([chance.uniform(0, 130) for _ in range(chance.randrange(5))]),
    )  # fmt: skip


def camera_rows(seed: int, camera_id: str, count: int) -> list[WindowRow]:
    """Windows over some hours and midnight, some with a lane beside them."""
    chance = random.Random(f"{seed} {camera_id}")
    numbers = sorted(chance.sample(range(17 * 720 - count, 17 * 720 + count), count))
    rows = []
    for number in numbers:
        rows.append(random_row(chance, camera_id, number))
        if chance.random() < 0.3:
            rows.append(window(camera_id, number, lane_id=1, speed_counts=count_speeds([chance.uniform(0, 130)])))
    return rows


async def truth(database: Connection, seconds: int) -> Sums:
    """What the sums must be, added up one window after the other."""
    sums: dict[tuple[datetime, str], list[int]] = defaultdict(lambda: [0] * len(SUMS))
    for row in await database.fetch("SELECT * FROM traffic_metrics WHERE lane_id IS NULL"):
        second = int(row["window_start"].timestamp())
        start = datetime.fromtimestamp(second - second % seconds, row["window_start"].tzinfo)
        found = sums[start, row["camera_id"]]
        found[0] += 1
        found[1] += row["vehicle_count"]
        for place, value in ((2, row["congestion_score"]), (4, row["avg_speed_kmh"])):
            if value is not None:
                found[place] += 1
                found[place + 1] += round(value * 10_000)
        length_us = round((row["window_end"] - row["window_start"]).total_seconds() * 1_000_000)
        found[6] += length_us * (row["congestion_level"] == "SEVERE")
        found[7] += length_us * (row["congestion_level"] == "HIGH")
        found[8] += 1
        found[9] += row["queue_length"]
    return {key: tuple(values) for key, values in sums.items()}


async def lane_truth(database: Connection, seconds: int) -> dict[tuple[datetime, str, int], list[Any]]:
    """What the sums by lane must be, the sketch with them, added up one window after the other."""
    sums: dict[tuple[datetime, str, int], list[Any]] = defaultdict(lambda: [0, 0, 0, 0, 0, {}])
    for row in await database.fetch("SELECT * FROM traffic_metrics"):
        second = int(row["window_start"].timestamp())
        start = datetime.fromtimestamp(second - second % seconds, row["window_start"].tzinfo)
        found = sums[start, row["camera_id"], -1 if row["lane_id"] is None else row["lane_id"]]
        found[0] += 1
        found[1] += round((row["window_end"] - row["window_start"]).total_seconds() * 1_000_000)
        found[2] += row["vehicle_count"]
        if row["pictures"]:
            found[3] += 1
            found[4] += round(row["detections"] * 10_000 / row["pictures"])
        add_counts(found[5], counts_of(row["speed_sketch"] or b""))
    return sums


_LANE_COLUMNS = f"bucket_start, camera_id, lane_id, {', '.join(LANE_SUMS)}, speed_sketch"


async def assert_lanes_exact(database: Connection) -> None:
    """What waits is none of it; the rest is all there is."""
    assert await database.fetchval("SELECT count(*) FROM lane_sums_pending") == 0
    for table, seconds in (("lane_sums_1m", 60), ("lane_sums_1h", 3600)):
        expected = await lane_truth(database, seconds)
        assert any(values[5] for values in expected.values())
        found = {}
        statement = f"SELECT {_LANE_COLUMNS} FROM {table}"  # noqa: S608
        for start, camera_id, lane_id, *sums, sketch in await database.fetch(statement):
            buckets = [bucket for bucket, _ in struct.iter_unpack(">hi", sketch)]
            assert buckets == sorted(set(buckets))
            found[start, camera_id, lane_id] = [*sums, counts_of(sketch)]
        assert found == expected


async def stored(database: Connection, table: str) -> Sums:
    return {(row[0], row[1]): tuple(row)[2:] for row in await database.fetch(f"SELECT * FROM {table}")}  # noqa: S608


async def assert_exact(database: Connection, columns: int = len(SUMS)) -> None:
    for table, seconds in (("metrics_1m", 60), ("metrics_1h", 3600)):
        expected = {key: sums[:columns] for key, sums in (await truth(database, seconds)).items()}
        assert expected
        assert {key: sums[:columns] for key, sums in (await stored(database, table)).items()} == expected


def log_of(rows: Sequence[WindowRow], partition: int, chance: random.Random) -> list[Any]:
    """Records of rows; some rows come once more at later offsets, as after a crash upstream."""
    log = list(rows)
    for _ in range(3):
        begin = chance.randrange(len(rows))
        log[begin + 40 : begin + 40] = rows[begin : begin + 40]
    return window_records(*log, partition=partition)


async def send(sink: Any, partition: int, records: Sequence[Any], chance: random.Random) -> None:
    """Apply records in runs cut by chance; some runs begin before the last one's end."""
    first = 0
    while first < len(records):
        end = first + chance.randrange(1, 200)
        await sink.apply(partition, records[first:end], owned)
        if chance.random() < 0.2:
            await sink.apply(partition, records[max(0, first - 50) : end], owned)
        first = end


@pytest.mark.parametrize("seed", [1, 2])
async def test_sums_equal_the_windows_whatever_crashes_and_repeats(
    metrics_sink: MakeSink, database: Connection, seed: int
) -> None:
    """Sessions end at random moments, rows are repeated, and a process that was thought dead writes as well."""
    chance = random.Random(seed)
    sinks = [metrics_sink() for _ in range(3)]
    for sink in sinks:
        await sink.load([0, 1])
    ended = 0

    async def end_sessions() -> None:
        nonlocal ended
        # so often at most: on a slow machine nothing would ever be written between two ends
        for _ in range(60):
            await asyncio.sleep(chance.uniform(0.02, 0.15))
            ended += await database.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'trafficapp'"
            )

    killer = asyncio.create_task(end_sessions())
    rows = {partition: camera_rows(seed, f"a{partition}", 500) for partition in (0, 1)}
    rows[0] += camera_rows(seed, "b", 300)
    seeds = [random.Random(f"{seed} {n}") for n in range(3)]
    logs = {partition: log_of(rows[partition], partition, chance) for partition in rows}
    writing = [send(sinks[n], partition, logs[partition], seeds[n]) for n, partition in enumerate((0, 0, 1))]
    await asyncio.wait_for(asyncio.gather(*writing), 60)
    await end(killer)  # it may be in the middle of a query
    assert ended > 0
    assert await database.fetchval("SELECT count(*) FROM traffic_metrics") == len(rows[0]) + len(rows[1])
    await assert_exact(database)
    # one is at it at a time
    assert sum(await asyncio.gather(*(sink.flush() for sink in sinks))) > 0
    await sinks[0].flush()
    await assert_lanes_exact(database)


@pytest.mark.parametrize("moment", [b"BEGIN", b"PGCOPY", b"WITH inserted", b"UPDATE sink_offsets", b"COMMIT"])
async def test_a_cut_at_any_step_leaves_sums_exact(
    metrics_sink: MakeSink, database: Connection, history_url: str, moment: bytes
) -> None:
    async with Proxy(history_url).listening() as proxy:
        sink = metrics_sink(settings=load_settings(postgres={"url": proxy.url}))
        await sink.load([0])
        proxy.cut_after = moment
        records = window_records(*camera_rows(7, "a", 100))
        for first in range(0, len(records), 25):
            await sink.apply(0, records[first : first + 25], owned)
        assert proxy.cuts == 1
    await assert_exact(database)


async def test_a_replaced_window_replaces_what_it_gave(metrics_sink: MakeSink, database: Connection) -> None:
    sink = metrics_sink()
    await sink.load([0])
    rows = camera_rows(3, "a", 50)
    await sink.apply(0, window_records(*rows, *camera_rows(3, "b", 50)), owned)
    camera_wide = [row for row in rows if row.lane_id is None]
    changed = [
        window("a", 0, window_start=row.window_start, window_end=row.window_end, vehicle_count=59)
        for row in camera_wide[::7]
    ]
    before = await stored(database, "metrics_1h")
    await sink.apply(0, window_records(*changed, first=500), owned)
    assert sink.counters.differing == len(changed)
    assert await stored(database, "metrics_1h") != before
    await assert_exact(database)


async def test_a_change_is_told_for_its_day_alone(metrics_sink: MakeSink, database: Connection) -> None:
    async def changes() -> dict[str, int]:
        return dict(
            await database.fetch("SELECT day::text, sum(change)::bigint FROM metrics_changes GROUP BY day")  # type: ignore[arg-type]
        )

    sink = metrics_sink()
    await sink.load([0])
    await sink.apply(0, window_records(window(number=0), window(number=17_280)), owned)
    first = await changes()
    assert first.keys() == {"2026-01-14", "2026-01-15"}
    await sink.apply(0, window_records(window(number=0), window(number=1, lane_id=1), first=2), owned)
    assert await changes() == first
    await sink.apply(0, window_records(window(number=1), first=4), owned)
    second = await changes()
    assert second["2026-01-14"] > first["2026-01-14"]
    assert second["2026-01-15"] == first["2026-01-15"]


async def test_alerts_tell_their_changes(database: Connection) -> None:
    async def change() -> int:
        return int(
            await database.fetchval("SELECT coalesce(sum(change), 0) FROM alert_changes WHERE day = '2026-01-14'")
        )

    seen = [await change()]
    for statement in (
        "INSERT INTO alerts (id, revision, severity, alert_type, camera_id, title, message, rule, since, triggered_at,"
        " updated_at) VALUES (gen_random_uuid(), 1, 'WARNING', 'congestion', 'a', '', '', '', now(),"
        " '2026-01-14T23:59:59Z', now())",
        "UPDATE alerts SET severity = 'CRITICAL'",
        "DELETE FROM alerts",
        "TRUNCATE alerts",
    ):
        await database.execute(statement)
        seen.append(await change())
    assert seen == sorted(set(seen))


async def test_writers_of_alerts_of_many_days_and_cameras_do_not_lock_each_other_out(
    database: Connection, history_url: str
) -> None:
    began = [asyncio.Event(), asyncio.Event()]

    async def write(number: int, cameras: str) -> None:
        connection = await asyncpg.connect(history_url)
        try:
            async with connection.transaction():
                for camera in cameras:
                    await connection.execute(
                        "INSERT INTO alerts (id, revision, severity, alert_type, camera_id, title, message, rule,"
                        " since, triggered_at, updated_at) SELECT gen_random_uuid(), 1, 'WARNING', 'congestion', $1,"
                        " '', '', '', now(), timestamptz '2026-01-14Z' + day * interval '1 day', now()"
                        " FROM generate_series(0, 2) AS day",
                        camera,
                    )
                    began[number].set()
                    # the other one may have to wait for this one's end, which is as good
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(began[1 - number].wait(), 1)
        finally:
            await connection.close()

    cameras = "abcdefgh"
    await asyncio.gather(write(0, cameras), write(1, cameras[::-1]))
    assert await database.fetchval("SELECT count(*) FROM alerts") == 48
    await database.execute("TRUNCATE alerts")


async def test_the_migration_fills_the_sums(metrics_sink: MakeSink, database: Connection, history_url: str) -> None:
    sink = metrics_sink()
    await sink.load([0])
    far = [window(number=0, window_start=start) for start in ("1969-12-31T23:59:55Z", "2019-05-01T00:00:00Z")]
    await sink.apply(0, window_records(*far, *camera_rows(4, "a", 50)), owned)
    newest = await database.fetchval("SELECT version_num FROM alembic_version")
    await database.execute(
        "DROP INDEX traffic_metrics_window_start;"
        "DROP TABLE metrics_1m, metrics_1h, metrics_changes, alert_changes;"
        "DELETE FROM time_partitions WHERE parent LIKE 'metrics_1_';"
        "DROP FUNCTION next_change, note_alert_changes, note_all_alerts_changed, recompute_rollups CASCADE;"
        "UPDATE alembic_version SET version_num = '0002'"
    )
    assert await asyncio.to_thread(migrate, history_url, "0003") == "0003"
    await assert_exact(database, _WITHOUT_QUEUES)
    # sums that were made before know of no queue until they are made anew; the tables between are there
    await database.execute("UPDATE alembic_version SET version_num = $1", QUEUES.down_revision)
    assert await asyncio.to_thread(migrate, history_url, QUEUES.revision) == QUEUES.revision
    await database.execute("UPDATE alembic_version SET version_num = $1", newest)
    await database.execute(RECOMPUTE.group())
    await assert_exact(database, _WITHOUT_QUEUES)
    assert await database.fetchval("SELECT sum(queued) + sum(queue) FROM metrics_1m") == 0
    for (hour,) in await database.fetch("SELECT DISTINCT bucket_start FROM metrics_1h"):
        await database.execute("SELECT recompute_rollups($1::timestamptz, $1::timestamptz + interval '1 hour')", hour)
    await assert_exact(database)
    await sink.apply(0, window_records(*camera_rows(4, "b", 50), first=200), owned)
    await assert_exact(database)


async def test_the_command_puts_right_what_somebody_changed_by_hand(
    metrics_sink: MakeSink, database: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = metrics_sink()
    await sink.load([0])
    await sink.apply(0, window_records(*camera_rows(5, "a", 400)), owned)
    await database.execute(
        "DELETE FROM metrics_1m; UPDATE metrics_1h SET vehicles = 0, camera_id = 'c';"
        "DELETE FROM lane_sums_1m; UPDATE lane_sums_1h SET speed_sketch = speed_sketch || speed_sketch"
    )
    monkeypatch.setenv("DATABASE_URL", settings.postgres.url.get_secret_value())
    arguments = ["rollups", "rebuild", "--from", "2026-01-14T00:30:00Z", "--to", "2026-01-15T23:30:00Z"]
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    assert result.exit_code == 0, result.output
    assert "hours of cameras made" in result.output
    await assert_exact(database)
    await assert_lanes_exact(database)


async def test_sums_by_the_hour_outlive_the_windows(metrics_sink: MakeSink, database: Connection, pool: Pool) -> None:
    sink = metrics_sink()
    await sink.load([0])
    await sink.apply(0, window_records(window()), owned)
    kept = await stored(database, "metrics_1h")
    await database.execute("UPDATE time_partitions SET last_written_at = now() - interval '31 days'")
    await sweep(pool, RetentionSettings(), ())
    assert await database.fetchval("SELECT count(*) FROM traffic_metrics") == 0
    assert await database.fetchval("SELECT count(*) FROM metrics_1m") == 0
    assert await stored(database, "metrics_1h") == kept
    await database.execute("UPDATE time_partitions SET last_written_at = now() - interval '731 days'")
    assert "metrics_1h_202601" in await sweep(pool, RetentionSettings(rollup_days=5), ())
    assert await database.fetchval("SELECT count(*) FROM metrics_changes WHERE day < '2026-02-01'") == 0
