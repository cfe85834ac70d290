"""What the web asks of the history database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from models.window_rows import WindowRow

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres import Pool

#: Where a row stands in a camera's history: its window_start and lane_id.
Position: TypeAlias = tuple[datetime, int | None]

#: In the order of the fields of `WindowRow`.
_COLUMNS = """
    camera_id, window_start, window_end, lane_id, vehicle_count, counts_by_class, avg_speed_kmh, stopped_ratio,
    queue_length, congestion_level, congestion_score, detections
"""
_HISTORY = f"""
    SELECT {_COLUMNS} FROM traffic_metrics
    WHERE camera_id = $1 AND window_start >= $2 AND window_start < $3
    ORDER BY window_start, lane_id NULLS FIRST
    LIMIT $4
"""  # noqa: S608 - the columns above
_HISTORY_AFTER = f"""
    SELECT {_COLUMNS} FROM traffic_metrics
    WHERE camera_id = $1 AND window_start >= $5 AND window_start < $3 AND window_start >= $2
      AND (window_start, coalesce(lane_id, -1)) > ($5, coalesce($6::int, -1))
    ORDER BY window_start, lane_id NULLS FIRST
    LIMIT $4
"""  # noqa: S608 - the columns above
_CAMERAS = "SELECT camera_id, last_seen FROM cameras ORDER BY camera_id"

_decode_counts = msgspec.json.Decoder(dict[str, int]).decode


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """Some rows of a camera's history, in order of window_start; the camera-wide row before its lanes.

    Attributes:
        next_position: pass it as `cursor_position` for the next page; None when this is the last.
    """

    rows: list[WindowRow]
    next_position: Position | None


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
) -> MetricsPage:
    """Final windows of a camera that begin in ``[from_, to)``.

    Args:
        pool: of `trafficapp.stores.postgres.create_pool`.
        camera_id: which camera; an unknown one has no rows.
        from_: aware.
        to: aware.
        limit: rows at most, at least 1.
        cursor_position: the page before ended here.
    """
    if "\0" in camera_id:
        return MetricsPage([], None)
    arguments = (camera_id, from_, to, limit + 1)
    if cursor_position is None:
        found = await pool.fetch(_HISTORY, *arguments)
    else:
        found = await pool.fetch(_HISTORY_AFTER, *arguments, *cursor_position)
    kept = found[:limit]
    more = len(found) > limit
    return MetricsPage(
        [_window_row(row) for row in kept], (kept[-1]["window_start"], kept[-1]["lane_id"]) if more else None
    )


async def cameras(pool: Pool) -> list[CameraSeen]:
    """All cameras that are known, ordered by camera_id."""
    return [CameraSeen(row["camera_id"], row["last_seen"]) for row in await pool.fetch(_CAMERAS)]


def _window_row(row: asyncpg.Record) -> WindowRow:
    camera_id, start, end, lane_id, vehicles, counts, *others = row
    return WindowRow(camera_id, _text(start), _text(end), lane_id, vehicles, _decode_counts(counts), *others)


def _text(moment: datetime) -> str:
    """RFC 3339 of a time as asyncpg gives it, in UTC; a page has thousands of them."""
    return moment.isoformat().replace("+00:00", "Z")
