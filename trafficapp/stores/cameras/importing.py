"""Cameras of a file into the registry, all or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.administration.changes import NewCamera
from trafficapp.stores.administration.audit_queries import Actor, record_audit
from trafficapp.stores.cameras.registry import registry_values
from trafficapp.stores.cameras.registry_queries import REGISTERED

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

_KNOWN = f"SELECT camera_id FROM cameras AS known WHERE camera_id = ANY($1) AND {REGISTERED}"  # noqa: S608

# what a file does not say stays as it is
_UPSERT = """
    INSERT INTO cameras AS known (camera_id, name, latitude, longitude, road_segment, description, calibration)
    VALUES ($1, coalesce($2, $1), $3, $4, $5, $6, $7)
    ON CONFLICT (camera_id) DO UPDATE
    SET name = coalesce($2, known.name, $1), latitude = $3, longitude = $4,
        road_segment = coalesce($5, known.road_segment), description = coalesce($6, known.description),
        calibration = coalesce($7, known.calibration), updated_at = now()
"""

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: cameras registered anew, changed, and left as they were."""

    registered: int
    changed: int
    left: int


async def import_cameras(
    pool: Pool,
    cameras: Sequence[NewCamera],
    actor: Actor,
    file_name: str,
    *,
    only_new: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Imported:
    """Register the cameras of a file in one transaction, with a row in the audit log.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        cameras: with a position each, no two with the same id.
        actor: who imports.
        file_name: for the audit log.
        only_new: leave those alone that are registered.
        progress: called with the number of rows just written.
    """
    async with pool.acquire() as connection, connection.transaction():
        found = await connection.fetch(_KNOWN, [camera.camera_id for camera in cameras])
        known = {row["camera_id"] for row in found}
        wanted = [camera for camera in cameras if not (only_new and camera.camera_id in known)]
        for first in range(0, len(wanted), _ROWS_AT_ONCE):
            rows = wanted[first : first + _ROWS_AT_ONCE]
            await connection.executemany(_UPSERT, [registry_values(camera) for camera in rows])
            progress(len(rows))
        new = sum(camera.camera_id not in known for camera in wanted)
        imported = Imported(new, len(wanted) - new, len(cameras) - len(wanted))
        if wanted:
            await record_audit(connection, actor, "cameras.import", f"file {file_name}", after=imported)
    return imported
