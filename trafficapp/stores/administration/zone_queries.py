"""Monitoring zones in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from models.administration.changes import Point, Zone
from models.fleet.fences import FenceChange
from trafficapp.administration.zones import LonLat
from trafficapp.fleet.feeds import FLEET
from trafficapp.settings import Settings
from trafficapp.stores.postgres.publications import KafkaPublication, record
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

# The clock and not the row: whoever holds the lock of a zone gives a later version than whoever held it before.
_VERSION = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_ALL = "SELECT * FROM monitoring_zones ORDER BY id"

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


async def fence_record(
    connection: Connection, zone: Zone, settings: Settings, *, is_deleted: bool = False
) -> KafkaPublication:
    """What tells the rules of vehicles of a zone; one copy to every partition.

    Args:
        connection: in a transaction that holds the lock of the zone.
        zone: as it is now, or as it was.
        settings: name the topic.
        is_deleted: whether it is no more.
    """
    version = await connection.fetchval(_VERSION)
    ring = None if is_deleted else [(point.lon, point.lat) for point in zone.coordinates]
    value = msgspec.json.encode(FenceChange(zone.id, version, zone.name, ring)).decode()
    return KafkaPublication(topic=FLEET.topic_in(settings), key=None, value=value, partitions="all")


async def retell_fences(pool: Pool, settings: Settings) -> None:
    """Have all zones told to all partitions again: those that were added since do not know them."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE monitoring_zones IN SHARE MODE")
        zones = [_zone(row) for row in await connection.fetch(_ALL)]
        await record(connection, [await fence_record(connection, zone, settings) for zone in zones])


def _encode(ring: Sequence[LonLat]) -> str:
    return msgspec.json.encode(ring).decode()


def _zone(row: asyncpg.Record) -> Zone:
    ring = _decode_ring(row["polygon"])
    return shaped(Zone, row, coordinates=[Point(latitude, longitude) for longitude, latitude in ring])
