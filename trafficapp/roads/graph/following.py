"""Which roads follow each other, seen from the turns of the graph."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from trafficapp.roads.graph.road_graph import RoadGraph

#: Between two measured roads may lie so much of roads that nobody measures.
REACH_M = 1000.0

#: A gap of this length halves the weight of a link.
_HALVING_GAP_M = 200.0


def following_roads(
    graph: RoadGraph, edges_of_road: Mapping[str, Sequence[str]], reach_m: float = REACH_M
) -> list[tuple[str, str, float]]:
    """Pairs of roads of which the second can be driven next, with a weight that is less the further it is away.

    Args:
        graph: the road graph.
        edges_of_road: the edges that each measured road is on; edges that the graph does not have are left out.
        reach_m: how far the second road may begin behind the first.

    Returns:
        from, to, weight from 1 (it begins where the first one ends) down; sorted.
    """
    places = {
        road: [graph.position_of_edge[edge] for edge in edges if edge in graph.position_of_edge]
        for road, edges in edges_of_road.items()
    }
    measured: defaultdict[int, set[str]] = defaultdict(set)
    for road, edges in places.items():
        for edge in edges:
            measured[edge].add(road)
    return sorted(
        (road, other, 1 / (1 + gap_m / _HALVING_GAP_M))
        for road, edges in places.items()
        for other, gap_m in _next_roads(graph, road, edges, measured, reach_m).items()
    )


def _next_roads(
    graph: RoadGraph, road: str, edges: Sequence[int], measured: Mapping[int, set[str]], reach_m: float
) -> dict[str, float]:
    """The first measured roads on every way that leads off a road, and how far behind it they begin."""
    found: dict[str, float] = {}
    own, seen = frozenset(edges), set[int]()
    ahead = [(0.0, edge) for edge in edges]
    while ahead:
        gap_m, edge = heapq.heappop(ahead)
        if edge in seen:
            continue
        seen.add(edge)
        others: set[str] = measured.get(edge, set()) - {road}
        if others and edge not in own:
            for other in others:
                found.setdefault(other, gap_m)
            continue
        behind_m = gap_m if edge in own else gap_m + graph.length_list[edge]
        if behind_m <= reach_m:
            for onto in _turns_onto(graph, edge):
                heapq.heappush(ahead, (behind_m, onto))
    return found


def _turns_onto(graph: RoadGraph, edge: int) -> Iterator[int]:
    return (graph.turn_heads[turn] for turn in graph.turns_out_of[edge])
