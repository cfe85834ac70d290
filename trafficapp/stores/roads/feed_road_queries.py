"""What the web asks of the table of roads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from models.roads.feed_roads import FeedRoad
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

_SELECT = """
    SELECT road_id, road_name, free_flow_speed, edges, last_seen FROM roads
    WHERE $1::text IS NULL OR road_id COLLATE "C" > $1 COLLATE "C"
    ORDER BY road_id COLLATE "C" LIMIT $2
"""

_decode_edges = msgspec.json.Decoder(list[tuple[str, float]]).decode


async def feed_roads(pool: Pool, after: str | None, limit: int) -> list[FeedRoad]:
    """Every road that the feed ever told of, in order of the ids behind `after`."""
    return [shaped(FeedRoad, row, edges=_decode_edges(row["edges"])) for row in await pool.fetch(_SELECT, after, limit)]
