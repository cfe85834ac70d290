from __future__ import annotations

import random
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.timestamps import from_epoch_us
from tests.stores.cameras.test_rollups import camera_rows
from tests.stores.postgres.fixtures import Connection, MakeSink, Pool
from tests.stores.postgres.records import START_US, owned, window, window_records
from trafficapp.analytics.figures import COLUMNS, WINDOWS, RangeSums
from trafficapp.stores.cameras.analytics_queries import range_sums
from trafficapp.stores.cameras.day_sums import DAYS_AT_ONCE, DaysInMemory

FIRST = from_epoch_us(START_US) + timedelta(hours=14)


async def brute_force(
    database: Connection, start: datetime, end: datetime, cameras: set[str] | None
) -> tuple[dict[str, list[int]], dict[int, list[int]], Counter[str]]:
    """Sums by camera and by half-hour, window by window, and alerts one by one."""
    by_camera: dict[str, list[int]] = {}
    by_slot: dict[int, list[int]] = {}
    unhealthy = await database.fetch("SELECT * FROM unhealthy_spans")
    for row in await database.fetch("SELECT * FROM traffic_metrics WHERE lane_id IS NULL"):
        if any(
            one["source_id"] == row["camera_id"] and one["from_time"] <= row["window_start"] < one["to_time"]
            for one in unhealthy
        ):
            continue
        if not start <= row["window_start"] < end or (cameras is not None and row["camera_id"] not in cameras):
            continue
        length_us = round((row["window_end"] - row["window_start"]).total_seconds() * 1_000_000)
        score, speed, level = row["congestion_score"], row["avg_speed_kmh"], row["congestion_level"]
        values = [
            *(1, row["vehicle_count"], int(score is not None), round((score or 0) * 10_000)),
            *(int(speed is not None), round((speed or 0) * 10_000)),
            *(length_us * (level == "SEVERE"), length_us * (level == "HIGH"), 1, row["queue_length"]),
        ]
        slot = int(row["window_start"].timestamp()) // 1800
        for sums, key in ((by_camera, row["camera_id"]), (by_slot, slot)):
            kept = sums.setdefault(key, [0] * COLUMNS)  # type: ignore[attr-defined]
            kept[:] = [old + new for old, new in zip(kept, values, strict=True)]
    alerts = Counter(
        row["severity"]
        for row in await database.fetch("SELECT * FROM alerts WHERE alert_type = 'congestion'")
        if start <= row["triggered_at"] < end and (cameras is None or row["camera_id"] in cameras)
    )
    return by_camera, by_slot, alerts


