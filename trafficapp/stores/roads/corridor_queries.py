"""Corridors in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.roads.measures import Corridor
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection, Pool

_PAGE = "SELECT * FROM corridors WHERE id > $1 ORDER BY id LIMIT $2"
_ONE = "SELECT * FROM corridors WHERE id = $1"
_INSERT = """
    INSERT INTO corridors (name, description, road_ids) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO NOTHING RETURNING *
"""
_DELETE = "DELETE FROM corridors WHERE id = $1 RETURNING *"


async def corridors_page(pool: Pool, limit: int, after_id: int = 0) -> list[Corridor]:
    """Corridors in order of their ids, after one of them."""
    return [shaped(Corridor, row) for row in await pool.fetch(_PAGE, after_id, limit)]


async def corridor(source: Pool | Connection, corridor_id: int) -> Corridor | None:
    """A corridor, or None when there is none of this id."""
    row = await source.fetchrow(_ONE, corridor_id)
    return None if row is None else shaped(Corridor, row)


async def insert_corridor(
    connection: Connection, name: str, description: str | None, road_ids: Sequence[str]
) -> Corridor | None:
    """Make a corridor; None when the name is taken."""
    row = await connection.fetchrow(_INSERT, name, description, list(road_ids))
    return None if row is None else shaped(Corridor, row)


async def delete_corridor(connection: Connection, corridor_id: int) -> Corridor | None:
    """Delete a corridor; what it was, or None when there was none."""
    row = await connection.fetchrow(_DELETE, corridor_id)
    return None if row is None else shaped(Corridor, row)
