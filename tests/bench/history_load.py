"""A month of history for measurements: windows, their sums, alerts and cameras, made inside the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import asyncpg

from trafficapp.stores.postgres.time_partitions import ensure_partitions, metrics_partition, window_partitions

#: Measured on a loaded day: table, unique index and sums, for each window.
BYTES_PER_WINDOW = 240
WINDOWS_PER_DAY = 17_280
AT_ONCE = 2

_CAMERAS = """
    INSERT INTO cameras (camera_id, name, latitude, longitude, road_segment, last_seen)
    SELECT 'cam_' || lpad(n::text, 3, '0'), 'Camera ' || n, 44.46 + (n % 20) * 0.004, 11.28 + (n / 20) * 0.011,
           'segment ' || (n / 4), $2
    FROM generate_series(1, $1) AS n
    ON CONFLICT (camera_id) DO UPDATE SET last_seen = EXCLUDED.last_seen
"""
# Two rush hours a day, quieter at weekends; each camera has a busyness of its own and noise in every window.
# OFFSET 0 keeps the server from writing inner expressions into outer ones, where they would be computed many times.
_WINDOWS = """
    INSERT INTO {table}
    SELECT camera_id, t, t + interval '5 seconds', NULL, vehicles,
           (CASE WHEN vehicles > 6 THEN '{{"car": ' || vehicles - vehicles / 7 || ', "truck": ' || vehicles / 7 || '}}'
                 WHEN vehicles > 0 THEN '{{"car": ' || vehicles || '}}' ELSE '{{}}' END)::jsonb,
           speed, stopped, (vehicles * coalesce(stopped, 0))::int,
           CASE WHEN score IS NULL THEN 'UNKNOWN' WHEN score >= 0.8 THEN 'SEVERE' WHEN score >= 0.55 THEN 'HIGH'
                WHEN score >= 0.3 THEN 'MODERATE' ELSE 'LOW' END,
           score, vehicles * 9
    FROM (
        SELECT *, round((0.4 * least(vehicles / 50.0::float8, 1) + 0.4 * (1 - least(speed / 60, 1)) + 0.2 * stopped)
                        * 10000) / 10000 AS score
        FROM (
            SELECT camera_id, t, vehicles,
                   CASE WHEN vehicles > 0
                        THEN round(greatest(0.5, 62 - 56 * load + noise * 4) * 1000) / 1000 END AS speed,
                   CASE WHEN vehicles > 0
                        THEN round(greatest(0, least(1, (load - 0.55) * 2)) * 10000) / 10000 END AS stopped
            FROM (
                SELECT camera_id, t, noise, load, greatest(0, (load * 52 + noise * 3)::int) AS vehicles
                FROM (
                    SELECT camera_id, t, noise, least(1.05, greatest(0, profile * busy + noise * 0.06)) AS load
                    FROM (
                        SELECT camera_id, t, busy, profile, random() + random() - 1 AS noise
                        FROM (
                            SELECT t, (0.12 + 0.75 * exp(-((h - 7.5) ^ 2) / 3) + 0.8 * exp(-((h - 17.5) ^ 2) / 4)
                                       + 0.3 * exp(-((h - 12.5) ^ 2) / 8)) * day_weight AS profile
                            FROM (SELECT t, (extract(epoch FROM t - $1::timestamptz) / 3600)::float8 AS h,
                                         (CASE WHEN extract(isodow FROM t) > 5 THEN 0.55 ELSE 1 END)::float8
                                         AS day_weight
                                  FROM generate_series($1::timestamptz, $1 + interval '1 day - 5 seconds',
                                                       interval '5 seconds') AS t OFFSET 0) AS times OFFSET 0
                        ) AS profiles
                        CROSS JOIN (SELECT camera_id, 0.45 + (row_number() OVER (ORDER BY camera_id) * 37 % 100)
                                           / 120.0::float8 AS busy FROM cameras OFFSET 0) AS placed OFFSET 0
                    ) AS chances OFFSET 0
                ) AS loads OFFSET 0
            ) AS counts OFFSET 0
        ) AS speeds OFFSET 0
    ) AS scores
