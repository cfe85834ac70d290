"""``/export/osrm/…``: speeds for OSRM's ``osrm-customize --segment-speed-file``."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from aiohttp import hdrs, web
from msgspec import Struct

from trafficapp.roads.graph.road_graph import Floats, RoadGraph
from trafficapp.roads.routing.weights import IMPOSSIBLE_KMH, SLOWEST_KMH
from web.feeds.forms import csv_lines
from web.roads.route_planning import RoutePlanning
from web.serving.operations import Operation, Tag
from web.serving.pieces import TAKE_WITHIN_SECONDS

_LINES_AT_ONCE = 2000
VERSION_HEADER = "X-Graph-Version"


class HorizonQuery(Struct, frozen=True, kw_only=True):
    """How far ahead."""

    horizon_minutes: Literal[10, 20, 30] = 10


class RoadExports:
    """The views."""

    def __init__(self, planning: RoutePlanning) -> None:
        self._planning = planning

    async def current(self, request: web.Request) -> web.StreamResponse:
        """Speeds now, for OSRM."""
        return await self._send(request, 0.0)

    async def predicted(self, request: web.Request, query: HorizonQuery) -> web.StreamResponse:
        """Speeds in 10, 20 or 30 minutes, for OSRM."""
        return await self._send(request, query.horizon_minutes * 60.0)

    async def _send(self, request: web.Request, horizon_seconds: float) -> web.StreamResponse:
        graph = self._planning.planner.graph
        now = datetime.now(UTC)
        speeds = self._planning.speeds(now)
        version, of_horizon = "none", np.full(graph.edge_count, np.nan)
        if speeds is not None and horizon_seconds in speeds.horizons_seconds:
            version = speeds.version
            of_horizon = speeds.speeds_kmh[speeds.horizons_seconds.index(horizon_seconds)].copy()
            of_horizon[list(speeds.closed_at)] = np.nan
        closed = self._planning.closed(now)
        lines = await asyncio.to_thread(segment_lines, graph, of_horizon, closed)
        response = web.StreamResponse(headers={VERSION_HEADER: version})
        response.content_type, response.charset = "text/csv", "utf-8"
        await response.prepare(request)
        if request.method != hdrs.METH_HEAD:
            for first in range(0, len(lines), _LINES_AT_ONCE):
                async with asyncio.timeout(TAKE_WITHIN_SECONDS):
                    await response.write("".join(lines[first : first + _LINES_AT_ONCE]).encode())
        await response.write_eof()
        return response


def segment_lines(graph: RoadGraph, speeds_kmh: Floats, closed: Collection[int] = ()) -> list[str]:
    """A line for each pair of nodes with a known speed; of several edges between them the slowest counts.

    Two nodes between which every edge is closed have 0, which closes the segment; while one is open, only open ones
    count.
    """
    usable = np.flatnonzero((speeds_kmh >= 0) & (speeds_kmh <= IMPOSSIBLE_KMH))
    slowest: dict[tuple[str, str], float] = {}
    ends = (graph.node_ids[graph.edge_from[usable]].tolist(), graph.node_ids[graph.edge_to[usable]].tolist())
    ends = ([_node(name) for name in ends[0]], [_node(name) for name in ends[1]])
    for one, other, speed in zip(*ends, np.maximum(speeds_kmh[usable], SLOWEST_KMH).tolist(), strict=True):
        slowest[one, other] = min(speed, slowest.get((one, other), speed))
    lines = [f"{one},{other},{speed:.1f}\n" for (one, other), speed in slowest.items()]
    if closed:
        open_edges = np.setdiff1d(np.arange(graph.edge_count), list(closed))
        passable = set(zip(graph.edge_from[open_edges].tolist(), graph.edge_to[open_edges].tolist(), strict=True))
        segments = {(int(graph.edge_from[edge]), int(graph.edge_to[edge])) for edge in closed} - passable
        lines += [f"{_node(graph.node_ids[one])},{_node(graph.node_ids[other])},0\n" for one, other in sorted(segments)]
    return lines


def _node(name: str) -> str:
    """A node as a cell: mostly the number that OSM gave it, else what a graph calls it, which is no formula."""
    return name if name.isdecimal() else csv_lines([[str(name)]]).decode().removesuffix("\r\n")


def operations(planning: RoutePlanning) -> list[Operation]:
    """What this module answers."""
    exports = RoadExports(planning)
    about = (
        "Lines `from_osm_id,to_osm_id,speed_kmh`, without a heading, as OSRM's `--segment-speed-file` takes them: one "
        "for each edge of the road graph whose speed is known, between the names of its nodes. So OSRM finds them "
        "where the graph's nodes have OSM's numbers and each edge is one segment of OSM; the shipped graph of Bologna "
        "has names of its own. Of several edges between two nodes the slowest counts; a standing road has 2 km/h, and "
        "a closed one 0, which closes it in OSRM, too. While no speeds are known, or only old ones, there are lines of "
        "closed roads only."
    )
    return [
        Operation(
            f"GET /export/osrm/{name}.csv",
            view,
            Tag.ROADS,
            words=f"{view.__doc__}\n\n{about}",
            content_type="text/csv",
            errors=(503,),
            streamed=True,
            headers=((VERSION_HEADER, "Version of the speeds; `none` without any"),),
        )
        for name, view in (("current", exports.current), ("predicted", exports.predicted))
    ]
