"""Where on the road graph a place is: the nearest node, the nearest edges and how far along them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from trafficapp.roads.graph.earth import FlatMap, metres_along
from trafficapp.roads.graph.road_graph import Floats, Integers, RoadGraph

#: Edges that are this much farther than the nearest one are as near: both directions of a road, arms of a junction.
SAME_PLACE_M = 10.0
#: Most places are as near to a road as this, so that one look at the tree is enough.
_NEAR_M = 15.0
#: A place farther from every road than this is off the map, unless the caller says otherwise.
DISTANCE_LIMIT_M = 500.0


class InvalidPlace(ValueError):
    """Not a place on the globe; the message says why."""


class OffTheMap(ValueError):
    """A place with no road near enough; the message says how far the limit is."""


class PlaceOnEdge(NamedTuple):
    """A place on an edge.

    Attributes:
        edge: position of the edge.
        fraction: how far along it, 0 at its beginning, 1 at its end.
        distance_m: how far the place that was asked for is from it.
    """

    edge: int
    fraction: float
    distance_m: float


@dataclass(frozen=True, eq=False)
class RoadIndex:
    """A tree over the lines of a graph. Reading from several threads is safe; make one with ``build``."""

    graph: RoadGraph
    flat: FlatMap
    lines: Any
    points: Floats
    _line_tree: Any

    @classmethod
    def build(cls, graph: RoadGraph) -> RoadIndex:
        """Index a graph (0.1 s for 19,000 edges)."""
        flat = FlatMap(float((graph.node_lat.min() + graph.node_lat.max()) / 2))
        points = flat.metres(graph.shape_lat, graph.shape_lon)
        owners = np.repeat(np.arange(graph.edge_count), np.diff(graph.shape_offsets))
        lines = shapely.linestrings(points, indices=owners)
        return cls(graph, flat, lines, points, shapely.STRtree(lines))

    def places_on_roads(
        self, lat: float, lon: float, limit_m: float = DISTANCE_LIMIT_M, *, at_least: int = 1
    ) -> list[PlaceOnEdge]:
        """The nearest edges, nearest first, with all that are as near as the nearest (``SAME_PLACE_M``).

        Args:
            lat: latitude.
            lon: longitude.
            limit_m: farther edges do not count.
            at_least: so many of the nearest edges, if there are so many within the limit.

        Raises:
            InvalidPlace: not on the globe.
            OffTheMap: no edge within the limit.
        """
        point = self._point(lat, lon)
        reach = limit_m if at_least > 1 else min(limit_m, _NEAR_M + SAME_PLACE_M)
        edges, distances = self._within(point, reach)
        if reach < limit_m and not (len(edges) and distances.min() <= _NEAR_M):
            _, distance = self._line_tree.query_nearest(
                point, max_distance=limit_m, all_matches=False, return_distance=True
            )
            if not len(distance):
                raise self._off_the_map(lat, lon, limit_m)
            edges, distances = self._within(point, min(limit_m, float(distance[0]) + SAME_PLACE_M))
        if not len(edges):
            raise self._off_the_map(lat, lon, limit_m)
        order = np.lexsort((edges, distances))
        count = max(at_least, int((distances <= distances.min() + SAME_PLACE_M).sum()))
        return self._places(point, edges[order][:count], distances[order][:count])

    def nearest_of(self, lat: float, lon: float, useful: npt.NDArray[np.bool_]) -> list[PlaceOnEdge]:
        """The nearest of some edges, however far, with those that are as near; empty when there are none.

        Args:
            lat: latitude.
            lon: longitude.
            useful: for each edge whether it counts.

        Raises:
            InvalidPlace: not on the globe.
        """
        edges = np.flatnonzero(useful)
        if not len(edges):
            return []
        point = self._point(lat, lon)
        distances = shapely.distance(self.lines[edges], point)
        near = distances <= distances.min() + SAME_PLACE_M
        edges, distances = edges[near], distances[near]
        order = np.lexsort((edges, distances))
        return self._places(point, edges[order], distances[order])

    def place_on(self, lat: float, lon: float, edge: int) -> PlaceOnEdge:
        """The place on an edge that is nearest to another.

        Raises:
            InvalidPlace: not on the globe.
        """
        point, edges = self._point(lat, lon), np.array([edge])
        return self._places(point, edges, shapely.distance(self.lines[edges], point))[0]

    def metres_between(self, one: tuple[float, float], other: tuple[float, float]) -> float:
        """The distance between two places (latitude, longitude) as the crow flies."""
        return float(metres_along(*(np.array([value]) for value in (*one, *other)))[0])

    def edges_near(self, line: Any, reach_m: float) -> Integers:
        """Edges with any part within reach of a shape on the flat map, ascending."""
        found: Integers = np.sort(self._line_tree.query(line, predicate="dwithin", distance=reach_m))
        return found

    def on_map(self, place: PlaceOnEdge) -> tuple[float, float]:
        """Latitude and longitude of a place on an edge."""
        point = shapely.line_interpolate_point(self.lines[place.edge], place.fraction, normalized=True)
        return self.flat.degrees(shapely.get_x(point), shapely.get_y(point))

    def _within(self, point: Any, reach_m: float) -> tuple[Integers, Floats]:
        """Edges within reach of a point, ascending, and how far they are."""
        edges: Integers = np.sort(self._line_tree.query(point, predicate="dwithin", distance=reach_m + 1e-6))
        return edges, shapely.distance(self.lines[edges], point)

    def _places(self, point: Any, edges: Integers, distances: Floats) -> list[PlaceOnEdge]:
        fractions = shapely.line_locate_point(self.lines[edges], point, normalized=True)
        fractions = np.minimum(np.maximum(np.nan_to_num(fractions), 0), 1)
        columns: Sequence[Any] = (edges.tolist(), fractions.tolist(), distances.tolist())
        return [PlaceOnEdge(*row) for row in zip(*columns, strict=True)]

    def _point(self, lat: float, lon: float) -> Any:
        if not (isfinite(lat) and isfinite(lon)):
            raise InvalidPlace(f"latitude {lat} and longitude {lon} are not both numbers")
        if abs(lat) > 90 or abs(lon) > 180:
            raise InvalidPlace(f"latitude {lat:g}, longitude {lon:g} is beyond ±90, ±180")
        return shapely.points(self.flat.metres(np.array([lat]), np.array([lon])))[0]

    def _off_the_map(self, lat: float, lon: float, limit_m: float) -> OffTheMap:
        point = self._point(lat, lon)
        distance = float(shapely.distance(self.lines[self._line_tree.nearest(point)], point))
        away = f"{distance:.0f} m" if distance < 10_000 else f"{distance / 1000:.0f} km"
        told = f"no road of {self.graph.city} within {limit_m:g} m of latitude {lat:g}, longitude {lon:g}"
        told += f": the nearest is {away} away"
        if abs(lon) <= 90 and len(self._line_tree.query_nearest(self._point(lon, lat), max_distance=limit_m)):
            told += "; latitude and longitude seem to be swapped"
        return OffTheMap(told)
