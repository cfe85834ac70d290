"""The slow reference: Dijkstra's algorithm over the ends of edges. Shares no code with the router."""

from __future__ import annotations

import heapq
from itertools import pairwise
from math import inf

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.routing.weights import TravelTimes


class Reference:
    """Costs between nodes under one set of travel times."""

    def __init__(self, graph: RoadGraph, seconds: np.ndarray) -> None:
        self.graph, self.seconds = graph, seconds
        costs = graph.turn_seconds + seconds[graph.turn_to]
        count = graph.edge_count
        self.matrix = csr_array((costs, (graph.turn_from, graph.turn_to)), shape=(count, count))

    def cost(self, from_node: int, to_node: int) -> float:
        """Seconds from a node to another one over an edge or more; inf when no way leads there."""
        first = np.flatnonzero(self.graph.edge_from == from_node)
        last = np.flatnonzero(self.graph.edge_to == to_node)
        if not len(first) or not len(last):
            return inf
        reached = dijkstra(self.matrix, indices=first)[:, last]
        return float((self.seconds[first][:, None] + reached).min())


def arrival_by_the_clock(
    graph: RoadGraph, times: TravelTimes, from_node: int, to_node: int, departure_seconds: float
) -> float:
    """The earliest arrival at a node when travel times change under way, on the whole graph."""
    queue = [
        (times.leave(int(edge), departure_seconds), int(edge)) for edge in np.flatnonzero(graph.edge_from == from_node)
    ]
    heapq.heapify(queue)
    done: set[int] = set()
    while queue:
        now, edge = heapq.heappop(queue)
        if edge in done:
            continue
        done.add(edge)
        if graph.edge_to[edge] == to_node:
            return now
        for turn in np.flatnonzero(graph.turn_from == edge):
            after = int(graph.turn_to[turn])
            heapq.heappush(queue, (times.leave(after, now + float(graph.turn_seconds[turn])), after))
    return inf


def cost_of(graph: RoadGraph, seconds: np.ndarray, edges: list[int]) -> float:
    """Seconds along edges, each reached by an allowed turn.

    Raises:
        KeyError: a turn is not allowed.
    """
    turns = {
        (before, after): seconds
        for before, after, seconds in zip(
            graph.turn_from.tolist(), graph.turn_to.tolist(), graph.turn_seconds.tolist(), strict=True
        )
    }
    steps = sum(turns[pair] for pair in pairwise(edges))
    return float(seconds[edges].sum() + steps)
