"""How many vehicles drive roads, by the cameras that are registered on them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from trafficapp.measures.lanes import vehicles_per_hour
from trafficapp.stores.measures.lane_queries import lane_sums

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool


async def road_volumes(pool: Pool, segments: Mapping[str, str], since: datetime, until: datetime) -> dict[str, float]:
    """Vehicles per hour by the names that cameras have as their road segment: the mean of a segment's cameras.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        segments: of cameras.
        since: aware.
        until: aware.
    """
    if not segments:
        return {}
    flows: dict[str, list[float]] = {}
    for sums in await lane_sums(pool, since, until, list(segments), lanes=False):
        flow = vehicles_per_hour(sums)
        if flow is not None:
            flows.setdefault(segments[sums.camera_id], []).append(flow)
    return {segment: sum(found) / len(found) for segment, found in flows.items()}
