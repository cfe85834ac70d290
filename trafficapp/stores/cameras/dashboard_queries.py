"""What the dashboard and the map ask of the tables of windows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from models.cameras.registry import CameraCongestion
from models.cameras.window_rows import WindowRow
from models.timestamps import epoch_us, rfc3339
from trafficapp.analytics.heatmap import CameraHeat
from trafficapp.stores.cameras.history_queries import COLUMNS, window_row
from trafficapp.stores.cameras.rollups import ADDED, SUMS
from trafficapp.stores.postgres.reading import shaped
from trafficapp.windows.congestion import SCORE_DECIMALS

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

_MINUTE = timedelta(minutes=1)
_MIDNIGHT = datetime(2000, 1, 1, tzinfo=UTC)

# Whole minutes from their sums, the parts of a minute at both ends from the windows.
_OF_SPAN = f"""
        SELECT camera_id, {", ".join(SUMS)} FROM metrics_1m WHERE bucket_start >= $2 AND bucket_start < $3
        UNION ALL
        SELECT camera_id, {ADDED} FROM traffic_metrics
        WHERE lane_id IS NULL
          AND (window_start >= $1 AND window_start < $2 OR window_start >= $3 AND window_start < $4)
        GROUP BY camera_id
"""  # noqa: S608 - put together from constants
_HEAT = f"""
    SELECT camera_id, sum(windows)::bigint AS windows, sum(vehicles)::bigint AS vehicles,
           sum(scored)::bigint AS scored, sum(score_e4)::bigint AS score_e4, max(last_seen) AS last_seen
    FROM ({_OF_SPAN}) AS sums LEFT JOIN cameras USING (camera_id)
    GROUP BY camera_id
"""  # noqa: S608 - put together from constants
_MEANS = f"""
    SELECT sum(speed_e4)::float8 / nullif(sum(speeds), 0)::float8 / 10000 AS speed_kmh,
           sum(score_e4)::float8 / nullif(sum(scored), 0)::float8 / 10000 AS score
    FROM ({_OF_SPAN}) AS sums
    WHERE camera_id <> ALL (ARRAY(SELECT source_id FROM unhealthy_spans WHERE from_time < $4 AND to_time > $1))
"""  # noqa: S608 - put together from constants

# The bounds on window_start let all partitions but one or two go; no window is longer than an hour.
_NEWEST_OF = f"""
    SELECT m.* FROM cameras c CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM traffic_metrics
        WHERE camera_id = c.camera_id AND lane_id IS NULL
          AND window_start < c.last_seen AND window_start >= c.last_seen - interval '1 hour'
        ORDER BY window_start DESC LIMIT 1
    ) m
    WHERE c.camera_id = ANY($1::text[])
"""  # noqa: S608 - the columns are ours
_NEWEST = """
    SELECT m.camera_id, m.congestion_level, m.congestion_score, m.vehicle_count, m.avg_speed_kmh, m.window_end
    FROM cameras c CROSS JOIN LATERAL (
        SELECT * FROM traffic_metrics
        WHERE camera_id = c.camera_id AND lane_id IS NULL
          AND window_start < c.last_seen AND window_start >= c.last_seen - interval '1 hour'
        ORDER BY window_start DESC LIMIT 1
    ) m
    WHERE c.last_seen >= (SELECT max(last_seen) FROM cameras) - $1::interval
"""


async def camera_heat(pool: Pool, since: datetime, until: datetime) -> list[CameraHeat]:
    """Sums of each camera's windows that begin in ``[since, until)``.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        since: aware.
        until: aware, a minute or more after `since`.
    """
    return [
        CameraHeat(
            camera_id=row["camera_id"],
            windows=row["windows"],
            vehicles=row["vehicles"],
            scored=row["scored"],
            score_e4=row["score_e4"],
            last_window=None if row["last_seen"] is None else rfc3339(epoch_us(row["last_seen"])),
        )
        for row in await pool.fetch(_HEAT, *_bounds(since, until))
    ]


async def city_means(pool: Pool, since: datetime, until: datetime) -> tuple[float | None, float | None]:
    """Mean speed in km/h and mean score of all camera-wide windows that begin in a span, each weighing the same.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        since: aware.
        until: aware, a minute or more after `since`.
    """
    row = await pool.fetchrow(_MEANS, *_bounds(since, until))
    assert row is not None  # noqa: S101 - a sum always has a row
    speed_kmh, score = row
    return None if speed_kmh is None else round(speed_kmh, 2), None if score is None else round(score, SCORE_DECIMALS)


def _bounds(since: datetime, until: datetime) -> tuple[datetime, datetime, datetime, datetime]:
    """A span with the whole minutes in it."""
    first, last = -(-(since - _MIDNIGHT) // _MINUTE), (until - _MIDNIGHT) // _MINUTE
    return since, _MIDNIGHT + first * _MINUTE, _MIDNIGHT + last * _MINUTE, until


async def newest_rows(pool: Pool, camera_ids: Collection[str]) -> list[WindowRow]:
    """The newest camera-wide window of each of some cameras, of those that have any."""
    return [window_row(row) for row in await pool.fetch(_NEWEST_OF, [*camera_ids])]


async def newest_windows(pool: Pool, within: timedelta) -> list[CameraCongestion]:
    """The newest camera-wide window of each camera that is not further behind the newest of all than ``within``."""
    return [shaped(CameraCongestion, row) for row in await pool.fetch(_NEWEST, within)]
