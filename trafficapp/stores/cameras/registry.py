"""The camera registry in the database; it shares its table with cameras that only reported."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

from models.administration.changes import Camera, NewCamera, camera_number
from trafficapp.stores.cameras.registry_queries import REGISTERED
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

_PAGE = f"""
    SELECT *, {REGISTERED} AS registered FROM cameras AS known
    WHERE camera_id > $1 AND ({REGISTERED}) = $2 AND ($3::text[] IS NULL OR camera_id = ANY($3))
    ORDER BY camera_id LIMIT $4
"""  # noqa: S608 - the condition is ours
_ONE = f"SELECT *, true AS registered FROM cameras AS known WHERE camera_id = $1 AND {REGISTERED}"  # noqa: S608
# a row whose camera only reported is filled in; one that is registered stays as it is
_REGISTER = f"""
    INSERT INTO cameras AS known (camera_id, name, latitude, longitude, road_segment, description, calibration)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (camera_id) DO UPDATE
    SET name = excluded.name, latitude = excluded.latitude, longitude = excluded.longitude,
        road_segment = excluded.road_segment, description = excluded.description, calibration = excluded.calibration,
        created_at = now(), updated_at = now()
    WHERE NOT ({REGISTERED})
    RETURNING *, true AS registered
"""  # noqa: S608
_UPDATE = """
    UPDATE cameras SET name = $2, latitude = $3, longitude = $4, road_segment = $5, description = $6, calibration = $7,
                       updated_at = now()
    WHERE camera_id = $1 RETURNING *, true AS registered
"""
_FORGET_UNSEEN = "DELETE FROM cameras WHERE camera_id = $1 AND last_seen IS NULL"
_UNREGISTER = """
    UPDATE cameras SET name = NULL, latitude = NULL, longitude = NULL, road_segment = NULL, description = NULL,
                       calibration = NULL
    WHERE camera_id = $1
"""


async def cameras_page(
    pool: Pool, limit: int, after_id: str = "", *, registered: bool = True, among: Collection[str] | None = None
) -> list[Camera]:
    """Cameras in order of their ids, after one of them.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        limit: cameras at most.
        after_id: the page before ended here.
        registered: those that somebody registered, else those that only reported.
        among: only these; None for all.
    """
    chosen = None if among is None else sorted(among)
    return [_camera(row) for row in await pool.fetch(_PAGE, after_id, registered, chosen, limit)]


async def camera(source: Pool | Connection, camera_id: str, *, for_update: bool = False) -> Camera | None:
    """A registered camera, or None."""
    if "\0" in camera_id:
        return None
    row = await source.fetchrow(_ONE + (" FOR UPDATE" if for_update else ""), camera_id)
    return None if row is None else _camera(row)


async def register_camera(connection: Connection, new: Camera) -> Camera | None:
    """Register a camera; None when one of this id is registered."""
    row = await connection.fetchrow(_REGISTER, *registry_values(new))
    return None if row is None else _camera(row)


async def update_camera(connection: Connection, changed: Camera) -> Camera:
    """Change a camera whose row is locked."""
    row = await connection.fetchrow(_UPDATE, *registry_values(changed))
    assert row is not None  # noqa: S101 - the caller holds its lock
    return _camera(row)


async def unregister_camera(connection: Connection, camera_id: str) -> None:
    """Forget what was registered; when it was last seen stays, when it was."""
    await connection.execute(_FORGET_UNSEEN, camera_id)
    await connection.execute(_UNREGISTER, camera_id)


def registry_values(camera: Camera | NewCamera) -> tuple[object, ...]:
    """What the registry keeps of a camera, in the order of its columns."""
    return (
        camera.camera_id,
        camera.name,
        camera.latitude,
        camera.longitude,
        camera.road_segment,
        camera.description,
        None if camera.calibration is None else msgspec.json.encode(camera.calibration).decode(),
    )


def _camera(row: asyncpg.Record) -> Camera:
    calibration = None if row["calibration"] is None else msgspec.json.decode(row["calibration"])
    return shaped(Camera, row, calibration=calibration, id=camera_number(row["camera_id"]))
