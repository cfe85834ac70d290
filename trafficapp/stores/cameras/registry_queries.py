"""What every worker keeps in memory of the cameras and zones that administrators registered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from trafficapp.administration.registered import RegisteredCamera, RegisteredZone
from trafficapp.administration.zones import LonLat

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Pool

#: Redis channel on which a worker tells the others that cameras or zones have changed.
REGISTRY_CHANNEL = "registry:changed"

#: A condition on a row of ``cameras``, named ``known``: somebody registered it; else it is there because it reported.
REGISTERED = "num_nonnulls(known.name, known.latitude, known.road_segment) > 0"

_CAMERAS = f"""
    SELECT camera_id, coalesce(name, camera_id), latitude, longitude, road_segment FROM cameras AS known
    WHERE {REGISTERED}
"""  # noqa: S608 - the condition is ours
_ZONES = "SELECT id, name, polygon FROM monitoring_zones"

_decode_ring = msgspec.json.Decoder(list[LonLat]).decode


async def registered(pool: Pool) -> tuple[list[RegisteredCamera], list[RegisteredZone]]:
    """All registered cameras and all zones."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        cameras, zones = await connection.fetch(_CAMERAS), await connection.fetch(_ZONES)
    # a city has many, and others wait for the event loop
    return await asyncio.to_thread(_typed, cameras, zones)


def _typed(
    cameras: list[asyncpg.Record], zones: list[asyncpg.Record]
) -> tuple[list[RegisteredCamera], list[RegisteredZone]]:
    return (
        [RegisteredCamera(*row) for row in cameras],
        [RegisteredZone(row["id"], row["name"], _decode_ring(row["polygon"])) for row in zones],
    )
