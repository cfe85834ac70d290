"""How lines kept their timetables, from the tables of stops served and of runs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from models.timetables.answers import LinePerformance

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

# headways that are not scheduled have no deviation; both sides may lack a direction, which is one like another
_SELECT = """
    WITH stops AS (
        SELECT route_id, coalesce(direction_id, -1) AS direction, count(*) AS stops_served,
               avg((late_seconds BETWEEN -$4::float8 AND $5::float8)::int)::float8 AS on_time_share,
               avg(late_seconds) AS mean_late_seconds,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY late_seconds) AS median_late_seconds,
               percentile_cont(0.9) WITHIN GROUP (ORDER BY late_seconds) AS p90_late_seconds,
               count(spacing) AS headways,
               CASE WHEN count(spacing) > 1 THEN
                   stddev_pop(headway_seconds - scheduled_headway_seconds)
                   / nullif(avg(scheduled_headway_seconds) FILTER (WHERE spacing IS NOT NULL), 0)::float8
               END AS headway_variation,
               avg((spacing = 'bunched')::int)::float8 AS bunched_share,
               avg((spacing = 'gap')::int)::float8 AS gap_share
        FROM transit_stop_times
        WHERE observed_at >= $1 AND observed_at < $2 AND ($3::text IS NULL OR route_id = $3)
        GROUP BY 1, 2
    ), runs AS (
        SELECT route_id, coalesce(direction_id, -1) AS direction,
               count(*) FILTER (WHERE result = 'completed') AS runs_completed,
               count(*) FILTER (WHERE result = 'broken_off') AS runs_broken_off,
               count(*) FILTER (WHERE result = 'missed') AS runs_missed,
               max(most_passengers) AS most_passengers, avg(mean_passengers) AS mean_passengers
        FROM transit_run_outcomes
        WHERE scheduled_at >= $1 AND scheduled_at < $2 AND ($3::text IS NULL OR route_id = $3)
        GROUP BY 1, 2
    )
    SELECT route_id, nullif(direction, -1) AS direction_id, coalesce(stops_served, 0) AS stops_served, on_time_share,
           mean_late_seconds, median_late_seconds, p90_late_seconds, coalesce(headways, 0) AS headways,
           headway_variation, bunched_share, gap_share, coalesce(runs_completed, 0) AS runs_completed,
           coalesce(runs_broken_off, 0) AS runs_broken_off, coalesce(runs_missed, 0) AS runs_missed, most_passengers,
           mean_passengers
    FROM stops FULL JOIN runs USING (route_id, direction)
    WHERE (route_id, direction) > ($6::text, $7::int)
    ORDER BY route_id, direction LIMIT $8
"""

#: Before the first of all lines.
_FIRST = ("", -2)
_DIGITS = 4


async def performance(
    pool: Pool,
    since: datetime,
    until: datetime,
    route_id: str | None,
    early_seconds: float,
    late_seconds: float,
    limit: int,
    after: tuple[str, int] | None = None,
) -> list[LinePerformance]:
    """Each direction of each line, in order of their ids.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        since: stops that were served, and runs that should have begun, from then on; aware.
        until: and before then.
        route_id: of one line; None for all.
        early_seconds: who is no earlier is on time.
        late_seconds: and no later.
        limit: so many at most, at least 1.
        after: route and direction (-1 for none) of the last one of the page before.
    """
    found = await pool.fetch(_SELECT, since, until, route_id, early_seconds, late_seconds, *(after or _FIRST), limit)
    return [msgspec.convert({name: _short(value) for name, value in row.items()}, LinePerformance) for row in found]


def _short(value: object) -> object:
    return round(value, _DIGITS) if isinstance(value, float) else value
