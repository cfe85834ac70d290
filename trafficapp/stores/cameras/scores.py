"""Congestion scores of cameras and lanes by the minute: what forecasts of cameras are learnt and made from."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from trafficapp.forecast.cameras import EntityScores, entity_of

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection, Pool

# Lists of minutes instead of rows: some hundred rows whatever the span.
_SCORES = """
    WITH by_minute AS (
        SELECT camera_id, lane_id, extract(epoch FROM date_bin('1 minute', window_start, '2000-01-01Z'))::bigint AS at,
               avg(congestion_score)::real AS score
        FROM traffic_metrics
        WHERE window_start >= $1 AND window_start < $2 AND congestion_score IS NOT NULL
              AND ($3 OR NOT EXISTS (
                  SELECT FROM unhealthy_spans
                  WHERE source_id = camera_id AND window_start >= from_time AND window_start < to_time
              ))
        GROUP BY 1, 2, 3
    )
    SELECT camera_id, lane_id, array_agg(at ORDER BY at) AS minutes, array_agg(score ORDER BY at) AS scores
    FROM by_minute GROUP BY 1, 2
"""
_ROADS = "SELECT camera_id, road_segment FROM cameras WHERE road_segment IS NOT NULL"
_SPAN = "SELECT min(bucket_start), max(bucket_start) FROM metrics_1m WHERE bucket_start >= $1 AND bucket_start < $2"
# The two ends only, each found by the index of its partition.
_SCORED = """
    SELECT min(window_start), max(window_start) FROM traffic_metrics WHERE window_start >= $1 AND window_start < $2
"""
_SIMULATED = "SELECT from_time, to_time FROM simulated_spans WHERE from_time < $2 AND to_time > $1 ORDER BY 1"


async def camera_scores(
    source: Pool | Connection, since: datetime, until: datetime, *, with_unhealthy: bool = True
) -> list[EntityScores]:
    """Mean scores by the minute of all cameras and lanes, of the windows that begin in ``[since, until)``.

    Args:
        source: a pool or a connection.
        since: a whole minute.
        until: a whole minute.
        with_unhealthy: windows of cameras that were not to be believed then, too; nothing is learnt from those.
    """
    return [
        EntityScores(entity_of(row["camera_id"], row["lane_id"]), row["minutes"], row["scores"])
        for row in await source.fetch(_SCORES, since, until, with_unhealthy)
    ]


async def roads_of_cameras(source: Pool | Connection) -> dict[str, str]:
    """The road segment that each registered camera sees."""
    return {row["camera_id"]: row["road_segment"] for row in await source.fetch(_ROADS)}


async def minutes_of_windows(
    source: Pool | Connection, since: datetime, until: datetime
) -> tuple[datetime, datetime] | None:
    """When the first and the last minute begin that have windows, within a span; None when there is none."""
    row = await source.fetchrow(_SPAN, since, until)
    return None if row is None or row[0] is None else (row[0], row[1])


async def span_of_windows(
    source: Pool | Connection, since: datetime, until: datetime
) -> tuple[datetime, datetime] | None:
    """When the first and the last window begin that are kept themselves, not only as sums; None when there is none."""
    row = await source.fetchrow(_SCORED, since, until)
    return None if row is None or row[0] is None else (row[0], row[1])


async def simulated_within(source: Pool | Connection, since: datetime, until: datetime) -> list[tuple[Any, ...]]:
    """The spans that were simulated, begin and end, of those that touch a span, in order of their begin."""
    return [tuple(row) for row in await source.fetch(_SIMULATED, since, until)]
