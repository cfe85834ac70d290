"""Quickest ways through the road graph, for travel times that change.

A state of the search is the *end of an edge*; going on to the next edge costs the turn and that edge. So forbidden
turns need no special care: there is no arc for them. The search runs on customizable contraction hierarchies (Dibbelt,
Strasser, Wagner: Customizable Contraction Hierarchies, 2016), built once per graph; travel times are given to it in
milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from operator import itemgetter
from typing import NamedTuple, Protocol

import numpy as np
import routingkit_cch

from trafficapp.roads.graph.road_graph import Floats, Integers, RoadGraph

#: What an edge may take; a closed edge takes ``math.inf``.
LONGEST_EDGE_SECONDS = 2 * 86_400.0
_CLOSED = 2**31 - 1
_MILLISECONDS = 1000


class State(NamedTuple):
    """The end of an edge, and what it takes to get there (or on from there) in seconds."""

    edge: int
    seconds: float


class Way(NamedTuple):
    """A way through the graph.

    Attributes:
        edges: every edge in order, the first and the last state's included.
        turns: the turns between them; one less than edges.
        seconds: from the beginning of the first offset to the end of the last.
    """

    edges: list[int]
    turns: list[int]
    seconds: float


class Questions(Protocol):
    """Questions of one thread under one metric, one after the other: a little quicker than each by itself."""

    def way(self, origins: Sequence[State], destinations: Sequence[State]) -> Way | None:
        """The quickest way from any origin to any destination, or None when there is none."""

    def seconds(self, origins: Sequence[State], destinations: Sequence[State]) -> float:
        """What the quickest way takes, in rounded milliseconds, inf when there is none: a third of the work."""


class Metric(Protocol):
    """Travel times, ready for questions. It never changes, and any number of threads may ask it."""

    @property
    def seconds(self) -> Floats:
        """What each edge takes; cannot be written."""

    @property
    def turn_list(self) -> list[float]:
        """What each turn takes with the edge behind it."""

    def way(self, origins: Sequence[State], destinations: Sequence[State]) -> Way | None:
        """The quickest way from any origin to any destination, or None when there is none."""

    def questions(self) -> Questions:
        """For many questions of the thread that calls this."""

    def seconds_by_way_of(
        self, origins: Sequence[State], destinations: Sequence[State], via: Integers
    ) -> tuple[Floats, Floats]:
        """Quickest times from the origins to the end of each via edge, and on to the destinations; inf for none."""

    def seconds_from(self, edges: Integers, destinations: Sequence[State]) -> Floats:
        """Quickest times from the end of each edge to the destinations, in rounded milliseconds; inf for none."""

    def updated(self, seconds_by_edge: Mapping[int, float]) -> Metric:
        """New travel times that differ in some edges; these stay as they are."""


class Router(Protocol):
    """Makes metrics for one graph."""

    @property
    def graph(self) -> RoadGraph:
        """The graph the router is for."""

    def customize(self, seconds: Floats) -> Metric:
        """Make travel times, one per edge, ready for questions.

        Raises:
            ValueError: not one per edge, or a time is not a number, zero, negative or too long.
        """


class CchRouter:
    """A router with contraction hierarchies of routingkit-cch."""

    def __init__(self, graph: RoadGraph) -> None:
        """Order and contract the graph (a third of a second for 19,000 edges)."""
        self.graph = graph
        tail: list[int] = graph.turn_from.tolist()
        head: list[int] = graph.turn_to.tolist()
        self.turn_from, self.turn_to = tail, head
        middle = (graph.shape_offsets[:-1] + graph.shape_offsets[1:]) // 2
        lat, lon = graph.shape_lat[middle].tolist(), graph.shape_lon[middle].tolist()
        order = routingkit_cch.compute_order_inertial(graph.edge_count, tail, head, lat, lon)
        self._hierarchy = routingkit_cch.CCH(order, tail, head, False)

    def customize(self, seconds: Floats) -> CchMetric:
        """See ``Router``: 5 ms for 19,000 edges, so changed times are a new metric, and no metric ever changes."""
        seconds = np.array(seconds, np.float64)
        if seconds.shape != (self.graph.edge_count,):
            raise ValueError(f"{seconds.shape} travel times for {self.graph.edge_count} edges")
        wrong = ~((seconds > 0) & (seconds <= LONGEST_EDGE_SECONDS)) & (seconds != inf)
        if wrong.any():
            edge = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"edge {str(self.graph.edge_ids[edge])!r} cannot take {seconds[edge]} s")
        seconds.setflags(write=False)
        turn_seconds = self.graph.turn_seconds + seconds[self.graph.turn_to]
        milliseconds = np.where(turn_seconds == inf, _CLOSED, np.rint(turn_seconds * _MILLISECONDS)).astype(np.int64)
        metric = routingkit_cch.CCHMetric(self._hierarchy, np.maximum(milliseconds, 1).tolist())
        return CchMetric(self, seconds, turn_seconds, metric)


@dataclass(frozen=True, eq=False)
class CchMetric:
    """See ``Metric``. The library's queries belong to the thread that makes them, and none outlives its question."""

    router: CchRouter
    seconds: Floats
    _turn_seconds: Floats
    _metric: routingkit_cch.CCHMetric

    def way(self, origins: Sequence[State], destinations: Sequence[State]) -> Way | None:
        """See ``Metric``."""
        return self.questions().way(origins, destinations)

    def questions(self) -> CchQuestions:
        """See ``Metric``."""
        return CchQuestions(self, routingkit_cch.CCHQuery(self._metric))

    def seconds_by_way_of(
        self, origins: Sequence[State], destinations: Sequence[State], via: Integers
    ) -> tuple[Floats, Floats]:
        """See ``Metric``."""
        pinned = self._checked(via.tolist())
        there = routingkit_cch.CCHOneToMany(self._metric, pinned).distances_from_multi(self.whole(origins))
        on = routingkit_cch.CCHManyToOne(self._metric, pinned).distances_to_multi(self.whole(destinations))
        return _in_seconds(there), _in_seconds(on)

    def seconds_from(self, edges: Integers, destinations: Sequence[State]) -> Floats:
        """See ``Metric``."""
        if not len(edges) or not destinations:
            # over nothing the library panics
            return np.full(len(edges), inf)
        to_all = routingkit_cch.CCHManyToOne(self._metric, self._checked(edges.tolist()))
        return _in_seconds(to_all.distances_to_multi(self.whole(destinations)))

    def updated(self, seconds_by_edge: Mapping[int, float]) -> CchMetric:
        """See ``Metric``."""
        seconds = self.seconds.copy()
        seconds[self._checked(list(seconds_by_edge))] = list(seconds_by_edge.values())
        return self.router.customize(seconds)

    @cached_property
    def turn_list(self) -> list[float]:
        """Times of the turns with the edges behind them: a list is quicker to look up one by one."""
        turn_seconds: list[float] = self._turn_seconds.tolist()
        return turn_seconds

    def whole(self, states: Sequence[State]) -> list[tuple[int, int]]:
        """States as the library takes them.

        Raises:
            ValueError: one that the library would panic over.
        """
        count = self.router.graph.edge_count
        whole = []
        for edge, seconds in states:
            if not (0 <= edge < count and 0 <= seconds <= LONGEST_EDGE_SECONDS):
                raise ValueError(f"no state: edge {edge} after {seconds} s")
            whole.append((edge, round(seconds * _MILLISECONDS)))
        return whole

    def _checked(self, edges: list[int]) -> list[int]:
        """Edges the library may be given: over others it panics."""
        count = self.router.graph.edge_count
        if edges and not (min(edges) >= 0 and max(edges) < count):
            raise ValueError("an edge that is not in the graph")
        return edges


