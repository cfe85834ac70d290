"""Regional outages in Postgres: what follows from the open alerts of silent cameras is written down and told.

One worker of several looks at a time. What it found, the cameras of each outage and what is to be told of it are one
transaction; the telling is that of all writes (`trafficapp.stores.postgres.publications`). So each step is told once by
its id and revision, whoever died in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from models.quality.outages import Outage
from models.timestamps import epoch_us, from_epoch_us, rfc3339
from trafficapp.movement.plausibility import QUALITY_ALERTS
from trafficapp.quality.outages import Followed, RegionalOutage, SilentCamera, follow
from trafficapp.settings.quality import QualitySettings
from trafficapp.stores.postgres.publications import KafkaPublication, record

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

#: Any number that nobody else uses.
_LOCK_KEY = 0x6F757461676573

_SILENT = """
    SELECT c.camera_id, a.id::text, c.latitude, c.longitude, a.triggered_at
    FROM alerts a JOIN cameras c USING (camera_id)
    WHERE a.alert_type = 'camera_silent' AND a.resolved_at IS NULL
      AND c.latitude IS NOT NULL AND c.longitude IS NOT NULL
"""
_STANDING = """
    SELECT o.outage_id::text, o.first_camera, o.opened_at, o.since, o.revision, o.told_cameras, o.latitude, o.longitude,
           array_agg(m.alert_id::text) AS members, max(a.resolved_at) AS back_at
    FROM regional_outages o JOIN regional_outage_cameras m USING (outage_id) LEFT JOIN alerts a ON a.id = m.alert_id
    WHERE o.ended_at IS NULL GROUP BY o.outage_id
"""
_PUT = """
    INSERT INTO regional_outages (outage_id, first_camera, opened_at, since, revision, told_cameras, latitude,
                                  longitude, ended_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (outage_id) DO UPDATE
    SET revision = EXCLUDED.revision, told_cameras = EXCLUDED.told_cameras, ended_at = EXCLUDED.ended_at
"""
_ADD_CAMERAS = """
    INSERT INTO regional_outage_cameras (outage_id, alert_id, camera_id, since)
    SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::timestamptz[]) ON CONFLICT DO NOTHING
"""
_OPEN = """
    SELECT o.outage_id::text, o.since, o.latitude, o.longitude,
           array_agg(m.camera_id ORDER BY m.camera_id) AS cameras,
           array_agg(m.alert_id::text ORDER BY m.alert_id::text) AS alerts
    FROM regional_outages o JOIN regional_outage_cameras m USING (outage_id) JOIN alerts a ON a.id = m.alert_id
    WHERE o.ended_at IS NULL AND a.resolved_at IS NULL
    GROUP BY o.outage_id ORDER BY count(*) DESC, o.outage_id
"""

_encode = msgspec.json.Encoder().encode


class RegionalOutages:
    """Looks for what became of regional outages.

    Args:
        settings: the rules in numbers.
    """

    def __init__(self, settings: QualitySettings) -> None:
        self._settings = settings
        #: What was there when nothing followed from it.
        self._settled: Any = None

    async def look(self, pool: Pool) -> int:
        """Write down and tell what changed; how many steps are told.

        Args:
            pool: of `trafficapp.stores.postgres.connection.create_pool`.
        """
        async with pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK_KEY):
                return 0
            silent = [_silent(row) for row in await connection.fetch(_SILENT)]
            standing = [_outage(row) for row in await connection.fetch(_STANDING)]
            there = (frozenset(silent), frozenset(standing))
            if there == self._settled:
                return 0
            found = await asyncio.to_thread(follow, standing, silent, self._settings)
            for one in found:
                await _write(connection, one, standing)
            steps = [one.told for one in found if one.told is not None]
            await record(
                connection,
                [KafkaPublication(topic=QUALITY_ALERTS, key=one.subject, value=_encode(one).decode()) for one in steps],
            )
        # what was written is there next time
        self._settled = there if not steps and not any(one.joined for one in found) else None
        return len(steps)


async def regional_outages(source: Pool | Connection) -> list[Outage]:
    """Outages that go on, those with the most silent cameras first."""
    return [_told(row) for row in await source.fetch(_OPEN)]


async def _write(connection: Connection, one: Followed, standing: Collection[RegionalOutage]) -> None:
    outage = one.outage
    if one.told is not None or outage not in standing:
        ended_at = from_epoch_us(epoch_us(one.told.timestamp)) if one.is_over and one.told is not None else None
        await connection.execute(
            _PUT,
            UUID(outage.outage_id),
            outage.first_camera,
            from_epoch_us(outage.opened_us),
            from_epoch_us(outage.since_us),
            outage.revision,
            outage.told_cameras,
            outage.latitude,
            outage.longitude,
            ended_at,
        )
    if one.joined:
        await connection.execute(
            _ADD_CAMERAS,
            UUID(outage.outage_id),
            [UUID(camera.alert_id) for camera in one.joined],
            [camera.camera_id for camera in one.joined],
            [from_epoch_us(camera.since_us) for camera in one.joined],
        )


def _silent(row: asyncpg.Record) -> SilentCamera:
    return SilentCamera(row[0], row[1], row[2], row[3], epoch_us(row[4]))


def _outage(row: asyncpg.Record) -> RegionalOutage:
    told = tuple(row)
    back_us = 0 if told[9] is None else epoch_us(told[9])
    return RegionalOutage._make(
        (*told[:2], epoch_us(told[2]), epoch_us(told[3]), *told[4:8], frozenset(told[8]), back_us)
    )


def _told(row: asyncpg.Record) -> Outage:
    cameras = list(row["cameras"])
    return Outage(
        outage_id=row["outage_id"],
        since=rfc3339(epoch_us(row["since"])),
        latitude=row["latitude"],
        longitude=row["longitude"],
        cameras=cameras,
        alerts=list(row["alerts"]),
        message=f"{len(cameras)} cameras of one area are silent: a regional outage",
    )
