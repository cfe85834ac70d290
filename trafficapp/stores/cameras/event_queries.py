"""The newest detections of the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.cameras.dashboard import RecentDetection
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.postgres.reading import shaped
from trafficapp.stores.postgres.time_partitions import EVENTS_TABLE

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Pool

#: The sink only adds rows, so the end of the newest partition holds what was stored last. No index has that order,
#: and a B-tree would double the cost of storing; reading the last 2 MiB costs the same however large the table is.
_TAIL_BLOCKS = 256

_NEWEST_PARTITIONS = """
    SELECT partition_name, pg_relation_size(to_regclass(quote_ident(partition_name)))
           / current_setting('block_size')::bigint AS blocks
    FROM time_partitions
    WHERE parent = $1 AND pg_relation_size(to_regclass(quote_ident(partition_name))) > 0
    ORDER BY lower_bound DESC LIMIT 2
"""


async def recent_detections(pool: Pool, limit: int) -> list[RecentDetection]:
    """The detections with the newest times among those stored last, newest first."""
    found: list[asyncpg.Record] = []
    for partition in await pool.fetch(_NEWEST_PARTITIONS, EVENTS_TABLE):
        found += await _tail(pool, partition["partition_name"], partition["blocks"], limit)
        if len(found) >= limit:
            break
    found.sort(key=lambda row: row["ts"], reverse=True)
    return [
        shaped(
            RecentDetection,
            row,
            timestamp=rfc3339(epoch_us(row["ts"])),
            vehicle_class=row["class"],
            class_=row["class"],
        )
        for row in found[:limit]
    ]


async def _tail(pool: Pool, partition: str, blocks: int, limit: int) -> list[asyncpg.Record]:
    """The newest of the last rows of a partition; further back only when there are too few."""
    tail = _TAIL_BLOCKS
    while True:
        first = max(0, blocks - tail)
        rows = await pool.fetch(
            f"SELECT camera_id, ts, vehicle_id, class, lane_id, speed_kmh, confidence FROM {partition} "  # noqa: S608 - the name is ours
            "WHERE ctid >= $1::text::tid ORDER BY ts DESC LIMIT $2",
            f"({first},0)",
            limit,
        )
        if len(rows) >= limit or first == 0:
            return rows
        tail *= 8