@dataclass(frozen=True, eq=False)
class CchQuestions:
    """See ``Questions``."""

    metric: CchMetric
    _query: routingkit_cch.CCHQuery

    def way(self, origins: Sequence[State], destinations: Sequence[State]) -> Way | None:
        """See ``Questions``."""
        if not origins or not destinations:
            return None
        metric = self.metric
        starts, ends = metric.whole(origins), metric.whole(destinations)
        found = self._query.run_multi(starts, ends)
        if found.distance is None or found.distance >= _CLOSED:
            return None
        turns = found.arc_path
        # Each path that is asked for is unpacked from shortcuts anew; the turns tell the edges sooner.
        if len(turns) > 1:
            of_turns = itemgetter(*turns)  # half as long as one by one
            edges = [metric.router.turn_from[turns[0]], *of_turns(metric.router.turn_to)]
            seconds = sum(of_turns(metric.turn_list))
        else:
            edges = found.node_path
            seconds = sum(metric.turn_list[turn] for turn in turns)
        return Way(edges, turns, seconds + _least(origins, edges[0]) + _least(destinations, edges[-1]))

    def seconds(self, origins: Sequence[State], destinations: Sequence[State]) -> float:
        """See ``Questions``."""
        found = self._query.run_multi(self.metric.whole(origins), self.metric.whole(destinations)).distance
        return inf if found is None or found >= _CLOSED else float(found) / _MILLISECONDS


def _least(states: Sequence[State], edge: int) -> float:
    return min(state.seconds for state in states if state.edge == edge)


def _in_seconds(milliseconds: list[int | None]) -> Floats:
    whole = np.array(milliseconds, float)  # None becomes NaN
    return np.where(whole < _CLOSED, whole / _MILLISECONDS, inf)


def node_states(metric: Metric, graph: RoadGraph, from_node: int, to_node: int) -> tuple[list[State], list[State]]:
    """Origins and destinations of a way between two nodes: any edge out of the one, any edge into the other."""
    seconds = metric.seconds
    origins = [State(edge, float(seconds[edge])) for edge in graph.edges_out_of[from_node] if seconds[edge] < inf]
    return origins, [State(edge, 0.0) for edge in graph.edges_into[to_node]]
