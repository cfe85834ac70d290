"""A hidden Markov model over the road graph, for many vehicles at once and as their fixes come.

Where a vehicle is on the graph is hidden, its fixes are what is seen; a fix fits an edge by distance and heading, two
edges fit each other by the way from one to the other, compared with the distance of the fixes and with what their
speeds say (Newson and Krumm, 2009). Of each possible edge of the newest fix the best way there is remembered (Viterbi),
so far as its fixes are not settled: a fix is settled when one comes that is ``delay_us`` younger or more, by the best
way to the last that is not younger than that, or when nothing came for so long.
"""

from __future__ import annotations

import numpy as np

from trafficapp.matching.candidates import candidates_of
from trafficapp.matching.fixes import Advanced, Fixes, MatchedFixes, SettledFixes
from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.rule import MatchingRule
from trafficapp.matching.steps import TOLD, Steps, rounds_of
from trafficapp.matching.traces import COUNT, HEARD, TIME, Traces
from trafficapp.matching.wrong_way import wrong_ways
from trafficapp.roads.graph.road_graph import Floats, Integers


class Matcher:
    """Puts fixes onto the graph.

    Args:
        roads: the graph.
        rule: the model in numbers.
    """

    def __init__(self, roads: MatchingRoads, rule: MatchingRule) -> None:
        self._roads, self._rule = roads, rule

    @property
    def graph_version(self) -> str:
        """Of the graph that edges are of."""
        return self._roads.graph.version

    def advance(self, traces: Traces, fixes: Fixes, clock_us: int) -> Advanced:
        """Take in fixes. Of a vehicle only those count that are younger than all before.

        Args:
            traces: of the vehicles; changed.
            fixes: any number, in the order they came.
            clock_us: when they came, by the clock that `settle` is called with.
        """
        slots = traces.slots_of(fixes.vehicles)
        places = self._roads.flat.metres(fixes.lat, fixes.lon).T
        times = fixes.time_us.astype(float)
        now = np.zeros((4, len(slots)))
        now[0] = -1
        settled: list[tuple[Integers, Integers, Floats]] = []
        wrong = []
        for chosen in rounds_of(slots):
            rows = traces.take(slots[chosen])
            rows[:, HEARD] = clock_us
            time, (east, north) = times[chosen], places[:, chosen]
            speed, heading = fixes.speed_kmh[chosen], fixes.heading[chosen]
            late = (time <= rows[:, TIME]) & (rows[:, COUNT] > 0)
            if late.any():
                # on no map, so it has no candidates
                east = np.where(late, np.inf, east)
            found = candidates_of(self._roads, self._rule, east, north, heading, speed)
            steps = Steps(self._roads, self._rule, rows)
            steps.take(found, time, east, north, speed)
            now[:, chosen[steps.taken]] = steps.best
            settled += [(slots[by := chosen[row]], by, told) for row, told in steps.settled]
            against = wrong_ways(found, rows, time, east, north, speed, heading)
            wrong += [(int(chosen[row]), edge, bearing) for row, edge, bearing in against]
            traces.put(slots[chosen], rows)
        edge = now[0].astype(np.int64)
        seems = MatchedFixes(
            list(fixes.vehicles), fixes.time_us, edge, now[1] * self._roads.scale[edge], now[2], now[3], fixes.speed_kmh
        )
        return Advanced(seems, self._matched(traces, settled), wrong)

    def settle(self, traces: Traces, clock_us: int) -> SettledFixes:
        """Settle all fixes of vehicles that were not heard for the delay."""
        slots = traces.silent_since(clock_us - self._rule.delay_us)
        if not len(slots):
            return self._matched(traces, [])
        rows = traces.take(slots)
        steps = Steps(self._roads, self._rule, rows)
        steps.tell(np.full(len(slots), np.inf))
        traces.put(slots, rows)
        return self._matched(traces, [(slots[row], np.full(len(row), -1), told) for row, told in steps.settled])

    def _matched(self, traces: Traces, settled: list[tuple[Integers, Integers, Floats]]) -> SettledFixes:
        if not settled:
            nobody = np.empty(0, np.int64)
            settled = [(nobody, nobody, np.empty((TOLD, 0)))]
        slots, by = (np.concatenate(column) for column in zip(*((row, by) for row, by, _ in settled), strict=True))
        told = np.concatenate([told for _, _, told in settled], axis=1)
        time, edges, offset, distance, confidence, speed, before_time, before_edges, before_offset, way = told
        edge, before = edges.astype(np.int64), before_edges.astype(np.int64)
        return SettledFixes(
            traces.names_of(slots),
            time.astype(np.int64),
            edge,
            offset * self._roads.scale[edge],
            distance,
            confidence,
            speed,
            by,
            before_time.astype(np.int64),
            before,
            before_offset * self._roads.scale[before],
            way,
        )
