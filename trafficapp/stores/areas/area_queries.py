"""What the web asks of the tables of areas."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from models.areas.readings import Area, AreaReading
from models.timestamps import epoch_us, rfc3339
from trafficapp.settings.areas import AREA_COLUMNS
from trafficapp.stores.postgres.reading import Page, made_of, shaped

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Pool

#: Where a reading stands in the order of all of an area: its read_at and reading_id.
Position: TypeAlias = tuple[datetime, uuid.UUID]

_HISTORY = """
    SELECT * FROM area_readings
    WHERE stream_id = $1 AND read_at >= greatest($2, coalesce($4::timestamptz, '-infinity')) AND read_at < $3
      AND ($4::timestamptz IS NULL OR read_at > $4 OR reading_id > $5::uuid)
    ORDER BY read_at, reading_id LIMIT $6
"""
_AREAS = (
    'SELECT *, to_jsonb(traffic_data) AS whole FROM traffic_data WHERE stream_id = $1 ORDER BY "timestamp" DESC LIMIT 1'
)

_NO_FIELDS_OF_A_COUNTER = frozenset({*AREA_COLUMNS, *Area.__struct_fields__})


async def readings(
    pool: Pool, stream_id: uuid.UUID, since: datetime, until: datetime, limit: int, after: Position | None = None
) -> Page[AreaReading, Position]:
    """Readings of an area, oldest first.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        stream_id: of the area.
        since: aware, of read_at.
        until: likewise, exclusive.
        limit: so many at most, at least 1.
        after: the page before ended here.
    """
    place = (None, None) if after is None else after
    found = await pool.fetch(_HISTORY, stream_id, since, until, *place, limit + 1)
    kept = found[:limit]
    last = (kept[-1]["read_at"], kept[-1]["reading_id"]) if len(found) > limit else None
    return Page(await made_of(kept, _reading), last)


def _reading(row: asyncpg.Record) -> AreaReading:
    more: dict[str, Any] = msgspec.json.decode(row["more"])
    return shaped(AreaReading, row, timestamp=rfc3339(epoch_us(row["read_at"])), more=more)


async def area(pool: Pool, stream_id: uuid.UUID) -> Area | None:
    """An area as of its newest reading, with its address; None when no reading of it is known."""
    row = await pool.fetchrow(_AREAS, stream_id)
    if row is None:
        return None
    whole: dict[str, Any] = msgspec.json.decode(row["whole"])
    more = {name: value for name, value in whole.items() if name not in _NO_FIELDS_OF_A_COUNTER}
    return shaped(Area, row, more=more)
