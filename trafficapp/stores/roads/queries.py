"""What the web asks of the history of roads."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from models.roads.current import RoadNow, speed_from
from models.timestamps import epoch_us, rfc3339
from trafficapp.roads.feeds import CURRENT_SECONDS
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

# The bound on observed_at lets all partitions but one or two go.
_CURRENT = """
    SELECT o.road_id, r.road_name, o.current_speed, o.jam_factor, o.congestion_level, o.observed_at,
           o.closed, o.confidence, o.vehicles, o.credibility
    FROM roads r JOIN road_observations o ON o.road_id = r.road_id AND o.observed_at = r.last_seen
    WHERE r.last_seen >= now() - $1::interval AND o.observed_at >= now() - $1::interval
      AND ($2::text IS NULL OR r.road_id COLLATE "C" > $2 COLLATE "C")
    ORDER BY r.road_id COLLATE "C" LIMIT $3
"""


async def stored_roads(pool: Pool, after: str | None, limit: int) -> list[RoadNow]:
    """Roads as they were last observed, of those that were within ten minutes, in order of the ids behind `after`."""
    rows = await pool.fetch(_CURRENT, timedelta(seconds=CURRENT_SECONDS), after, limit)
    return [
        shaped(
            RoadNow,
            row,
            last_updated=rfc3339(epoch_us(row["observed_at"])),
            speed_from=None if row["closed"] else speed_from(row["confidence"]),
        )
        for row in rows
    ]
