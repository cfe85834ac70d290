"""What the web asks of the table of fixes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from models.fleet.fixes import FEEDS
from models.fleet.positions import TrajectoryPoint
from trafficapp.stores.postgres.reading import Page

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

#: $1 vehicle, [$2, $3) span, $4 rows, $5 feeds by precedence, $6 a time behind which it goes on.
_POINTS = """
    SELECT DISTINCT ON (observed_at)
        observed_at, latitude, longitude, speed_kmh, direction, computed_speed_kmh, plausible, feed
    FROM vehicle_positions
    WHERE vehicle_id = $1 AND observed_at >= $2 AND observed_at < $3 AND ($6::timestamptz IS NULL OR observed_at > $6)
    ORDER BY observed_at, array_position($5::text[], feed)
    LIMIT $4
"""
_NEWEST = "SELECT max(observed_at) FROM vehicle_positions WHERE vehicle_id = $1"

#: Points of a way, the oldest first; a page goes on behind the time of its last one.
TrajectoryPage: TypeAlias = Page[TrajectoryPoint, datetime]


async def trajectory(
    pool: Pool, vehicle_id: str, since: datetime, until: datetime, limit: int, after: datetime | None = None
) -> TrajectoryPage:
    """Where a vehicle was in ``[since, until)``; of a time that two feeds tell the one that counts more.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        vehicle_id: of an unknown one there are no points.
        since: aware.
        until: aware.
        limit: points at most, at least 1.
        after: the page before ended here.
    """
    if "\0" in vehicle_id:
        return Page([], None)
    found = await pool.fetch(_POINTS, vehicle_id, since, until, limit + 1, list(FEEDS), after)
    points = [
        TrajectoryPoint(
            timestamp=row["observed_at"],
            latitude=row["latitude"],
            longitude=row["longitude"],
            speed=row["speed_kmh"],
            direction=row["direction"],
            computed_speed=row["computed_speed_kmh"],
            plausible=row["plausible"],
            feed=row["feed"],
        )
        for row in found[:limit]
    ]
    return Page(points, points[-1].timestamp if len(found) > limit else None)


async def newest_time(pool: Pool, vehicle_id: str) -> datetime | None:
    """When a vehicle was seen last, by its own clock; None of one that is not known."""
    found: datetime | None = None if "\0" in vehicle_id else await pool.fetchval(_NEWEST, vehicle_id)
    return found
