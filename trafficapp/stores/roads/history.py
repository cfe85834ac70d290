"""The history of the road-speed feed in Postgres, as models are trained from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import psycopg

from trafficapp.forecast.clock import Floats
from trafficapp.forecast.learning.history import LEAST_SHARE, HistoryError, SpeedHistory
from trafficapp.forecast.neighbours import RoadLinks
from trafficapp.forecast.quantities import SPEED
from trafficapp.roads.graph.following import following_roads
from trafficapp.roads.graph.road_graph import RoadGraph

#: Less cannot tell what is usual at a time of day.
LEAST_DAYS = 3

# A row a road, so that the server does the sums and a day of any city fits into memory.
_MEANS = """
    SELECT road_id, array_agg(step), array_agg(kmh) FROM (
        SELECT road_id, floor(extract(epoch FROM observed_at) / %(seconds)s)::bigint AS step,
               avg(current_speed)::real AS kmh
        FROM road_observations
        WHERE observed_at >= %(since)s AND observed_at < %(until)s AND current_speed BETWEEN 0 AND %(possible)s
              AND is_measured(closed, confidence)
              AND (current_speed > 0 OR NOT %(zeros_are_missing)s)
              AND NOT EXISTS (
                  SELECT FROM unhealthy_spans
                  WHERE source_id = 'road:' || road_id AND observed_at >= from_time AND observed_at < to_time
              )
        GROUP BY 1, 2
    ) AS steps
    GROUP BY road_id
"""
_EDGES = "SELECT road_id, ARRAY(SELECT edge ->> 0 FROM jsonb_array_elements(edges) AS edge) FROM roads"
_SIMULATED = "SELECT from_time, to_time FROM simulated_spans WHERE from_time < %s AND to_time > %s ORDER BY 1"

#: Told after each day that was read: days read, days to read.
Watch = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class StoredHistory:
    """A history and what people must know of it.

    Attributes:
        history: the speeds, with links from the road graph.
        source: where they are from, in words; what was simulated is named.
        left_out: roads that were measured too rarely.
    """

    history: SpeedHistory
    source: str
    left_out: int


def read_road_history(
    database_url: str,
    graph: RoadGraph,
    zone: str,
    step_seconds: int,
    since: datetime,
    until: datetime,
    watch: Watch = lambda done, total: None,
    *,
    zeros_are_missing: bool = True,
) -> StoredHistory:
    """Read the mean speed of each road in each step, a day at a time.

    Zeros and gaps are what they are in files; see `trafficapp.forecast.learning.history.read_history`.

    Raises:
        HistoryError: there is not enough; the message says what there is.
        psycopg.Error: Postgres cannot be asked.
    """
    with psycopg.connect(database_url, connect_timeout=10, application_name="trafficapp train") as connection:
        found: dict[str, list[tuple[list[int], list[float]]]] = {}
        days = list(pairwise(days_of(since, until)))
        for done, (start, end) in enumerate(days, 1):
            asked = {"seconds": step_seconds, "since": start, "until": end, "possible": SPEED.possible_to}
            asked["zeros_are_missing"] = zeros_are_missing
            for road_id, steps, speeds in connection.execute(_MEANS, asked, binary=True):
                found.setdefault(road_id, []).append((steps, speeds))
            connection.commit()  # nothing of the server is held from day to day
            watch(done, len(days))
        road_ids, first, speeds_kmh = _table(found, step_seconds, since, until)
        start = datetime.fromtimestamp(first * step_seconds, UTC)
        end = start + timedelta(seconds=step_seconds * len(speeds_kmh))
        kept = np.isfinite(speeds_kmh).mean(0) >= LEAST_SHARE
        names = tuple(road for road, keep in zip(road_ids, kept, strict=True) if keep)
        edges = {road: edge_ids for road, edge_ids in connection.execute(_EDGES) if road in names}
        simulated = simulated_share(connection.execute(_SIMULATED, (end, start)).fetchall(), start, end)
    links = links_on_graph(graph, edges, names)
    history = SpeedHistory(names, start, step_seconds, np.ascontiguousarray(speeds_kmh[:, kept]), zone, links)
    return StoredHistory(history, source_of("road_observations", simulated), int((~kept).sum()))


def links_on_graph(graph: RoadGraph, edges_of_road: dict[str, list[str]], road_ids: tuple[str, ...]) -> RoadLinks:
    """Links between the roads of a history, from the turns of the graph."""
    place = {road: number for number, road in enumerate(road_ids)}
    pairs = following_roads(graph, {road: edges for road, edges in edges_of_road.items() if road in place})
    return RoadLinks(
        len(road_ids),
        np.array([place[road] for road, _, _ in pairs], np.int64),
        np.array([place[other] for _, other, _ in pairs], np.int64),
        np.array([weight for *_, weight in pairs], np.float32),
    )


def days_of(since: datetime, until: datetime) -> Iterator[datetime]:
    """The bounds of the UTC days within a span, and its own."""
    yield since
    day = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while (day := day + timedelta(days=1)) < until:
        yield day
    yield until


def _table(
    found: dict[str, list[tuple[list[int], list[float]]]], step_seconds: int, since: datetime, until: datetime
) -> tuple[list[str], int, Floats]:
    """Road ids, number of the first step since the epoch, and speeds of shape (steps, roads)."""
    span = f"between {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC"
    if not found:
        raise HistoryError(
            f"Postgres has no road observations {span}; feed some in, or fill it with `trafficapp simulate --history`"
        )
    first = min(min(steps) for parts in found.values() for steps, _ in parts)
    last = max(max(steps) for parts in found.values() for steps, _ in parts)
    days = (last + 1 - first) * step_seconds / 86_400
    if days < LEAST_DAYS:
        raise HistoryError(
            f"Postgres has road observations of {days:.1f} days {span}; at least {LEAST_DAYS} are needed to train"
        )
    road_ids = sorted(found)
    speeds = np.full((last + 1 - first, len(road_ids)), np.nan, np.float32)
    for place, road_id in enumerate(road_ids):
        for steps, kmh in found[road_id]:
            speeds[np.array(steps, np.int64) - first, place] = kmh
    return road_ids, first, speeds


def simulated_share(spans: list[tuple[Any, ...]], start: datetime, end: datetime) -> float:
    """Which share of a time was simulated; spans are sorted by their begin."""
    total, reached = timedelta(0), start
    for from_time, to_time in spans:
        begin, finish = max(from_time, reached), min(to_time, end)
        if begin < finish:
            total, reached = total + (finish - begin), finish
    return total / (end - start)


def source_of(table: str, simulated: float) -> str:
    """Where a history is from, in words."""
    if not simulated:
        return f"Postgres, {table}"
    how_much = "all of it" if simulated > 0.999 else f"{max(simulated, 0.01):.0%} of its time"
    return f"Postgres, {table}, {how_much} simulated"
