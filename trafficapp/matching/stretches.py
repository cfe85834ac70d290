"""What was driven between two settled fixes, edge by edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from trafficapp.matching.fixes import SettledFixes
from trafficapp.matching.roads import MatchingRoads

#: Ways longer than this many edges are not looked up: two fixes are no farther apart than the ways that are known.
_MOST_EDGES = 64


class Stretch(NamedTuple):
    """A part of an edge that a vehicle drove.

    Attributes:
        edge: position of the edge.
        metres: along it; less than 0 where a later fix seems to be behind.
        seconds: it took.
    """

    edge: int
    metres: float
    seconds: float


class Stretches:
    """Cuts ways between settled fixes at the borders of edges.

    A vehicle is taken to have driven with one speed between two fixes, across junctions too; what these take is on no
    edge.

    Args:
        roads: the graph.
    """

    def __init__(self, roads: MatchingRoads) -> None:
        self._roads = roads
        self._lengths: list[float] = roads.graph.length_m.tolist()
        self._drawn: list[float] = roads.length_m.tolist()
        self._between: dict[tuple[int, int], tuple[int, ...] | None] = {}

    def of(self, settled: SettledFixes) -> Iterator[Sequence[Stretch]]:
        """For each settled fix what was driven since the one before, in order; nothing where that is not known."""
        columns = zip(
            settled.before_edge.tolist(),
            settled.before_offset_m.tolist(),
            settled.edge.tolist(),
            settled.offset_m.tolist(),
            settled.way_m.tolist(),
            ((settled.time_us - settled.before_us) / 1e6).tolist(),
            strict=True,
        )
        for before, before_m, edge, at_m, way_m, seconds in columns:
            if before < 0:
                yield ()
            elif before == edge and way_m <= self._drawn[edge]:
                yield (Stretch(edge, at_m - before_m, seconds),)
            else:
                yield self._across(before, before_m, edge, at_m, way_m, seconds)

    def _across(
        self, before: int, before_m: float, edge: int, at_m: float, way_m: float, seconds: float
    ) -> Sequence[Stretch]:
        if (before, edge) not in self._between:
            self._between[before, edge] = self._find(before, edge)
        between = self._between[before, edge]
        if between is None or way_m <= 0:
            return ()
        metres = [self._lengths[before] - before_m, *(self._lengths[one] for one in between), at_m]
        per_metre = seconds / max(way_m, sum(metres))
        return [
            Stretch(one, part, part * per_metre) for one, part in zip((before, *between, edge), metres, strict=True)
        ]

    def _find(self, before: int, after: int) -> tuple[int, ...] | None:
        """The edges between two, by the shortest way over allowed turns; None where there is none."""
        graph, ways = self._roads.graph, self._roads.ways
        found: list[int] = []
        here = before
        while len(found) < _MOST_EDGES:
            following = np.array([graph.turn_heads[turn] for turn in graph.turns_out_of[here]], np.int64)
            if after in following:
                return tuple(found)
            if not len(following):
                return None
            to_it = ways.metres(np.full_like(following, here), following)
            on = to_it + self._roads.length_m[following] + ways.metres(following, np.full_like(following, after))
            here = int(following[on.argmin()])
            if on.min() == np.inf:
                return None
            found.append(here)
        return None
