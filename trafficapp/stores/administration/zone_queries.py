"""Monitoring zones in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from models.administration.changes import Point, Zone
from trafficapp.administration.zones import LonLat
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

_PAGE = "SELECT * FROM monitoring_zones WHERE id > $1 ORDER BY id LIMIT $2"
_ONE = "SELECT * FROM monitoring_zones WHERE id = $1"
_INSERT = """
    INSERT INTO monitoring_zones (name, description, polygon) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO NOTHING RETURNING *
"""
_UPDATE = """
    UPDATE monitoring_zones SET name = $2, description = $3, polygon = $4, updated_at = now()
    WHERE id = $1 RETURNING *
"""

_decode_ring = msgspec.json.Decoder(list[LonLat]).decode


async def zones_page(pool: Pool, limit: int, after_id: int = 0) -> list[Zone]:
    """Zones in order of their ids, after one of them."""
    return [_zone(row) for row in await pool.fetch(_PAGE, after_id, limit)]


async def zone(source: Pool | Connection, zone_id: int, *, for_update: bool = False) -> Zone | None:
    """A zone, or None when there is none of this id."""
    row = await source.fetchrow(_ONE + (" FOR UPDATE" if for_update else ""), zone_id)
    return None if row is None else _zone(row)


async def insert_zone(
    connection: Connection, name: str, description: str | None, ring: Sequence[LonLat]
) -> Zone | None:
    """Make a zone of a closed ring; None when the name is taken."""
    row = await connection.fetchrow(_INSERT, name, description, _encode(ring))
    return None if row is None else _zone(row)


async def update_zone(
    connection: Connection, zone_id: int, name: str, description: str | None, ring: Sequence[LonLat]
) -> Zone:
    """Change a zone whose row is locked.

    Raises:
        asyncpg.UniqueViolationError: another zone has the name.
    """
    row = await connection.fetchrow(_UPDATE, zone_id, name, description, _encode(ring))
    assert row is not None  # noqa: S101 - the caller holds its lock
    return _zone(row)


async def delete_zone(connection: Connection, zone_id: int) -> Zone | None:
    """Delete a zone; what it was, or None when there was none."""
    row = await connection.fetchrow("DELETE FROM monitoring_zones WHERE id = $1 RETURNING *", zone_id)
    return None if row is None else _zone(row)


def _encode(ring: Sequence[LonLat]) -> str:
    return msgspec.json.encode(ring).decode()


def _zone(row: asyncpg.Record) -> Zone:
    ring = _decode_ring(row["polygon"])
    return shaped(Zone, row, coordinates=[Point(latitude, longitude) for longitude, latitude in ring])
