"""What the dashboard and the map ask of the tables of windows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from models.cameras import CameraCongestion
from models.timestamps import epoch_us, rfc3339
from trafficapp.heatmap import CameraHeat

if TYPE_CHECKING:
    from trafficapp.stores.postgres import Pool

_HEAT = """
    SELECT camera_id, sum(windows)::bigint AS windows, sum(vehicles)::bigint AS vehicles,
           sum(scored)::bigint AS scored, sum(score_e4)::bigint AS score_e4
    FROM metrics_1m WHERE bucket_start >= $1 AND bucket_start < $2
    GROUP BY camera_id
"""

# The bounds on window_start let all partitions but one or two go; no window is longer than an hour.
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
    """Sums of each camera's windows that begin in ``[since, until)``, both whole minutes."""
    return [CameraHeat(*row) for row in await pool.fetch(_HEAT, since, until)]


async def newest_windows(pool: Pool, within: timedelta) -> list[CameraCongestion]:
    """The newest camera-wide window of each camera that is not further behind the newest of all than ``within``."""
    return [
        CameraCongestion(
            camera_id=row["camera_id"],
            congestion_level=row["congestion_level"],
            congestion_score=row["congestion_score"],
            vehicle_count=row["vehicle_count"],
            avg_speed_kmh=row["avg_speed_kmh"],
            window_end=rfc3339(epoch_us(row["window_end"])),
        )
        for row in await pool.fetch(_NEWEST, within)
    ]
