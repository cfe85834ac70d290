"""Stored speeds of roads as paces in steps of time, and what is known of these roads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from trafficapp.congestion.network import RoadNetwork
from trafficapp.measures.paces import LEAST_KMH, MeasuredRoad, StepPaces
from trafficapp.roads.graph.road_graph import GraphError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection, Pool

#: Observations of all roads are read a part of a span at a time.
_AT_ONCE = timedelta(days=7)

_ROADS = """
    SELECT road_id, road_name, free_flow_speed, coordinates, edges FROM roads
    WHERE $1::text[] IS NULL OR road_id = ANY($1::text[]) ORDER BY road_id
"""
# a row a road: the server does the sums
_PACES = """
    SELECT road_id, array_agg(step) AS steps, array_agg(pace) AS paces FROM (
        SELECT road_id, floor(extract(epoch FROM observed_at) / $3)::bigint AS step,
               avg(1 / greatest(current_speed, $5)) AS pace
        FROM road_observations
        WHERE observed_at >= $1 AND observed_at < $2 AND road_id = ANY($4::text[]) AND is_measured(closed, confidence)
              AND NOT EXISTS (
                  SELECT FROM unhealthy_spans
                  WHERE source_id = 'road:' || road_id AND observed_at >= from_time AND observed_at < to_time
              )
        GROUP BY 1, 2
    ) AS steps GROUP BY road_id
"""

_decode_line = msgspec.json.Decoder(list[tuple[float, float]]).decode
_decode_edges = msgspec.json.Decoder(list[tuple[str, float]]).decode


async def network_of(settings: RoadSettings) -> RoadNetwork:
    """Where roads lie; without a road graph as their lines say."""

    def made() -> RoadNetwork:
        try:
            return RoadNetwork(city_graph(settings))
        except GraphError:
            return RoadNetwork(None)

    return await asyncio.to_thread(made)


async def measured_roads(
    source: Pool | Connection, network: RoadNetwork, road_ids: Sequence[str] | None = None
) -> dict[str, MeasuredRoad]:
    """Roads by their ids, in order; None for all.

    Args:
        source: a pool, or a connection.
        network: says how long they are.
        road_ids: those that are not known are left out.
    """
    wanted = None if road_ids is None else [road_id for road_id in road_ids if "\0" not in road_id]
    rows = await source.fetch(_ROADS, wanted)

    def made() -> dict[str, MeasuredRoad]:
        found = {}
        for row in rows:
            line = _decode_line(row["coordinates"])
            lie = network.lie(_decode_edges(row["edges"]), line)
            if lie.length_m > 0 and row["free_flow_speed"] > 0:
                found[row["road_id"]] = MeasuredRoad(
                    row["road_id"], row["road_name"], lie.length_m, row["free_flow_speed"], line, lie.lanes,
                    lie.begin, lie.end, lie.nodes,
                )  # fmt: skip
        return found

    return await asyncio.to_thread(made)


async def step_paces(
    pool: Pool, roads: Sequence[MeasuredRoad], since: datetime, until: datetime, step_seconds: int
) -> StepPaces:
    """The paces of roads in the steps that lie in ``[since, until)`` or that it begins or ends in.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        roads: the columns.
        since: aware.
        until: aware, after `since`.
        step_seconds: length of a step.
    """
    first = int(since.timestamp() // step_seconds)
    count = int(-(-until.timestamp() // step_seconds)) - first
    # hundreds of days of a step that lies between two parts would need their means joined: parts end where steps do
    part_seconds = int(_AT_ONCE.total_seconds()) // step_seconds * step_seconds or step_seconds
    paces = np.full((count, len(roads)), np.nan)
    place = {road.road_id: number for number, road in enumerate(roads)}
    begin = since
    while begin < until:
        steps = int(begin.timestamp() // part_seconds) + 1
        end = min(until, datetime.fromtimestamp(steps * part_seconds, begin.tzinfo))
        for row in await pool.fetch(_PACES, begin, end, step_seconds, list(place), LEAST_KMH):
            paces[np.array(row["steps"], np.int64) - first, place[row["road_id"]]] = row["paces"]
        begin = end
    return StepPaces(roads, first, step_seconds, paces)
