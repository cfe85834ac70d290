"""What windows give to the sums of lanes, added to them many windows at a time.

Adding a sketch to another one costs the same for one window as for a hundred. So what windows give waits in a table,
where the transaction that writes the windows puts it, and is moved on from there in a transaction of its own: at every
moment the sums and what waits are together what the windows gave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from operator import add
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from models.timestamps import MICROSECONDS_PER_SECOND, from_epoch_us
from trafficapp.stores.cameras.rollups import LANE_SUMS, PENDING_TABLE
from trafficapp.stores.measures.sketches import merged
from trafficapp.stores.postgres.time_partitions import (
    LANE_HOURS_TABLE,
    LANE_MINUTES_TABLE,
    TimePartition,
    window_partitions,
)

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Connection

#: Begin in microseconds since the epoch, camera and lane.
_Key: TypeAlias = tuple[int, str, int]

#: Windows that are added in one transaction.
SETTLED_AT_ONCE = 10_000

_HOUR_US = 3600 * MICROSECONDS_PER_SECOND
_TABLES = LANE_MINUTES_TABLE, LANE_HOURS_TABLE
_DAY_US = 86_400 * MICROSECONDS_PER_SECOND

#: Only one worker at a time moves sums, so that nobody waits for a row.
_MAY_SETTLE = f"SELECT pg_try_advisory_xact_lock(hashtextextended('trafficapp settles {PENDING_TABLE}', 0))"
#: Nobody makes sums anew meanwhile. That locks the same tables in the same order.
_HOLD_SUMS = "LOCK TABLE ONLY lane_sums_1h IN ROW EXCLUSIVE MODE"
_DAYS = f"SELECT DISTINCT floor(extract(epoch FROM bucket_start) / 86400)::bigint FROM {PENDING_TABLE}"  # noqa: S608 - ours
# times as numbers: the connections of sinks and of commands read times in different ways
_TAKE = f"""
    DELETE FROM {PENDING_TABLE} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {PENDING_TABLE} LIMIT $1))
    RETURNING (extract(epoch FROM bucket_start) * 1000000)::bigint, camera_id, lane_id, {", ".join(LANE_SUMS)},
              speed_sketch
"""  # noqa: S608 - put together from constants
_KEYS = "unnest($1::bigint[], $2::text[], $3::smallint[])"
_START = "to_timestamp(start_us / 1000000)"
_KEPT = f"""
    SELECT start_us, camera_id, lane_id, speed_sketch
    FROM {_KEYS} AS asked (start_us, camera_id, lane_id)
    JOIN {{table}} AS kept USING (camera_id, lane_id)
    WHERE kept.bucket_start = {_START} AND kept.bucket_start = ANY ($4::text[]::timestamptz[])
"""  # noqa: S608 - put together from constants
_PUT = f"""
    INSERT INTO {{table}} AS kept (bucket_start, camera_id, lane_id, {", ".join(LANE_SUMS)}, speed_sketch)
    SELECT {_START}, camera_id, lane_id, {", ".join(LANE_SUMS)}, speed_sketch
    FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::bytea[],
                {", ".join(f"${number}::bigint[]" for number in range(5, 5 + len(LANE_SUMS)))})
         AS sums (start_us, camera_id, lane_id, speed_sketch, {", ".join(LANE_SUMS)})
    ON CONFLICT (bucket_start, camera_id, lane_id) DO UPDATE SET speed_sketch = EXCLUDED.speed_sketch,
        {", ".join(f"{name} = kept.{name} + EXCLUDED.{name}" for name in LANE_SUMS)}
"""  # noqa: S608 - put together from constants


class _Given(NamedTuple):
    """What some windows give together to one row of sums.

    Attributes:
        sums: those of `LANE_SUMS`.
        sketches: of which the sum is theirs.
    """

    sums: list[int]
    sketches: list[bytes]


async def settle(connection: Connection, ensure: Callable[[Iterable[TimePartition]], Awaitable[None]]) -> int:
    """Add to the sums of lanes what waits, unless somebody else is at it.

    Args:
        connection: outside of a transaction.
        ensure: makes sure that partitions exist.

    Returns:
        how many windows were added.

    Raises:
        asyncpg.PostgresError: as the server says; what was not added waits on.
    """
    settled = added = 0
    while days := await connection.fetch(_DAYS):
        starts = [from_epoch_us(int(day) * _DAY_US) for (day,) in days]
        await ensure([part for start in starts for part in window_partitions(start) if part.parent in _TABLES])
        async with connection.transaction():
            if not await connection.fetchval(_MAY_SETTLE):
                break
            await connection.execute(_HOLD_SUMS)
            taken = await connection.fetch(_TAKE, SETTLED_AT_ONCE)
            settled += (added := len(taken))
            minutes, hours = await asyncio.to_thread(_given, taken)
            await _add(connection, LANE_MINUTES_TABLE, minutes)
            await _add(connection, LANE_HOURS_TABLE, hours)
        if added < SETTLED_AT_ONCE:
            break
    return settled


def _given(taken: Iterable[asyncpg.Record]) -> tuple[dict[_Key, _Given], dict[_Key, _Given]]:
    """What windows give to sums of minutes and of hours."""
    minutes: dict[_Key, _Given] = {}
    for start_us, camera_id, lane_id, *sums, sketch in taken:
        _collect(minutes, (start_us, camera_id, lane_id), sums, sketch)
    hours: dict[_Key, _Given] = {}
    for (start_us, camera_id, lane_id), (sums, sketches) in minutes.items():
        sketches[:] = [merged(sketches)]
        _collect(hours, (start_us - start_us % _HOUR_US, camera_id, lane_id), list(sums), sketches[0])
    return minutes, hours


def _collect(given: dict[_Key, _Given], key: _Key, sums: list[int], sketch: bytes | None) -> None:
    found = given.get(key)
    if found is None:
        found = given[key] = _Given(sums, [])
    else:
        found.sums[:] = map(add, found.sums, sums)
    if sketch:
        found.sketches.append(sketch)


async def _add(connection: Connection, table: str, given: dict[_Key, _Given]) -> None:
    """Add to rows of sums, and make those that are missing."""
    if not given:
        return
    keys = [list(column) for column in zip(*given, strict=True)]
    times = sorted({start_us for start_us, _, _ in given})
    texts = [from_epoch_us(start_us).isoformat() for start_us in times]
    for start_us, camera_id, lane_id, sketch in await connection.fetch(_KEPT.format(table=table), *keys, texts):
        given[start_us, camera_id, lane_id].sketches.append(sketch)

    def sketches() -> list[bytes]:
        return [merged(one.sketches) for one in given.values()]

    columns = zip(*(one.sums for one in given.values()), strict=True)
    await connection.execute(_PUT.format(table=table), *keys, await asyncio.to_thread(sketches), *map(list, columns))
