"""Places on roads that lead nowhere, or are not reached, are moved to the nearest ones from and to which ways lead.

A car park whose exit is missing in the data, or a harbour behind a closed road, is an island: of whatever size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from trafficapp.roads.graph.index import PlaceOnEdge, RoadIndex
from trafficapp.roads.graph.road_graph import Floats, RoadGraph
from trafficapp.roads.routing.search import Ends

Truths = npt.NDArray[np.bool_]
#: In road data of cities, all but a percent or two hang together.
_NEARLY_ALL = 0.9
#: One end of a route.
End = Literal["origin", "destination"]


class Neighbours(NamedTuple):
    """The edges after each edge, and those before it."""

    onward: list[list[int]]
    back: list[list[int]]


class Mainland(NamedTuple):
    """The largest set of edges between all of which one can drive, and what is joined to it one way.

    Attributes:
        size: edges of the set itself.
        most: whether it has nearly the whole length of all roads, so that what is beside it is an island.
        leads_there: for each edge whether a way leads from it onto the mainland.
        reached: for each edge whether a way leads to it from the mainland.
    """

    size: int
    most: bool
    leads_there: Truths
    reached: Truths


def mainland(neighbours: Neighbours, open_edges: Truths, length_m: Floats) -> Mainland:
    """Find the mainland of a graph.

    Args:
        neighbours: of each edge, without closed ones.
        open_edges: for each edge whether it may be driven.
        length_m: of each edge.
    """
    largest = _largest_component(*neighbours, np.flatnonzero(open_edges).tolist())
    most = bool(length_m[largest].sum() > _NEARLY_ALL * length_m[open_edges].sum())
    return Mainland(len(largest), most, _from(neighbours.back, largest), _from(neighbours.onward, largest))


def _neighbours(graph: RoadGraph, open_edges: Truths) -> Neighbours:
    both = open_edges[graph.turn_from] & open_edges[graph.turn_to]
    onward: list[list[int]] = [[] for _ in range(graph.edge_count)]
    back: list[list[int]] = [[] for _ in range(graph.edge_count)]
    for tail, head in zip(graph.turn_from[both].tolist(), graph.turn_to[both].tolist(), strict=True):
        onward[tail].append(head)
        back[head].append(tail)
    return Neighbours(onward, back)


def _largest_component(onward: Sequence[list[int]], back: Sequence[list[int]], edges: list[int]) -> list[int]:
    """The largest strongly connected component (Kosaraju); of several the one that is found first."""
    finished: list[int] = []
    seen = [False] * len(onward)
    for root in edges:
        if seen[root]:
            continue
        seen[root] = True
        stack = [(root, iter(onward[root]))]
        while stack:
            edge, heads = stack[-1]
            for head in heads:
                if not seen[head]:
                    seen[head] = True
                    stack.append((head, iter(onward[head])))
                    break
            else:
                finished.append(edge)
                stack.pop()
    largest: list[int] = []
    taken = [False] * len(onward)
    for root in reversed(finished):
        if taken[root]:
            continue
        taken[root] = True
        component = [root]
        for edge in component:
            for tail in back[edge]:
                if not taken[tail]:
                    taken[tail] = True
                    component.append(tail)
        if len(component) > len(largest):
            largest = component
    return largest


def _from(neighbours: Sequence[list[int]], begin: list[int]) -> Truths:
    """Edges that are reached from some, those included."""
    found = np.zeros(len(neighbours), bool)
    found[begin] = True
    queue = list(dict.fromkeys(begin))
    for edge in queue:
        for other in neighbours[edge]:
            if not found[other]:
                found[other] = True
                queue.append(other)
    return found


class Moved(NamedTuple):
    """Places that a way leads between, in the place of others.

    Attributes:
        begin: where to start.
        end: where to arrive.
        which: which of the ends is another one.
        to_most_roads: whether the route is on the mainland, and this is nearly the whole graph.
    """

    begin: list[PlaceOnEdge]
    end: list[PlaceOnEdge]
    which: tuple[End, ...]
    to_most_roads: bool = False

    @property
    def metres(self) -> float:
        """How far both are from the places that were asked for."""
        return sum(min(place.distance_m for place in places) for places in (self.begin, self.end))


class Islands:
    """Finds other places where no way leads from one place to another: on roads that lead to the rest.

    Args:
        index: of the graph.
    """

    def __init__(self, index: RoadIndex) -> None:
        self._index, self._graph = index, index.graph
        # of one state of the roads: the last one asked for
        self._known: tuple[bytes, Neighbours, Mainland] | None = None

    def moved(
        self, origin: tuple[float, float], destination: tuple[float, float], ends: Ends, open_edges: Truths
    ) -> list[Moved]:
        """Places between which a way leads, the least moved first.

        Args:
            origin: latitude and longitude asked for.
            destination: latitude and longitude asked for.
            ends: the places on roads between which none leads.
            open_edges: for each edge whether it may be driven.
        """
        begin, end = list(ends.origins), list(ends.destinations)
        neighbours, whole = self._of(open_edges)
        found = [
            Moved(self._onto(origin, neighbours.back, end, open_edges, before=True), end, ("origin",)),
            Moved(begin, self._onto(destination, neighbours.onward, begin, open_edges, before=False), ("destination",)),
            self._to_the_mainland(origin, destination, begin, end, whole),
        ]
        return sorted((one for one in found if one.begin and one.end), key=lambda one: one.metres)

    def _of(self, open_edges: Truths) -> tuple[Neighbours, Mainland]:
        """What hangs together; remembered, since it takes a tenth of a second and roads are seldom closed."""
        key, known = np.packbits(open_edges).tobytes(), self._known
        if known is None or known[0] != key:
            neighbours = _neighbours(self._graph, open_edges)
            known = self._known = key, neighbours, mainland(neighbours, open_edges, self._graph.length_m)
        return known[1], known[2]

    def _onto(
        self,
        place: tuple[float, float],
        neighbours: list[list[int]],
        others: list[PlaceOnEdge],
        open_edges: Truths,
        *,
        before: bool,
    ) -> list[PlaceOnEdge]:
        """The nearest place that a way leads from to one of the others (or to, from one of them)."""
        first = [edge for other in others for edge in neighbours[other.edge]]
        useful = _from(neighbours, first)
        # on the same edge one drives on to what is ahead only
        for other in others:
            if not useful[other.edge] and open_edges[other.edge]:
                fraction = self._index.place_on(*place, other.edge).fraction
                useful[other.edge] = fraction <= other.fraction if before else fraction >= other.fraction
        return self._index.nearest_of(*place, useful)

    def _to_the_mainland(
        self,
        origin: tuple[float, float],
        destination: tuple[float, float],
        begin: list[PlaceOnEdge],
        end: list[PlaceOnEdge],
        found: Mainland,
    ) -> Moved:
        if found.size < 2:  # nobody drives in circles there
            return Moved([], [], ())
        which: list[End] = []
        if not any(found.leads_there[place.edge] for place in begin):
            begin = self._index.nearest_of(*origin, found.leads_there)
            which.append("origin")
        if not any(found.reached[place.edge] for place in end):
            end = self._index.nearest_of(*destination, found.reached)
            which.append("destination")
        return Moved(begin, end, tuple(which), found.most)