def summed(sums: RangeSums, slot_seconds: int) -> dict[int, list[int]]:
    slots: dict[int, list[int]] = {}
    for start, row in zip(sums.slot_starts, sums.slots.tolist(), strict=True):
        kept = slots.setdefault(int(start.timestamp()) // slot_seconds, [0] * COLUMNS)
        kept[:] = [old + new for old, new in zip(kept, row, strict=True)]
    return {slot: row for slot, row in slots.items() if any(row)}


async def assert_exact(
    database: Connection, pool: Pool, memory: DaysInMemory, start: datetime, end: datetime, cameras: set[str] | None
) -> None:
    by_camera, by_slot, alerts = await brute_force(database, start, end, cameras)
    by_hour: dict[int, list[int]] = {}
    for slot, row in by_slot.items():
        by_hour[slot // 2] = [a + b for a, b in zip(by_hour.get(slot // 2, [0] * COLUMNS), row, strict=True)]
    for minutes, expected in ((60, by_hour), (30, by_slot)):
        answer = await range_sums(pool, memory, start, end, minutes, cameras)
        found = dict(zip(answer.sums.camera_ids, answer.sums.cameras.tolist(), strict=True))
        assert found == by_camera
        assert summed(answer.sums, minutes * 60) == expected
        assert +Counter(dict(answer.sums.alerts)) == alerts
        assert np.array_equal(answer.sums.total, answer.sums.slots.sum(axis=0))


async def _fill(metrics_sink: MakeSink, database: Connection, cameras: str = "abc") -> None:
    sink = metrics_sink()
    await sink.load([0])
    rows = [row for camera_id in cameras for row in camera_rows(1, camera_id, 600)]
    await sink.apply(0, window_records(*rows), owned)
    chance = random.Random(9)
    await database.execute("TRUNCATE alerts, city_alerts")
    await database.executemany(
        "INSERT INTO alerts (id, revision, severity, alert_type, camera_id, title, message, rule, since, triggered_at,"
        " updated_at) VALUES (gen_random_uuid(), 1, $1, $4, $2, '', '', '', $3, $3, $3)",
        [
            (chance.choice(["WARNING", "CRITICAL", "EMERGENCY"]), chance.choice(["a", "b", "x", None]),
             FIRST + timedelta(seconds=chance.randrange(8 * 3600)), chance.choice(["congestion", "camera_silent"]))
            for _ in range(150)
        ],
    )  # fmt: skip


async def test_any_range_is_exact(metrics_sink: MakeSink, database: Connection, pool: Pool) -> None:
    await _fill(metrics_sink, database)
    chance, memory = random.Random(4), DaysInMemory()
    for _ in range(15):
        moments = sorted(chance.sample(range(0, 8 * 3600 * 1000), 2))
        grain = chance.choice([1, 1000, 60_000, 3_600_000])
        start, end = (FIRST + timedelta(milliseconds=moment // grain * grain) for moment in moments)
        if start < end:
            await assert_exact(database, pool, memory, start, end, chance.choice([None, {"a"}, {"b", "zz"}]))
    whole = (FIRST - timedelta(days=3), FIRST + timedelta(days=3))
    for cameras in (None, {"c"}, set[str]()):
        await assert_exact(database, pool, memory, *whole, cameras)


async def test_windows_of_unhealthy_cameras_are_left_out(
    metrics_sink: MakeSink, database: Connection, pool: Pool
) -> None:
    await _fill(metrics_sink, database)
    chance, memory = random.Random(5), DaysInMemory()

    async def find_unhealthy(camera_id: str, since: float, until: float | None) -> None:
        add = """
            INSERT INTO city_alerts (alert_id, revision, alert_type, state, severity, subject, title, message, told_at,
                                     opened_at, resolved_at)
            VALUES ($1, $2, 'unhealthy_source', $3, 'WARNING', $4, '', '', $5, $6, $7)
        """
        alert_id, times = uuid.uuid4(), [FIRST + timedelta(seconds=one or 0) for one in (since, until)]
        await database.execute(add, alert_id, 0, "opened", camera_id, times[0], times[0], None)
        if until is not None:
            await database.execute(add, alert_id, 1, "resolved", camera_id, times[1], times[0], times[1])

    # over hours, within one, within a minute, one upon another, of a lane, and one that goes on
    for camera_id, since, until in (
        ("a", 1234.5, 15_000),
        ("a", 14_000, 16_000.25),
        ("a", 20_000, 20_900),
        ("b", 7201, 7233),
        ("b/2", 0, 30_000),
        ("c", 18_000, None),
    ):
        await find_unhealthy(camera_id, since, until)
    for _ in range(8):
        moments = sorted(chance.sample(range(0, 8 * 3600 * 1000), 2))
        grain = chance.choice([1, 1000, 60_000, 3_600_000])
        start, end = (FIRST + timedelta(milliseconds=moment // grain * grain) for moment in moments)
        if start < end:
            await assert_exact(database, pool, memory, start, end, chance.choice([None, {"a"}, {"b", "zz"}]))
    await assert_exact(database, pool, memory, FIRST - timedelta(days=1), FIRST + timedelta(days=1), None)
    whole = (await range_sums(pool, memory, FIRST - timedelta(days=1), FIRST + timedelta(days=1))).sums
    windows = await database.fetchval("SELECT count(*) FROM traffic_metrics WHERE lane_id IS NULL")
    assert 0 < whole.left_out_windows == windows - whole.total[WINDOWS]
    assert whole.healthy_share == whole.total[WINDOWS] / windows


async def test_what_is_written_later_is_seen(metrics_sink: MakeSink, database: Connection, pool: Pool) -> None:
    """New windows, a replaced one, a new camera, an alert that grows worse: all change days that are in memory."""
    await _fill(metrics_sink, database, "ab")
    memory = DaysInMemory(fresh_seconds=0)
    span = (FIRST - timedelta(days=1), FIRST + timedelta(days=1))
    await assert_exact(database, pool, memory, *span, None)
    sink = metrics_sink()
    await sink.load([0])
    for first, rows in (
        (5000, camera_rows(2, "new", 30)),
        (6000, [window("a", 17 * 720 + 10_000)]),
        (7000, [window("a", 17 * 720 + 10_000, vehicle_count=50)]),
    ):
        await sink.apply(0, window_records(*rows, first=first), owned)
        await assert_exact(database, pool, memory, *span, None)
    await database.execute("UPDATE alerts SET severity = 'EMERGENCY' WHERE severity = 'WARNING'")
    await assert_exact(database, pool, memory, *span, None)
    await database.execute("TRUNCATE alerts")
    await assert_exact(database, pool, memory, *span, None)


async def test_days_are_not_read_again_while_they_are_fresh(
    metrics_sink: MakeSink, database: Connection, pool: Pool
) -> None:
    await _fill(metrics_sink, database, "a")
    memory = DaysInMemory(fresh_seconds=3600)
    span = (datetime(2026, 1, 14, tzinfo=UTC), datetime(2026, 1, 16, tzinfo=UTC))
    before = await range_sums(pool, memory, *span)
    await database.execute("UPDATE metrics_1h SET windows = windows + 1")
    again = await range_sums(pool, memory, *span)
    assert np.array_equal(before.sums.cameras, again.sums.cameras)
    assert again.age_seconds >= before.age_seconds


@pytest.mark.parametrize("max_bytes", [0, 1 << 30])
async def test_days_are_forgotten_beyond_the_memory_they_may_take(
    metrics_sink: MakeSink, database: Connection, pool: Pool, max_bytes: int
) -> None:
    await _fill(metrics_sink, database, "a")
    memory = DaysInMemory(max_bytes=max_bytes)
    for day in range(10, 20):
        start = datetime(2026, 1, day, tzinfo=UTC)
        await assert_exact(database, pool, memory, start, start + timedelta(days=2), None)
    assert len(memory._days) == (2 if max_bytes == 0 else 11)


@pytest.mark.parametrize("max_bytes", [0, 1 << 30])
async def test_a_long_range_is_exact_and_not_in_memory_at_once(
    metrics_sink: MakeSink, database: Connection, pool: Pool, max_bytes: int
) -> None:
    """Parts of the range are read one after the other; a camera that only a later part has is counted, too."""
    await _fill(metrics_sink, database, "ab")
    sink = metrics_sink()
    await sink.load([0])
    later = [window(camera_id, 17 * 720 + 60 * 17_280) for camera_id in ("a", "late")]
    await sink.apply(0, window_records(*later, first=9000), owned)
    memory = DaysInMemory(max_bytes=max_bytes)
    span = (FIRST - timedelta(days=45), FIRST + timedelta(days=100))
    for cameras in (None, {"a", "late"}, {"late"}):
        await assert_exact(database, pool, memory, *span, cameras)
    assert (len(memory._days) <= DAYS_AT_ONCE) is (max_bytes == 0)


async def test_no_range_is_too_empty(database: Connection, pool: Pool) -> None:
    start = datetime(1999, 1, 1, 5, 5, tzinfo=UTC)
    for length in (timedelta(seconds=1), timedelta(hours=1), timedelta(days=400)):
        sums = (await range_sums(pool, DaysInMemory(), start, start + length)).sums
        assert (sums.camera_ids, int(sums.slots.sum()), sum(sums.alerts.values())) == ([], 0, 0)
