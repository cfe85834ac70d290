"""The bus lines of the simulated city: routes over its road graph, and the stops on them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise

import numpy as np

from trafficapp.movement.distance import metres_between
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.simulation.city import City

#: Stops are about so far apart, as in a city centre.
STOP_METRES = 350.0
#: Stops of two routes that are no farther apart are one station.
SAME_STATION_M = 60.0
#: A bus needs so much longer than the empty road takes: signals, stops.
_SLOWER = 2.2

#: Lines by name: whether it goes round and round, how many buses serve it, and edges that it passes. They lie on the
#: shipped graph, in the part of it from which every other place of that part can be reached.
_LINES: tuple[tuple[str, bool, int, tuple[str, ...]], ...] = (
    ("11", True, 2, ("b16[0]", "b20+19a", "a17")),
    ("13", False, 2, ("ba1[1]", "a118")),
    ("21", False, 2, ("b16[0]", "a97")),
    ("32", True, 2, ("a118", "a204a[0]", "a17")),
    ("33", True, 2, ("a118", "a3", "b11[0]", "ba1[1]")),
)


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop of a route.

    Attributes:
        number: counts the stops of all routes up from 0.
        station_id: the station that it is at, which stops of other routes may be at as well.
        at_m: metres from the beginning of the route.
        latitude, longitude: of the station, degrees WGS 84.
        is_hub: whether many get on and off, as where a line begins.
    """

    number: int
    station_id: str
    at_m: float
    latitude: float
    longitude: float
    is_hub: bool


@dataclass(frozen=True, eq=False)
class Route:
    """A way over the graph, in driving direction.

    Attributes:
        name: of it, such as ``13-out``.
        path: points as latitude and longitude.
        point_m: metres from the beginning to each point.
        edges: positions of the edges, in order.
        edge_end_m: where each of them ends.
        stops: in driving order.
        minutes: that the schedule says.
    """

    name: str
    path: tuple[tuple[float, float], ...]
    point_m: tuple[float, ...]
    edges: tuple[int, ...]
    edge_end_m: tuple[float, ...]
    stops: tuple[Stop, ...]
    minutes: int

    @property
    def length_m(self) -> float:
        """Length of the way."""
        return self.point_m[-1]

    def edge_at(self, at_m: float) -> int:
        """Position of the edge so far along the way; a junction is of the edge after it."""
        return self.edges[min(bisect_left(self.edge_end_m, at_m), len(self.edges) - 1)]

    def place_at(self, at_m: float) -> tuple[float, float]:
        """Latitude and longitude so far along the way."""
        after = min(max(bisect_right(self.point_m, at_m), 1), len(self.path) - 1)
        begin_m, end_m = self.point_m[after - 1], self.point_m[after]
        share = min(max((at_m - begin_m) / max(end_m - begin_m, 1e-9), 0.0), 1.0)
        (lat, lon), (end_lat, end_lon) = self.path[after - 1], self.path[after]
        return lat + share * (end_lat - lat), lon + share * (end_lon - lon)


@dataclass(frozen=True)
class Line:
    """A line of the network.

    Attributes:
        name: for people.
        buses: that serve it.
        routes: one that is driven round and round, or one there and one back.
    """

    name: str
    buses: int
    routes: tuple[Route, ...]


def bus_lines(city: City) -> tuple[Line, ...]:
    """The lines of the shipped city.

    Raises:
        KeyError: it is another city.
    """
    graph, lines, stops = city.graph, list[Line](), list[Stop]()
    for name, is_loop, buses, passed in _LINES:
        edges = [graph.position_of_edge[edge] for edge in passed]
        if is_loop:
            ways = [(name, _way(graph, [*edges, edges[0]]))]
        else:
            ways = [(f"{name}-out", _way(graph, edges)), (f"{name}-back", _way(graph, edges[::-1]))]
        lines.append(Line(name, buses, tuple(_route(city, route, way, stops) for route, way in ways)))
    return tuple(lines)


def _way(graph: RoadGraph, edges: Sequence[int]) -> list[int]:
    """The quickest way from the end of the first edge over all others to the end of the last."""
    way: list[int] = []
    for begin, end in pairwise(edges):
        way += _quickest(graph, begin, end)
    return way


def _quickest(graph: RoadGraph, begin: int, end: int) -> list[int]:
    """The edges after one until another on the quickest way, by Dijkstra; roads are empty."""
    free_seconds = graph.free_flow_seconds.tolist()
    seconds, before, waiting = {begin: 0.0}, dict[int, int](), [(0.0, begin)]
    while waiting:
        until, edge = heappop(waiting)
        if edge == end:
            break
        if until > seconds[edge]:
            continue
        for _, after, turn_seconds in graph.onward[edge]:
            there = until + free_seconds[after] + turn_seconds
            if there < seconds.get(after, np.inf):
                seconds[after], before[after] = there, edge
                heappush(waiting, (there, after))
    way = [end]
    while before[way[-1]] != begin:
        way.append(before[way[-1]])
    return way[::-1]


def _route(city: City, name: str, edges: Sequence[int], stops: list[Stop]) -> Route:
    """A route along edges; its stops are added to those of the city."""
    graph = city.graph
    path, point_m, ends = list[tuple[float, float]](), list[float](), list[float]()
    for edge in edges:
        line = slice(int(graph.shape_offsets[edge]), int(graph.shape_offsets[edge + 1]))
        for place in zip(graph.shape_lat[line].tolist(), graph.shape_lon[line].tolist(), strict=True):
            if path and path[-1] == place:
                continue
            point_m.append(point_m[-1] + metres_between(*path[-1], *place) if path else 0.0)
            path.append(place)
        ends.append(point_m[-1])
    seconds = float(graph.free_flow_seconds[list(edges)].sum())
    route = Route(name, tuple(path), tuple(point_m), tuple(edges), tuple(ends), (), round(_SLOWER * seconds / 60) + 1)
    count = max(round(route.length_m / STOP_METRES), 2)
    own = [_stop(route, (number + 0.5) * route.length_m / count, number == 0, stops) for number in range(count)]
    return Route(name, route.path, route.point_m, route.edges, route.edge_end_m, tuple(own), route.minutes)


def _stop(route: Route, at_m: float, is_hub: bool, stops: list[Stop]) -> Stop:
    latitude, longitude = (round(degrees, 6) for degrees in route.place_at(at_m))
    for known in stops:
        if metres_between(known.latitude, known.longitude, latitude, longitude) <= SAME_STATION_M:
            stop = Stop(len(stops), known.station_id, at_m, known.latitude, known.longitude, is_hub)
            break
    else:
        stations = len({known.station_id for known in stops})
        stop = Stop(len(stops), f"st-{stations + 1:02d}", at_m, latitude, longitude, is_hub)
    stops.append(stop)
    return stop
