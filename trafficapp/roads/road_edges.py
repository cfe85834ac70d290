"""Which edges of the graph a road of the feed is on: by its name where the graph knows it, else by its line."""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
import shapely

from trafficapp.roads.earth import METRES_PER_DEGREE
from trafficapp.roads.graph import RoadGraph
from trafficapp.roads.index import InvalidPlace, RoadIndex
from trafficapp.roads.matching import match_road

#: A place as (longitude, latitude), WGS 84.
LonLat: TypeAlias = tuple[float, float]
#: An edge by its name, with the share of it that the road covers.
CoveredEdge: TypeAlias = tuple[str, float]

#: An edge by the name of a road whose line is farther from it than this is another city's, or of another street.
ELSEWHERE_M = 250.0

_REMEMBERED_LINES = 50_000


class RoadEdges:
    """Finds the edges of roads. Asking from several threads is safe.

    Args:
        graph: the road graph.
        reach_m: how far a road may lie from the edges that it is on.
    """

    def __init__(self, graph: RoadGraph, reach_m: float) -> None:
        self.graph = graph
        self._reach_m = reach_m
        self._matched: OrderedDict[bytes, tuple[CoveredEdge, ...]] = OrderedDict()

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
        """
        named = (road_id,) if road_id in self.graph.position_of_edge else self._edges_of_road.get(road_id, ())
        if named and line and self._distance_m(named, line) > ELSEWHERE_M:
            return ()
        if len(named) == 1 or (named and not line):
            return tuple((edge, 1.0) for edge in named)
        matched = self._match(line)
        among = tuple(one for one in matched if one[0] in named)
        return among or matched

    def line_of(self, edges: Sequence[CoveredEdge]) -> list[LonLat]:
        """The lines of edges, one after the other, for roads that come without one of their own."""
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

    def _distance_m(self, names: Sequence[str], line: Sequence[LonLat]) -> float:
        """How far the nearest of some edges is from the places of a line."""
        index = self._index
        edges = [self.graph.position_of_edge[name] for name in names]
        lon, lat = zip(*line, strict=True)
        places = shapely.points(index.flat.metres(np.array(lat), np.array(lon)))
        return float(shapely.distance(index.lines[edges][:, None], places[None, :]).min())

    def _match(self, line: Sequence[LonLat]) -> tuple[CoveredEdge, ...]:
        key = line_digest(line)
        found = self._matched.get(key)
        if found is None:
            try:
                matches = match_road(self._index, [(lat, lon) for lon, lat in line], self._reach_m)
            except InvalidPlace:
                matches = []
            names = self.graph.edge_ids
            found = tuple((str(names[match.edge]), round(match.share, 4)) for match in matches)
            self._matched[key] = found
            if len(self._matched) > _REMEMBERED_LINES:
                self._matched.popitem(last=False)
        return found

    @cached_property
    def _index(self) -> RoadIndex:
        return RoadIndex.build(self.graph)

    @cached_property
    def _edges_of_road(self) -> dict[str, tuple[str, ...]]:
        edges: dict[str, tuple[str, ...]] = {}
        for road, edge in zip(self.graph.road_ids.tolist(), self.graph.edge_ids.tolist(), strict=True):
            edges[road] = (*edges.get(road, ()), edge)
        return edges


def line_digest(line: Sequence[LonLat]) -> bytes:
    """Eight bytes that differ when the line differs."""
    flat = [number for point in line for number in point]
    return hashlib.blake2b(struct.pack(f">{len(flat)}d", *flat), digest_size=8).digest()
