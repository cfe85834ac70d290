"""What the web asks of the history database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from models.cameras.window_rows import WindowRow
from trafficapp.stores.measures.sketches import counts_of
from trafficapp.stores.postgres.reading import Page, made_of
from trafficapp.windows.speed_sketch import percentiles

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Pool

#: Where a row stands in a camera's history: its window_start and lane_id.
Position: TypeAlias = tuple[datetime, int | None]

#: In the order of the fields of `WindowRow`, and the sketch that its percentiles are of.
COLUMNS = """
    camera_id, window_start, window_end, lane_id, vehicle_count, counts_by_class, avg_speed_kmh, stopped_ratio,
    queue_length, congestion_level, congestion_score, detections,
    coalesce(speed_sketch, packed_sketch(speed_buckets, speed_counts)) AS speed_sketch
"""
#: $1 camera, [$2, $3) span, $4 whether lanes, too.
_OF_SPAN = "camera_id = $1 AND window_start >= $2 AND window_start < $3 AND ($4 OR lane_id IS NULL)"
_IN_ORDER = "ORDER BY window_start, lane_id NULLS FIRST"
_AFTER = "window_start >= {start} AND (window_start, coalesce(lane_id, -1)) > ({start}, coalesce({lane}::int, -1))"
_HISTORY = f"SELECT {COLUMNS} FROM traffic_metrics WHERE {_OF_SPAN} {_IN_ORDER} LIMIT $5"  # noqa: S608 - our own
_HISTORY_AFTER = f"""
    SELECT {COLUMNS} FROM traffic_metrics
    WHERE {_OF_SPAN} AND {_AFTER.format(start="$6", lane="$7")} {_IN_ORDER} LIMIT $5
"""  # noqa: S608 - our own

_EPOCH = "timestamptz '1970-01-01 00:00:00Z'"
#: The first window of a span, found in the index of a camera's windows.
_FIRST = """
    SELECT window_start FROM traffic_metrics
    WHERE camera_id = $1 AND window_start >= {since} AND window_start < $3 AND lane_id IS NULL
    ORDER BY window_start LIMIT 1
"""
#: Rows of the first window of each step, $6: from each the next one is looked for, so that those between cost nothing.
_THINNED = f"""
    WITH RECURSIVE kept AS (
        ({_FIRST.format(since="{since}")})
        UNION ALL
        SELECT ({_FIRST.format(since=f"date_bin($6, kept.window_start, {_EPOCH}) + $6")})
        FROM kept WHERE kept.window_start IS NOT NULL
    )
    SELECT found.* FROM (SELECT window_start FROM kept LIMIT $5 + 1) AS kept CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM traffic_metrics
        WHERE camera_id = $1 AND window_start = kept.window_start AND ($4 OR lane_id IS NULL) {{after}}
    ) AS found
    {_IN_ORDER} LIMIT $5
"""  # noqa: S608 - our own
_THINNED_FROM = _THINNED.format(since="$2", after="")
_THINNED_AFTER = _THINNED.format(
    since="greatest($2, $7::timestamptz)", after=f"AND {_AFTER.format(start='$7', lane='$8')}"
)
_HAS_MORE = f"SELECT EXISTS (SELECT FROM traffic_metrics WHERE {_OF_SPAN} OFFSET $5)"  # noqa: S608 - our own
_IS_FIRST = f"before IS NULL OR date_bin({{step}}, before, {_EPOCH}) < date_bin({{step}}, window_start, {_EPOCH})"
#: How many rows are left by each step from $5 on.
_LEFT = f"""
    SELECT {{left}} FROM (
        SELECT window_start, count(*) AS rows, lag(window_start) OVER (ORDER BY window_start) AS before
        FROM traffic_metrics WHERE {_OF_SPAN} GROUP BY window_start
    ) AS windows
"""  # noqa: S608 - our own
_CAMERAS = "SELECT camera_id, last_seen FROM cameras ORDER BY camera_id"

_decode_counts = msgspec.json.Decoder(dict[str, int]).decode


#: Some rows of a camera's history, in order of window_start; the camera-wide row before its lanes.
MetricsPage: TypeAlias = Page[WindowRow, Position]


@dataclass(frozen=True, slots=True)
class CameraSeen:
    """A camera and the end of its newest final window; None when it has none yet."""

    camera_id: str
    last_seen: datetime | None


async def metrics_history(
    pool: Pool,
    camera_id: str,
    from_: datetime,
    to: datetime,
    limit: int,
    cursor_position: Position | None = None,
    *,
    lanes: bool = True,
    step: timedelta | None = None,
) -> MetricsPage:
    """Final windows of a camera that begin in ``[from_, to)``.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        camera_id: which camera; an unknown one has no rows.
        from_: aware.
        to: aware.
        limit: rows at most, at least 1.
        cursor_position: the page before ended here.
        lanes: those of lanes, too.
        step: only the first window of each step of this length, counted from 1970; a step that the span begins in has
            its first one in the span.
    """
    if "\0" in camera_id:
        return Page([], None)
    arguments = [camera_id, from_, to, lanes, limit + 1, *([] if step is None else [step]), *(cursor_position or ())]
    if step is None:
        statement = _HISTORY if cursor_position is None else _HISTORY_AFTER
    else:
        statement = _THINNED_FROM if cursor_position is None else _THINNED_AFTER
    found = await pool.fetch(statement, *arguments)
    kept = found[:limit]
    more = len(found) > limit
    rows = await made_of(kept, window_row)
    return Page(rows, (kept[-1]["window_start"], kept[-1]["lane_id"]) if more else None)


async def step_that_fits(
    pool: Pool, camera_id: str, from_: datetime, to: datetime, steps: Sequence[timedelta], most: int, *, lanes: bool
) -> timedelta | None:
    """The finest step that leaves no more rows of a span than so many.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        camera_id: which camera.
        from_: aware.
        to: aware.
        steps: the finest first.
        most: rows.
        lanes: whether those of lanes count.

    Returns:
        None when all rows fit; the coarsest step when none does.
    """
    arguments = (camera_id, from_, to, lanes)
    if "\0" in camera_id or not await pool.fetchval(_HAS_MORE, *arguments, most):
        return None
    firsts = [_IS_FIRST.format(step=f"${number}::interval") for number in range(5, 5 + len(steps))]
    statement = _LEFT.format(left=", ".join(f"coalesce(sum(rows) FILTER (WHERE {one}), 0)" for one in firsts))
    left = await pool.fetchrow(statement, *arguments, *steps)
    assert left is not None  # noqa: S101 - a sum always has a row
    return next((step for step, rows in zip(steps, left, strict=True) if rows <= most), steps[-1])


async def cameras(pool: Pool) -> list[CameraSeen]:
    """All cameras that are known, ordered by camera_id."""
    return [CameraSeen(row["camera_id"], row["last_seen"]) for row in await pool.fetch(_CAMERAS)]


def window_row(row: asyncpg.Record) -> WindowRow:
    """A row of `COLUMNS`."""
    camera_id, start, end, lane_id, vehicles, counts, *others, packed = row
    sketch = counts_of(packed) if packed else {}
    classes = _decode_counts(counts)
    return WindowRow(camera_id, _text(start), _text(end), lane_id, vehicles, classes, *others, *percentiles(sketch))


def _text(moment: datetime) -> str:
    """RFC 3339 of a time as asyncpg gives it, in UTC; a page has thousands of them."""
    return moment.isoformat().replace("+00:00", "Z")
