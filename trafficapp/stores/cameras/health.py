"""Which cameras and roads are not to be believed, by the rules of `trafficapp.quality`.

Now: by what was told of them last, in Redis. And at some time: by the alerts that are kept in Postgres, for sums of
windows to leave theirs out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from redis.asyncio import Redis

from trafficapp.analytics.figures import Sums
from trafficapp.analytics.spans import HOUR, MINUTE
from trafficapp.quality.feeds import SOURCES
from trafficapp.stores.cameras.rollups import ADDED, SUMS
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.documents import readable

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Pool

_KEYS_AT_ONCE = 500
_ROAD = "road:"

_SPANS = """
    SELECT source_id, greatest(from_time, $1) AS from_time, least(to_time, $2) AS to_time FROM unhealthy_spans
    WHERE from_time < $2 AND to_time > $1 AND ($3::text[] IS NULL OR source_id = ANY($3::text[]))
    ORDER BY source_id, from_time
"""
_SLOT = "date_bin(make_interval(mins => $6), {time}, timestamptz '2000-01-01Z') AS slot"
_SUMMED = ", ".join(f"sum({name})::bigint AS {name}" for name in SUMS)
# The two bounds of all let partitions go before the spans are looked at.
_OF_BUCKETS = f"""
    SELECT camera_id, {_SLOT.format(time="bucket_start")}, {_SUMMED}
    FROM {{table}} JOIN unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS left_out (camera_id, since, until)
         USING (camera_id)
    WHERE bucket_start >= since AND bucket_start < until AND bucket_start >= $4 AND bucket_start < $5 GROUP BY 1, 2
"""  # noqa: S608 - put together from constants
_OF_WINDOWS = f"""
    SELECT camera_id, {_SLOT.format(time="window_start")}, {ADDED}
    FROM traffic_metrics
         JOIN unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS left_out (camera_id, since, until)
         USING (camera_id)
    WHERE lane_id IS NULL AND window_start >= since AND window_start < until
          AND window_start >= $4 AND window_start < $5 GROUP BY 1, 2
"""  # noqa: S608 - put together from constants
_QUERIES = (_OF_BUCKETS.format(table="metrics_1h"), _OF_BUCKETS.format(table="metrics_1m"), _OF_WINDOWS)
_GRAINS = (HOUR, MINUTE, timedelta())


class _Health(Struct):
    """What is read of a source."""

    source_id: str
    camera_id: str | None
    state: str


class LeftOut(NamedTuple):
    """The sums of the windows of a camera that lie in a slot, while it was unhealthy."""

    camera_id: str
    slot: datetime
    sums: Sums


_decode = msgspec.json.Decoder(_Health).decode


async def unhealthy_cameras(client: Redis) -> frozenset[str]:
    """Cameras that are unhealthy, or have a lane that is: their means are of all lanes.

    Empty where no rules run: nothing is known against anybody then.

    Raises:
        Exception: one of `trafficapp.stores.redis.connection.UNAVAILABLE`.
    """
    return frozenset(one.camera_id for one in await _unhealthy(client) if one.camera_id is not None)


async def unhealthy_roads(client: Redis) -> frozenset[str]:
    """Roads that are unhealthy; see `unhealthy_cameras`."""
    names = (one.source_id for one in await _unhealthy(client))
    return frozenset(name.removeprefix(_ROAD) for name in names if name.startswith(_ROAD))


async def _unhealthy(client: Redis) -> list[_Health]:
    current = CurrentDocuments(client, SOURCES)
    keys = await current.keys()
    found: list[_Health] = []
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        documents = await current.documents(keys[first : first + _KEYS_AT_ONCE])
        told = readable(documents, _decode, SOURCES.name)
        found += [one for one in told if one.state == "unhealthy"]
    return found


async def unhealthy_sums(
    pool: Pool, start: datetime, end: datetime, slot_minutes: int = 60, cameras: Sequence[str] | None = None
) -> list[LeftOut]:
    """Sums of the windows that begin in ``[start, end)`` while their camera was unhealthy.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        start: aware.
        end: aware.
        slot_minutes: length of the slots, which begin with the hour; 60 at most.
        cameras: only these; None for all.
    """
    pieces: tuple[list[tuple[str, datetime, datetime]], ...] = ([], [], [])
    over: dict[str, datetime] = {}
    for row in await pool.fetch(_SPANS, start, end, cameras):
        camera_id, until = row["source_id"], row["to_time"]
        # what is begun again before it is over is one
        since = max(row["from_time"], over.get(camera_id, row["from_time"]))
        over[camera_id] = max(until, over.get(camera_id, until))
        for place, (first, last) in _cut(since, until, 0 if slot_minutes == 60 else 1):
            pieces[place].append((camera_id, first, last))
    found: list[LeftOut] = []
    for query, part in zip(_QUERIES, pieces, strict=True):
        if part:
            rows = await pool.fetch(query, *map(list, zip(*part, strict=True)), start, end, slot_minutes)
            found += [LeftOut(row["camera_id"], row["slot"], _sums(row)) for row in rows]
    return found


def _cut(since: datetime, until: datetime, grain: int) -> Iterator[tuple[int, tuple[datetime, datetime]]]:
    """A span as whole hours (0), whole minutes around them (1), and what is left (2)."""
    if since >= until:
        return
    if grain == len(_GRAINS) - 1:
        yield grain, (since, until)
        return
    first, last = _ceil(since, _GRAINS[grain]), _floor(until, _GRAINS[grain])
    if first >= last:
        yield from _cut(since, until, grain + 1)
        return
    yield grain, (first, last)
    yield from _cut(since, first, grain + 1)
    yield from _cut(last, until, grain + 1)


def _floor(time: datetime, grain: timedelta) -> datetime:
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (time - midnight) // grain * grain


def _ceil(time: datetime, grain: timedelta) -> datetime:
    floor = _floor(time, grain)
    return floor if floor == time else floor + grain


def _sums(row: asyncpg.Record) -> Sums:
    return np.array([int(row[name]) for name in SUMS], dtype=np.int64)
