"""Which edges of the graph a road of the feed is on: by its name where the graph knows it, else by its line."""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import TypeAlias

import numpy as np
import shapely

from models.roads.current import MOST_EDGES_OF_A_ROAD
from trafficapp.movement.distance import METRES_PER_DEGREE
from trafficapp.roads.graph.index import InvalidPlace, RoadIndex
from trafficapp.roads.graph.matching import TooLarge, match_road
from trafficapp.roads.graph.road_graph import RoadGraph

#: A place as (longitude, latitude), WGS 84.
LonLat: TypeAlias = tuple[float, float]
#: An edge by its name, with the share of it that the road covers.
CoveredEdge: TypeAlias = tuple[str, float]

#: An edge by the name of a road whose line is farther from it than this is another city's, or of another street.
ELSEWHERE_M = 250.0

#: Lines are remembered until they and their edges are so many.
_REMEMBERED = 200_000


class RoadEdges:
    """Finds the edges of roads. Asking from several threads is safe.

    Args:
        graph: the road graph.
        reach_m: how far a road may lie from the edges that it is on.
    """

    def __init__(self, graph: RoadGraph, reach_m: float) -> None:
        self.graph = graph
        self._reach_m = reach_m
        #: By the digest of a line: its edges, or why it was not compared with any.
        self._matched: OrderedDict[bytes, tuple[CoveredEdge, ...] | str] = OrderedDict()
        self._remembered = 0
        #: Of roads that the graph knows by name, so there are no more of them than in the graph.
        self._lines: dict[tuple[CoveredEdge, ...], list[LonLat]] = {}
        self._remembering = Lock()

    @property
    def version(self) -> str:
        """Of the graph."""
        return self.graph.version

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Where the graph lies, with the reach around it: west, south, east, north."""
        graph = self.graph
        south, north = float(graph.shape_lat.min()), float(graph.shape_lat.max())
        beside = self._reach_m / METRES_PER_DEGREE
        widest = min(80.0, max(abs(south), abs(north)))
        aside = beside / float(np.cos(np.radians(widest)))
        return (
            float(graph.shape_lon.min()) - aside,
            south - beside,
            float(graph.shape_lon.max()) + aside,
            north + beside,
        )

    def find(self, road_id: str, line: Sequence[LonLat]) -> tuple[CoveredEdge, ...]:
        """The edges of a road, in order along it.

        Empty when neither its name nor its line is on the graph, or when the two are in different places. Where the
        graph knows the road as several edges, its two directions for instance, the line says which.

        Raises:
            TooLarge: the name or the line is of more edges than a road is on.
        """
        named = (road_id,) if road_id in self.graph.position_of_edge else self._edges_of_road.get(road_id, ())
        if len(named) > MOST_EDGES_OF_A_ROAD:
            raise TooLarge(f"the graph has {len(named):,} edges of that name, more than {MOST_EDGES_OF_A_ROAD:,}")
        if named and line and self._distance_m(named, line) > ELSEWHERE_M:
            return ()
        if len(named) == 1 or (named and not line):
            return tuple((edge, 1.0) for edge in named)
        matched = self._match(line)
        among = tuple(one for one in matched if one[0] in named)
        return among or matched

    def line_of(self, edges: tuple[CoveredEdge, ...]) -> list[LonLat]:
        """The lines of edges, one after the other, for roads that come without one of their own."""
        known = self._lines.get(edges)
        if known is None:
            known = self._lines[edges] = self._line_of(edges)
        return known

    def _line_of(self, edges: Sequence[CoveredEdge]) -> list[LonLat]:
        graph, line = self.graph, list[LonLat]()
        for name, _ in edges:
            edge = graph.position_of_edge[name]
            span = slice(int(graph.shape_offsets[edge]), int(graph.shape_offsets[edge + 1]))
            points = zip(graph.shape_lon[span].tolist(), graph.shape_lat[span].tolist(), strict=True)
            line += [point for point in points if not line or point != line[-1]]
        return line

    def name_of(self, edges: Sequence[CoveredEdge]) -> str:
        """What the graph calls the first of some edges."""
        return self.graph.road_name(self.graph.position_of_edge[edges[0][0]])

    def free_flow_of(self, edges: Sequence[CoveredEdge]) -> float:
        """The speed in km/h at which the graph drives some edges when nothing is in the way."""
        places = [self.graph.position_of_edge[name] for name, _ in edges]
        lengths = self.graph.length_m[places]
        return round(float(lengths.sum() / (lengths / self.graph.free_flow_kmh[places]).sum()), 2)

    def _distance_m(self, names: Sequence[str], line: Sequence[LonLat]) -> float:
        """How far the nearest of some edges is from the places of a line."""
        index = self._index
        edges = [self.graph.position_of_edge[name] for name in names]
        lon, lat = zip(*line, strict=True)
        places = shapely.STRtree(shapely.points(index.flat.metres(np.array(lat), np.array(lon))))
        _, distances = places.query_nearest(index.lines[edges], return_distance=True, all_matches=False)
        return float(distances.min())

    def _match(self, line: Sequence[LonLat]) -> tuple[CoveredEdge, ...]:
        key = line_digest(line)
        found = self._matched.get(key)
        if found is None:
            try:
                matches = match_road(self._index, [(lat, lon) for lon, lat in line], self._reach_m)
                names = self.graph.edge_ids
                found = tuple((str(names[match.edge]), round(match.share, 4)) for match in matches)
            except TooLarge as error:
                found = str(error)
            except InvalidPlace:
                found = ()
            self._remember(key, found)
        if isinstance(found, str):
            raise TooLarge(found)
        return found

    def _remember(self, key: bytes, found: tuple[CoveredEdge, ...] | str) -> None:
        with self._remembering:
            if key not in self._matched:
                self._matched[key] = found
                self._remembered += 1 + len(found)
            while self._remembered > _REMEMBERED:
                _, oldest = self._matched.popitem(last=False)
                self._remembered -= 1 + len(oldest)

    @cached_property
    def _index(self) -> RoadIndex:
        return RoadIndex.build(self.graph)

    @cached_property
    def _edges_of_road(self) -> dict[str, tuple[str, ...]]:
        edges: dict[str, list[str]] = {}
        for road, edge in zip(self.graph.road_ids.tolist(), self.graph.edge_ids.tolist(), strict=True):
            edges.setdefault(road, []).append(edge)
        return {road: tuple(its) for road, its in edges.items()}


def line_digest(line: Sequence[LonLat]) -> bytes:
    """Eight bytes that differ when the line differs."""
    flat = [number for point in line for number in point]
    return hashlib.blake2b(struct.pack(f">{len(flat)}d", *flat), digest_size=8).digest()
