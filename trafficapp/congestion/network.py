"""Where roads lie on the graph: the nodes that they touch, how long they are, how many lanes they have."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import cos, hypot, radians
from typing import NamedTuple

from trafficapp.movement.distance import METRES_PER_DEGREE
from trafficapp.roads.graph.road_graph import RoadGraph

#: A road that covers less of an edge only passes its end.
_LEAST_SHARE = 0.1


class RoadLie(NamedTuple):
    """How a road lies.

    Attributes:
        begin, end: nodes, in driving direction; -1 where the graph does not know the road.
        nodes: all that it touches.
        length_m: of it.
        lanes: of it, on average.
    """

    begin: int
    end: int
    nodes: frozenset[int]
    length_m: float
    lanes: float


class RoadNetwork:
    """The graph as events need it.

    Args:
        graph: None, and no road touches another.
    """

    def __init__(self, graph: RoadGraph | None) -> None:
        self._graph = graph

    def lie(self, edges: Sequence[tuple[str, float]], line: Sequence[tuple[float, float]]) -> RoadLie:
        """How a road lies that is on edges of the graph, in driving direction, each with the share that it covers.

        Args:
            edges: those that the graph does not have are left out.
            line: its line as (longitude, latitude), which says how long it is where no edge does.
        """
        graph = self._graph
        known: list[tuple[int, float]] = []
        if graph is not None:
            places = graph.position_of_edge
            found = [(places[name], share) for name, share in edges if name in places]
            known = [one for one in found if one[1] >= _LEAST_SHARE] or found
        if graph is None or not known:
            return RoadLie(-1, -1, frozenset(), _length_m(line), 1.0)
        begins = [int(graph.edge_from[edge]) for edge, _ in known]
        ends = [int(graph.edge_to[edge]) for edge, _ in known]
        lengths = [graph.length_list[edge] * share for edge, share in known]
        length_m = sum(lengths)
        lanes = sum(int(graph.lanes[edge]) * metres for (edge, _), metres in zip(known, lengths, strict=True))
        return RoadLie(begins[0], ends[-1], frozenset(begins + ends), length_m, lanes / length_m if length_m else 1.0)


def _length_m(line: Sequence[tuple[float, float]]) -> float:
    return sum(
        hypot((lon_b - lon_a) * cos(radians(lat_a)), lat_b - lat_a) * METRES_PER_DEGREE
        for (lon_a, lat_a), (lon_b, lat_b) in pairwise(line)
    )
