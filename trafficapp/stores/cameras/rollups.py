"""Sums of windows by the minute and by the hour, always equal to the windows they are of.

Whoever inserts windows adds those that were really inserted to the sums in the same statement, so no
repeat, crash or second writer makes them differ: an addition waits for the row, and integers add up to
the same in any order. What a window gives is said in `ADDED`; migration 0043 has the same in
``recompute_rollups``.

Sums by camera and lane hold the sketches of the speeds as well (`trafficapp.stores.measures.sketches`). What windows
give to them is put aside here, and `trafficapp.stores.measures.pending_sums` adds it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg

from trafficapp.stores.postgres.patience import fetchval_patiently
from trafficapp.stores.postgres.time_partitions import METRICS_TABLE, ensure_partitions, window_partitions

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

_log = logging.getLogger(__name__)

#: Columns of the sums, in the order of the tables.
SUMS = ("windows", "vehicles", "scored", "score_e4", "speeds", "speed_e4", "severe_us", "high_us", "queued", "queue")

#: Where what windows give to the sums by lane waits until it is added to them.
PENDING_TABLE = "lane_sums_pending"

#: Columns of the sums by lane, in the order of their tables; the sketch comes last.
LANE_SUMS = ("windows", "window_us", "vehicles", "viewed", "in_view_e4")

ATTEMPTS = 100
PAUSE_SECONDS = 0.2

_ORIGIN = "timestamptz '2000-01-01 00:00:00Z'"
_LENGTH_US = "(extract(epoch FROM window_end - window_start) * 1000000)::bigint"
ADDED = f"""
    count(*) AS windows, sum(vehicle_count) AS vehicles,
    count(congestion_score) AS scored, coalesce(sum(round(congestion_score * 10000)::bigint), 0) AS score_e4,
    count(avg_speed_kmh) AS speeds, coalesce(sum(round(avg_speed_kmh * 10000)::bigint), 0) AS speed_e4,
    coalesce(sum({_LENGTH_US}) FILTER (WHERE congestion_level = 'SEVERE'), 0) AS severe_us,
    coalesce(sum({_LENGTH_US}) FILTER (WHERE congestion_level = 'HIGH'), 0) AS high_us,
    count(*) AS queued, sum(queue_length) AS queue
"""
_SUMMED = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
_GROWN = ", ".join(f"{name} = kept.{name} + EXCLUDED.{name}" for name in SUMS)
#: What one window gives to them.
_LANE_GIVEN = f"""
    date_bin('1 minute', window_start, {_ORIGIN}) AS bucket_start, camera_id,
    coalesce(lane_id, -1)::smallint AS lane_id, 1 AS windows,
    {_LENGTH_US} AS window_us, vehicle_count AS vehicles, (pictures > 0)::int AS viewed,
    coalesce(round(detections * 10000.0 / nullif(pictures, 0))::bigint, 0) AS in_view_e4, speed_sketch