"""
_ALERTS = """
    INSERT INTO alerts (id, revision, severity, alert_type, camera_id, title, message, congestion_level,
                        congestion_score, rule, since, triggered_at, updated_at, resolved_at)
    SELECT gen_random_uuid(), 3, CASE WHEN serious > 0.995 THEN 'EMERGENCY' WHEN serious > 0.7 THEN 'CRITICAL'
                                      ELSE 'WARNING' END,
           CASE WHEN serious > 0.995 THEN 'incident' ELSE 'congestion' END,
           'cam_' || lpad((1 + floor(random() * $1))::int::text, 3, '0'), 'Congestion', 'Congestion is high',
           CASE WHEN serious > 0.7 THEN 'SEVERE' ELSE 'HIGH' END, 0.6 + serious / 4, 'congestion_level >= HIGH',
           at - interval '10 seconds', at, at + interval '5 minutes', at + interval '5 minutes'
    FROM (SELECT $2::timestamptz + random() * ($3::timestamptz - $2::timestamptz) AS at, random() AS serious
          FROM generate_series(1, $4)) AS chosen ORDER BY at
"""
_ALERTS_CHANGED = """
    INSERT INTO alert_changes SELECT DISTINCT (triggered_at AT TIME ZONE 'UTC')::date, 0, next_change() FROM alerts
    ON CONFLICT DO NOTHING
"""


def bytes_needed(days: int, cameras: int) -> int:
    """Disk that the windows and their sums take."""
    return days * cameras * WINDOWS_PER_DAY * BYTES_PER_WINDOW


async def load(
    url: str, days: int, cameras: int, alerts: int, began: Callable[[str], None], done: Callable[[], None]
) -> None:
    """Fill a migrated database with the days before today; days that are there already are left.

    Args:
        url: of the database.
        days: how many.
        cameras: how many.
        alerts: spread evenly over the days.
        began: told what begins.
        done: told whenever a day is finished.
    """
    until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = until - timedelta(days=days)
    connection = await asyncpg.connect(url)
    await connection.execute(_CAMERAS, cameras, until)
    begun = asyncio.Semaphore(AT_ONCE)

    async def load_day(day: datetime) -> None:
        async with begun:
            began(f"{day:%Y-%m-%d}")
            await _load_day(url, day)
            done()

    await asyncio.gather(*(load_day(since + timedelta(days=n)) for n in range(days)))
    began("alerts")
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM alerts)"):
        async with connection.transaction():
            await connection.execute("ALTER TABLE alerts DISABLE TRIGGER USER")
            await connection.execute(_ALERTS, cameras, since, until, alerts, timeout=600)
            await connection.execute("ALTER TABLE alerts ENABLE TRIGGER USER")
            await connection.execute(_ALERTS_CHANGED)
    began("vacuum and statistics")
    await connection.execute("VACUUM ANALYZE", timeout=3600)
    await connection.execute("CHECKPOINT", timeout=600)
    await connection.close()


async def _load_day(url: str, day: datetime) -> None:
    partition = metrics_partition(day)
    connection = await asyncpg.connect(url, server_settings={"timezone": "UTC", "jit": "off"})
    try:
        if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", partition.name):
            return
        async with connection.transaction():
            # filled before it has its index and is attached: a table of this transaction's own needs no log
            await connection.execute(
                f"CREATE TABLE {partition.name} (LIKE traffic_metrics INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
            )
            await connection.execute(_WINDOWS.format(table=partition.name), day, timeout=3600)
            bounds = (f"'{partition.lower:%Y-%m-%d}Z'", f"'{partition.upper:%Y-%m-%d}Z'")
            await connection.execute(
                f"ALTER TABLE {partition.name} ADD UNIQUE NULLS NOT DISTINCT (camera_id, window_start, lane_id)",
                timeout=3600,
            )
            await connection.execute(
                f"ALTER TABLE {partition.name} ADD CHECK (window_start >= {bounds[0]} AND window_start < {bounds[1]})"
            )
            await connection.execute(
                f"ALTER TABLE traffic_metrics ATTACH PARTITION {partition.name}"
                f" FOR VALUES FROM ({bounds[0]}) TO ({bounds[1]})"
            )
        await ensure_partitions(connection, window_partitions(day))
        await connection.execute("SELECT recompute_rollups($1, $2)", day, day + timedelta(days=1), timeout=3600)
    finally:
        await connection.close()
