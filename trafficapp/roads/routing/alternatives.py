"""Ways that are worth a choice: by way of other roads, long enough apart, not much longer, and without detours.

Candidates are quickest *by way of* an edge (Abraham, Delling, Goldberg, Werneck: Alternative Routes in Road Networks,
2010). Two sweeps tell the time by way of some hundred edges around the best way. The best of each side and part of
the way are looked at. The piece around the via edge must itself be a quickest way, and each piece that leaves the best
way and comes back must not take much longer than what it replaces.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from trafficapp.roads.graph.road_graph import Floats, Integers, RoadGraph
from trafficapp.roads.routing.router import Metric, Questions, State
from trafficapp.roads.routing.search import Drive, Quickest

#: Via edges that are swept, and ways that are looked at, per question.
_VIA_EDGES = 400
_LOOKED_AT = 12
#: So many of all edges are mostly enough to find the via edges among.
_SWEPT_FIRST = 2000
#: Around the via edge, this share of the best time must be a quickest way.
_LOCALLY_OPTIMAL = 0.25
#: Via edges lie within the best way's bounds, widened by this share of their size, and by this many metres at least.
_WIDER = 0.5
_WIDER_M = 1000.0
#: Where via edges lie beside the way, as shares of the distance as the crow flies: the quickest of each field counts.
_ASIDE = np.array([-0.3, -0.15, -0.06, 0.0, 0.06, 0.15, 0.3])
_ALONG = np.array([0.35, 0.65])
#: Nearer to the way there is rarely another one.
_LEAST_ASIDE = 0.03
#: Times of ways are sums of rounded milliseconds.
_ROUNDING = 1.001
_SEED = 20260101


@dataclass(frozen=True, slots=True)
class Bounds:
    """What makes a way an alternative.

    Attributes:
        different: share of its length, and of the other way's, that the two do not have in common, at least.
        longer: its time and its length may each be this many times those of the best, at most.
        count: how many alternatives are wanted at most.
    """

    different: float = 0.3
    longer: float = 1.5
    count: int = 2


class Chosen:
    """The ways that were chosen so far, and which others differ enough from all of them."""

    def __init__(self, graph: RoadGraph, best: Drive, bounds: Bounds) -> None:
        """Begin with the best way."""
        self.drives: list[Drive] = []
        self._bounds = bounds
        self._most = 1 - bounds.different
        self._length_m = graph.length_list
        self._known: list[tuple[frozenset[int], float]] = []
        self.add(best)

    @property
    def complete(self) -> bool:
        """Whether there are enough."""
        return len(self.drives) > self._bounds.count

    def add(self, drive: Drive) -> None:
        """Choose a way."""
        self.drives.append(drive)
        edges = frozenset(drive.edges)
        self._known.append((edges, self._length(edges)))

    def differs(self, edges: Sequence[int]) -> bool:
        """Whether a way has so much of its own, and lacks so much of each chosen one, that it is another way."""
        whole = self._length(edges)
        return all(self._common(edges, known) <= self._most * min(whole, length) for known, length in self._known)

    def may_differ(self, edges: Sequence[int]) -> bool:
        """Whether a way that begins like this can be another one: not too much of a chosen one is in it already."""
        return all(self._common(edges, known) <= self._most * length for known, length in self._known)

    def _common(self, edges: Sequence[int], known: frozenset[int]) -> float:
        return self._length(known.intersection(edges))

    def _length(self, edges: Iterable[int]) -> float:
        return sum(map(self._length_m.__getitem__, edges))


class ViaEdges:
    """Chooses edges that alternatives may lead over: by chance, but always the same; fast and wide roads sooner."""

    def __init__(self, graph: RoadGraph, points: Floats) -> None:
        """Order the edges of a graph; points are those of its lines in metres."""
        self._begins, self._finishes = points[graph.shape_offsets[:-1]], points[graph.shape_offsets[1:] - 1]
        self._middles = (self._begins + self._finishes) / 2
        weight = graph.free_flow_kmh * graph.lanes
        chance = np.random.default_rng(_SEED).random(graph.edge_count)
        self._order = np.argsort(-(chance ** (1 / weight)), kind="stable")
        self._east, self._north = (np.ascontiguousarray(column) for column in self._middles[self._order].T)

    def around(self, way: Floats) -> Integers:
        """Some hundred edges in the neighbourhood of a line."""
        low, high = way.min(axis=0), way.max(axis=0)
        margin = max(float((high - low).max()) * _WIDER, _WIDER_M)
        low, high = low - margin, high + margin
        found = self._inside(slice(_SWEPT_FIRST), low, high)
        if len(found) < _VIA_EDGES:
            found = np.concatenate([found, self._inside(slice(_SWEPT_FIRST, None), low, high)])
        return self._order[found[:_VIA_EDGES]]

    def _inside(self, piece: slice, low: Floats, high: Floats) -> Integers:
        """Where in a piece of the order edges are that lie within bounds."""
        east, north = self._east[piece], self._north[piece]
        inside = (east >= low[0]) & (east <= high[0]) & (north >= low[1]) & (north <= high[1])
        return np.flatnonzero(inside) + (piece.start or 0)

    def best_of_each_field(self, edges: Sequence[int], way: Floats, via: Integers, seconds: Floats) -> Integers:
        """The best via edge left and right of a way, near and far, early and late; the most promising first.

        Best is quick, and beside the middle of the way: what branches off late has much in common with it.

        Args:
            edges: the way.
            way: its line.
            via: edges beside it; those on it do not count.
            seconds: time by way of each.
        """
        places = self._middles[via]
        chord = way[-1] - way[0]
        square = max(float(chord @ chord), 1.0)
        across = np.array([-chord[1], chord[0]])
        along_way = np.maximum.accumulate((way - way[0]) @ chord / square)
        along = (places - way[0]) @ chord / square
        aside = (places - way[0]) @ across / square - np.interp(along, along_way, (way - way[0]) @ across / square)
        field = np.searchsorted(_ASIDE, aside) * (len(_ALONG) + 1) + np.searchsorted(_ALONG, along)
        order = np.lexsort((via, seconds * (1 + abs(along - 0.5))))
        on_way = np.zeros(len(self._middles), bool)
        on_way[list(edges)] = True
        order = order[(abs(aside[order]) >= _LEAST_ASIDE) & ~on_way[via[order]]]
        _, firsts = np.unique(field[order], return_index=True)
        best: Integers = order[np.sort(firsts)]
        return via[best]

    def line(self, edges: Sequence[int]) -> Floats:
        """The junctions along a way, and its ends."""
        line: Floats = np.concatenate([self._begins[[edges[0]]], self._finishes[list(edges)]])
        return line


def by_way_of_others(
    metric: Metric, quickest: Quickest, via_edges: ViaEdges, chosen: Chosen, longer: float
) -> Iterator[Drive]:
    """Drives by way of other edges, most promising first, that differ from those chosen and make no detour.

    Args:
        metric: travel times.
        quickest: the quickest drive under them.
        via_edges: edges to try.
        chosen: the drives chosen so far; the caller adds to them.
        longer: drives that take more than this many times the quickest are left out.
    """
    states, best, seconds = quickest
    questions = metric.questions()
    line = via_edges.line(best.edges)
    via = via_edges.around(line)
    there, on = metric.seconds_by_way_of(states.origins, states.destinations, via)
    quick = there + on <= seconds * longer * _ROUNDING
    straight = Straight(metric, best, longer)
    seen: set[int] = set()
    for edge in via_edges.best_of_each_field(best.edges, line, via[quick], (there + on)[quick])[:_LOOKED_AT].tolist():
        if edge in seen:
            continue
        by_way = [State(edge, 0.0)]
        first = questions.way(states.origins, by_way)
        if first is None:
            continue
        if not chosen.may_differ(first.edges):
            seen.update(first.edges)
            continue
        second = questions.way(by_way, states.destinations)
        if second is None:
            continue
        drive = states.drive(first.edges + second.edges[1:], first.turns + second.turns)
        seen.update(drive.edges)
        if not chosen.differs(drive.edges):
            continue
        reached = _reached(metric, drive)
        if straight.includes(drive, reached) and _locally_optimal(
            questions, drive, reached, len(first.edges) - 1, seconds * _LOCALLY_OPTIMAL
        ):
            yield drive


class Straight:
    """Drives whose pieces off the best way take not much longer than what they replace."""

    def __init__(self, metric: Metric, best: Drive, longer: float) -> None:
        """Note when the best way is where."""
        self._reached = _reached(metric, best)
        self._place = {edge: number for number, edge in enumerate(best.edges)}
        self._longer = longer

    def includes(self, drive: Drive, reached: list[float]) -> bool:
        """Whether a drive is one of them.

        Args:
            drive: the drive.
            reached: when it is at the end of each edge.
        """
        left = came_back = 0
        for number, place in enumerate(map(self._place.get, drive.edges)):
            if place is None:
                continue
            if place < came_back:
                return False
            replaced = self._reached[place] - self._reached[came_back]
            if reached[number] - reached[left] > replaced * self._longer * _ROUNDING + 0.01:
                return False
            left, came_back = number, place
        return True


def _reached(metric: Metric, drive: Drive) -> list[float]:
    """When a drive is at the end of each edge, from the end of the first on."""
    return list(accumulate(map(metric.turn_list.__getitem__, drive.turns), initial=0.0))


def _locally_optimal(questions: Questions, drive: Drive, reached: list[float], via: int, around_seconds: float) -> bool:
    """Whether the piece of a drive around its via edge, so long on each side, is a quickest way.

    The piece goes on to the end of the edge after it: at the end of its own last edge one can only be over that edge.
    """
    edges = drive.edges
    first = max(bisect_right(reached, reached[via] - around_seconds) - 1, 0)
    last = min(bisect_left(reached, reached[via] + around_seconds) + 1, len(edges) - 1)
    seconds = questions.seconds([State(edges[first], 0.0)], [State(edges[last], 0.0)])
    return reached[last] - reached[first] <= seconds * _ROUNDING + 0.01