"""
_LANE_INTO = f"bucket_start, camera_id, lane_id, {', '.join(LANE_SUMS)}, speed_sketch"


_INTO = f"bucket_start, camera_id, {', '.join(SUMS)}"
_ON_CONFLICT = f"ON CONFLICT (bucket_start, camera_id) DO UPDATE SET {_GROWN}"


def adding(insert: str) -> str:
    """A statement that inserts windows and adds the inserted ones to their sums.

    Args:
        insert: an ``INSERT INTO traffic_metrics`` without ``RETURNING``.

    Returns:
        a statement whose one value is the number of rows inserted.
    """
    return f"""
    WITH inserted AS ({insert} RETURNING *),
    minutes AS (
        SELECT date_bin('1 minute', window_start, {_ORIGIN}) AS bucket_start, camera_id, {ADDED}
        FROM inserted WHERE lane_id IS NULL GROUP BY 1, 2
    ),
    hours AS (
        SELECT date_bin('1 hour', bucket_start, {_ORIGIN}) AS bucket_start, camera_id, {_SUMMED}
        FROM minutes GROUP BY 1, 2
    ),
    into_minutes AS (
        INSERT INTO metrics_1m AS kept ({_INTO}) SELECT * FROM minutes ORDER BY camera_id, bucket_start {_ON_CONFLICT}
    ),
    into_hours AS (
        INSERT INTO metrics_1h AS kept ({_INTO}) SELECT * FROM hours ORDER BY camera_id, bucket_start {_ON_CONFLICT}
    ),
    pending AS (
        INSERT INTO {PENDING_TABLE} ({_LANE_INTO}) SELECT {_LANE_GIVEN} FROM inserted
    ),
    noted AS (
        INSERT INTO metrics_changes AS kept (day, camera_id, change)
        SELECT day, camera_id, next_change()
        FROM (SELECT DISTINCT (bucket_start AT TIME ZONE 'UTC')::date AS day, camera_id FROM hours) AS touched
        ORDER BY camera_id, day
        ON CONFLICT (day, camera_id) DO UPDATE SET change = next_change(kept.change)
    )
    SELECT count(*) FROM inserted
    """  # noqa: S608 - put together from constants


#: Recomputes the hour of a camera in which something was replaced; the time is a text.
RECOMPUTE_HOUR = "SELECT recompute_rollups($2::text::timestamptz, $2::text::timestamptz + interval '1 hour', $1)"
_RECOMPUTE = "SELECT recompute_rollups($1, $2)"
#: Simulated history has windows only for its last hours; before, its sums are all there is.
_ONLY_SUMS = """
    SELECT EXISTS (SELECT FROM simulated_spans WHERE from_time < $2 AND to_time > $1)
           AND EXISTS (SELECT FROM metrics_1h WHERE bucket_start >= $1 AND bucket_start < $2)
           AND NOT EXISTS (SELECT FROM traffic_metrics WHERE window_start >= $1 AND window_start < $2)
"""
_DAYS = """
    SELECT greatest(lower_bound, $1) AS lower, least(upper_bound, $2) AS upper FROM time_partitions
    WHERE parent = $3 AND lower_bound < $2 AND upper_bound > $1 ORDER BY lower_bound
"""


@dataclass(frozen=True, slots=True)
class RebuildStep:
    """How far a rebuild has come.

    Attributes:
        until: everything before is done.
        hours: hours of all cameras made so far.
        left_out: hours of the clock so far that keep their sums, since these were simulated without windows.
        done, total: hours of the clock, for a progress bar.
    """

    until: datetime
    hours: int
    left_out: int
    done: int
    total: int


async def rebuild(
    connection: Connection, from_: datetime, to: datetime, *, force: bool = False
) -> AsyncIterator[RebuildStep]:
    """Make the sums of a span anew from the windows, an hour in a transaction, while others go on writing.

    The span grows to whole hours. Days whose windows were dropped are left as they are: their sums by the
    hour are all that is known of them. So are hours that were simulated without windows, unless forced.

    Raises:
        asyncpg.PostgresError: as the server says; what was told as done is done.
    """
    since, until = _hour(from_), _hour(to + timedelta(hours=1, microseconds=-1))
    spans = [(row["lower"], row["upper"]) for row in await connection.fetch(_DAYS, since, until, METRICS_TABLE)]
    total = sum(round((upper - lower) / timedelta(hours=1)) for lower, upper in spans)
    hours = left_out = done = 0
    for lower, upper in spans:
        while lower < upper:
            if not force and await connection.fetchval(_ONLY_SUMS, lower, lower + timedelta(hours=1)):
                left_out += 1
            else:
                await ensure_partitions(connection, window_partitions(lower)[1:])
                hours += await _recompute(connection, lower)
            lower += timedelta(hours=1)
            done += 1
            yield RebuildStep(lower, hours, left_out, done, total)


async def _recompute(connection: Connection, hour: datetime) -> int:
    try:
        sums = await fetchval_patiently(
            connection, _RECOMPUTE, hour, hour + timedelta(hours=1), attempts=ATTEMPTS, pause_seconds=PAUSE_SECONDS
        )
    except asyncpg.LockNotAvailableError:
        raise asyncpg.LockNotAvailableError(f"the sums of {hour} stay in use") from None
    return int(sums)


def _hour(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
