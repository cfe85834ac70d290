"""Sums of windows by camera and lane over any range: hours and minutes as they are kept, windows at its ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trafficapp.analytics.spans import HOUR, MINUTE
from trafficapp.measures.lanes import LaneSums
from trafficapp.stores.cameras.rollups import LANE_SUMS, PENDING_TABLE
from trafficapp.stores.measures.sketches import counts_of

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

#: Sketches one behind another are their sum.
_KEPT = f"""
    SELECT camera_id, lane_id, {", ".join(f"sum({name})::bigint AS {name}" for name in LANE_SUMS)},
           string_agg(speed_sketch, ''::bytea) AS sketches
    FROM {{table}} WHERE {{within}} GROUP BY 1, 2
"""  # noqa: S608 - put together from constants
_WITHIN = """
    bucket_start >= $1 AND bucket_start < $2 AND ($3::text[] IS NULL OR camera_id = ANY($3::text[]))
    AND ($4 OR lane_id = -1)
"""
#: Windows as if they were sums of themselves.
_WINDOWS = """(
    SELECT window_start AS bucket_start, camera_id, coalesce(lane_id, -1) AS lane_id, 1 AS windows,
           (extract(epoch FROM window_end - window_start) * 1000000)::bigint AS window_us, vehicle_count AS vehicles,
           (pictures > 0)::int AS viewed,
           coalesce(round(detections * 10000.0 / nullif(pictures, 0))::bigint, 0) AS in_view_e4,
           coalesce(speed_sketch, packed_sketch(speed_buckets, speed_counts)) AS speed_sketch
    FROM traffic_metrics WHERE window_start >= $1 AND window_start < $2
) AS windows"""


async def lane_sums(
    pool: Pool, since: datetime, until: datetime, cameras: Sequence[str] | None = None, *, lanes: bool = True
) -> list[LaneSums]:
    """Sum up the windows that begin in ``[since, until)``; of one moment.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        since: aware.
        until: aware, after `since`.
        cameras: only these; None for all.
        lanes: those of lanes, too.

    Returns:
        by camera and lane, the whole camera before its lanes.
    """
    chosen = None if cameras is None else [name for name in cameras if "\0" not in name]
    found: dict[tuple[str, int], LaneSums] = {}
    sketches: defaultdict[tuple[str, int], list[bytes]] = defaultdict(list)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        for table, begin, end in _parts(since, until):
            arguments = (begin, end, chosen, lanes)
            for row in await connection.fetch(_KEPT.format(table=table, within=_WITHIN), *arguments):
                sums = _of(found, row["camera_id"], row["lane_id"])
                for name in LANE_SUMS:
                    setattr(sums, name, getattr(sums, name) + row[name])
                if row["sketches"]:
                    sketches[row["camera_id"], row["lane_id"]].append(row["sketches"])
    for key, some in sketches.items():
        found[key].speed_counts = counts_of(b"".join(some))
    return [found[key] for key in sorted(found)]


def _of(found: dict[tuple[str, int], LaneSums], camera_id: str, lane_id: int) -> LaneSums:
    key = camera_id, lane_id
    if key not in found:
        found[key] = LaneSums(camera_id, None if lane_id == -1 else lane_id)
    return found[key]


def _parts(since: datetime, until: datetime) -> list[tuple[str, datetime, datetime]]:
    """Tables with the part of a range that each is asked for; whole hours, the whole minutes beside them, the rest.

    What waits to be added to the sums of minutes and hours is one of the tables.
    """
    minutes = _ceil(since, MINUTE), _floor(until, MINUTE)
    if minutes[0] >= minutes[1]:
        return [(_WINDOWS, since, until)]
    parts = [(_WINDOWS, since, minutes[0]), (_WINDOWS, minutes[1], until), (PENDING_TABLE, *minutes)]
    hours = _ceil(minutes[0], HOUR), _floor(minutes[1], HOUR)
    if hours[0] >= hours[1]:
        parts.append(("lane_sums_1m", *minutes))
    else:
        parts += [("lane_sums_1m", minutes[0], hours[0]), ("lane_sums_1h", *hours)]
        parts.append(("lane_sums_1m", hours[1], minutes[1]))
    return [part for part in parts if part[1] < part[2]]


def _floor(time: datetime, length: timedelta) -> datetime:
    return time - (time - datetime(2000, 1, 1, tzinfo=time.tzinfo)) % length


def _ceil(time: datetime, length: timedelta) -> datetime:
    return time + (datetime(2000, 1, 1, tzinfo=time.tzinfo) - time) % length
