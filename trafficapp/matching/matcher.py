"""A hidden Markov model over the road graph, for many vehicles at once and as their fixes come.

Where a vehicle is on the graph is hidden, its fixes are what is seen; a fix fits an edge by distance and heading, two
edges fit each other by the way from one to the other, compared with the distance of the fixes and with what their
speeds say (Newson and Krumm, 2009). Of each possible edge of the newest fix the best way there is remembered (Viterbi),
so far as its fixes are not settled: a fix is settled when one comes that is ``delay_us`` younger or more, by the best
way to that one, or when nothing came for so long. What came later than that is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trafficapp.matching.candidates import Candidates, candidates_of
from trafficapp.matching.fixes import Advanced, Fixes, MatchedFixes, WrongWay
from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.rule import MatchingRule
from trafficapp.matching.traces import (
    ASIDE,
    CANDIDATES,
    COUNT,
    DEPTH,
    EAST,
    HEARD,
    NORTH,
    PATHS,
    PLACE,
    SCORES,
    SETTLED,
    SETTLED_EDGE,
    SETTLED_OFFSET,
    SPEED,
    SPEEDS,
    TIME,
    TIMES,
    WAITING,
    Traces,
)
from trafficapp.roads.graph.road_graph import Floats, Integers

_Booleans = npt.NDArray[np.bool_]

#: Edges of a fix that are less likely than the best by this much, in the logarithm, are forgotten.
_UNLIKELY = 14.0
_KMH_PER_M_US = 3.6e6


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Matches of some rows; ``row`` is the position among those of this round, else as `MatchedFixes`."""

    row: Integers
    time_us: Floats
    edge: Integers
    offset_m: Floats
    distance_m: Floats
    confidence: Floats
    speed_kmh: Floats


class Matcher:
    """Puts fixes onto the graph.

    Args:
        roads: the graph, made with the reach of the rule.
        rule: the model in numbers.
    """

    def __init__(self, roads: MatchingRoads, rule: MatchingRule | None = None) -> None:
        self._roads = roads
        self._rule = rule or MatchingRule()

    def advance(self, traces: Traces, fixes: Fixes, clock_us: int = 0) -> Advanced:
        """Take in fixes; those of a vehicle in order of their times, others are left out.

        Args:
            traces: of the vehicles; changed.
            fixes: in any number.
            clock_us: when they came, by the clock that `settle` is called with.
        """
        slots = traces.slots_of(fixes.vehicles)
        count = len(slots)
        points = self._roads.flat.metres(fixes.lat, fixes.lon)
        east, north = points[:, 0].copy(), points[:, 1].copy()
        now = _Now(count)
        settled: list[tuple[Integers, _Told]] = []
        for chosen in _rounds(slots):
            rows = traces.take(slots[chosen])
            rows[:, HEARD] = clock_us
            one = _Round(self._roads, self._rule, rows)
            one.take(
                fixes.time_us[chosen].astype(float), east[chosen], north[chosen], fixes.speed_kmh[chosen],
                fixes.heading[chosen],
            )
            now.put(chosen, one)
            settled += [(slots[chosen], told) for told in one.told]
            traces.put(slots[chosen], one.rows)
        wrong: list[WrongWay] = []
        return Advanced(now.matched(fixes, self._roads), self._matched(traces, settled), wrong)

    def settle(self, traces: Traces, clock_us: int) -> MatchedFixes:
        """Settle all fixes of vehicles that were not heard for the delay."""
        slots = traces.silent_since(clock_us - self._rule.delay_us)
        if not len(slots):
            return self._matched(traces, [])
        one = _Round(self._roads, self._rule, traces.take(slots))
        one.tell(np.full(len(slots), np.inf))
        traces.put(slots, one.rows)
        return self._matched(traces, [(slots, told) for told in one.told])

    def _matched(self, traces: Traces, settled: list[tuple[Integers, _Told]]) -> MatchedFixes:
        if not settled:
            none = np.empty(0)
            return MatchedFixes([], np.empty(0, np.int64), np.empty(0, np.int64), none, none, none, none)

        def joined(of: Callable[[_Told], Floats]) -> Floats:
            return np.concatenate([of(told) for _, told in settled])

        edge = joined(lambda told: told.edge).astype(np.int64)
        return MatchedFixes(
            traces.names_of(np.concatenate([slots[told.row] for slots, told in settled])),
            joined(lambda told: told.time_us).astype(np.int64),
            edge,
            joined(lambda told: told.offset_m) * self._roads.scale[edge],
            joined(lambda told: told.distance_m),
            joined(lambda told: told.confidence),
            joined(lambda told: told.speed_kmh),
        )


class _Now:
    """Where each fix seems to be when it comes."""

    def __init__(self, count: int) -> None:
        self.edge = np.full(count, -1, np.int64)
        self.offset, self.distance, self.confidence = np.zeros((3, count))

    def put(self, chosen: Integers, one: _Round) -> None:
        taken = one.taken
        if not len(taken):
            return
        at = chosen[taken]
        rows = one.rows[taken]
        edges = rows[:, PATHS:].reshape(-1, WAITING, CANDIDATES, PLACE)
        newest = edges[np.arange(len(taken)), rows[:, DEPTH].astype(np.int64) - 1]
        likely, best = _likely(rows)
        place = newest[np.arange(len(taken)), best]
        self.edge[at] = place[:, 0]
        self.offset[at], self.distance[at] = place[:, 1], place[:, 2]
        self.confidence[at] = likely[np.arange(len(taken)), best]

    def matched(self, fixes: Fixes, roads: MatchingRoads) -> MatchedFixes:
        return MatchedFixes(
            list(fixes.vehicles), fixes.time_us, self.edge, self.offset * roads.scale[self.edge], self.distance,
            self.confidence, fixes.speed_kmh,
        )


class _Round:
    """One fix each of different vehicles.

    Args:
        roads: the graph.
        rule: the model.
        rows: of the vehicles; changed.
    """

    def __init__(self, roads: MatchingRoads, rule: MatchingRule, rows: Floats) -> None:
        self._roads, self._rule = roads, rule
        self.rows = rows
        self.told: list[_Told] = []
        #: Rows whose fix was put onto the graph, ascending.
        self.taken: Integers = np.empty(0, np.int64)

    def take(self, time: Floats, east: Floats, north: Floats, speed: Floats, heading: Floats) -> None:
        """Take a fix of each row in."""
        rows, rule = self.rows, self._rule
        known = rows[:, COUNT] > 0
        elapsed = np.where(known, time - rows[:, TIME], 1.0)
        late = elapsed <= 0
        if late.any():
            heading, east = np.where(late, np.nan, heading), np.where(late, np.nan, east)
        anew = known & (elapsed > rule.gap_us)
        self.tell(np.where(anew, np.inf, time - rule.delay_us - 1))
        if anew.any():
            rows[anew, COUNT] = 0
            rows[anew, DEPTH] = 0
        found = candidates_of(self._roads, rule, east, north, heading, speed)
        if not len(found.fix):
            return
        score, back = self._reached(found, elapsed, east, north, speed)
        begins = _begins(found.fix)
        fixes = found.fix[begins]
        best = np.maximum.reduceat(score, begins)
        lost = best == -np.inf
        if lost.any():
            # the first that no way leads to is put aside; when none leads to the second either, the vehicle begins anew
            lost_rows = fixes[lost]
            again = rows[lost_rows, ASIDE] > 0
            rows[lost_rows, ASIDE] = 1
            if again.any():
                begun = lost_rows[again]
                until = np.full(len(rows), -np.inf)
                until[begun] = np.inf
                self.tell(until)
                rows[begun, COUNT] = 0
                rows[begun, DEPTH] = 0
                its = np.isin(found.fix, begun)
                score[its], back[its] = found.score[its], 0
                best = np.maximum.reduceat(score, begins)
        score -= best.repeat(np.diff(begins, append=len(score)))
        # nan where a fix was put aside
        self._remember(found, score, back, time, east, north, speed)
        self.tell(np.where(np.isin(np.arange(len(rows)), self.taken), time - rule.delay_us, -np.inf))

    def _reached(
        self, found: Candidates, elapsed: Floats, east: Floats, north: Floats, speed: Floats
    ) -> tuple[Floats, Integers]:
        """The score of each candidate by the best way there, and which edge before that way is from; -inf for none."""
        rows, roads, rule = self.rows, self._roads, self._rule
        before = rows[:, COUNT].astype(np.int64)[found.fix]
        score, back = found.score.copy(), np.zeros(len(found.fix), np.int64)
        ends = before.cumsum()
        total = int(ends[-1])
        if not total:
            return score, back
        after = np.arange(len(before)).repeat(before)
        which = np.arange(total) - (ends - before).repeat(before)
        fix = found.fix[after]
        flat = rows.ravel()
        bases = np.arange(len(rows)) * rows.shape[1]
        place = (bases + PATHS + (rows[:, DEPTH].astype(np.int64) - 1) * (CANDIDATES * PLACE))[fix] + which * PLACE
        edge_before, offset_before = flat[place].astype(np.int64), flat[place + 1]
        edge_after, offset_after = found.edge[after], found.offset_m[after]
        way = roads.length_m[edge_before] - offset_before + roads.ways.metres(edge_before, edge_after) + offset_after
        ahead = offset_after - offset_before
        way = np.where((edge_before == edge_after) & (ahead > -3 * rule.accuracy_m), ahead, way)
        crow = np.hypot(east - rows[:, EAST], north - rows[:, NORTH])
        longest = elapsed * (rule.fastest_kmh / _KMH_PER_M_US) + 4 * rule.accuracy_m
        fits = flat[(bases + SCORES)[fix] + which]
        fits -= abs(abs(way) - crow[fix]) / rule.detour_m
        # behind where it was before: the fixes are wrong by so much
        fits += np.minimum(way, 0) / rule.accuracy_m
        speed_before = rows[:, SPEED]
        mean = np.where(np.isnan(speed), speed_before, np.where(np.isnan(speed_before), speed, (speed + speed_before) / 2))
        expected = mean * elapsed / _KMH_PER_M_US
        off = (way - expected[fix]) / (rule.speed_m + rule.speed_share * expected)[fix]
        fits -= np.nan_to_num(np.minimum(off * off / 2, 8.0), copy=False, nan=0.0)
        fits[way > longest[fix]] = -np.inf
        has = np.flatnonzero(before)
        begins, sizes = (ends - before)[has], before[has]
        best = np.maximum.reduceat(fits, begins)
        score[has] += best
        back[has] = np.minimum.reduceat(np.where(fits == best.repeat(sizes), which, CANDIDATES - 1), begins)
        return score, back

    def _remember(
        self, found: Candidates, score: Floats, back: Integers, time: Floats, east: Floats, north: Floats, speed: Floats
    ) -> None:
        """Put what is possible now into the rows."""
        rows = self.rows
        kept = np.flatnonzero(score >= -_UNLIKELY)
        if not len(kept):
            self.taken = np.empty(0, np.int64)
            return
        fix = found.fix[kept]
        begins = _begins(fix)
        sizes = np.diff(begins, append=len(fix))
        if sizes.max() > CANDIDATES:
            kept = kept[np.lexsort((-score[kept], fix))]
            kept = np.sort(kept[np.arange(len(kept)) - begins.repeat(sizes) < CANDIDATES])
            fix = found.fix[kept]
            begins = _begins(fix)
            sizes = np.diff(begins, append=len(fix))
        self.taken = taken = fix[begins]
        rank = np.arange(len(fix)) - begins.repeat(sizes)
        own = np.arange(len(taken)).repeat(sizes)
        mine = rows[taken]
        depth = mine[:, DEPTH].astype(np.int64)
        deepest, most = int(depth.max()), int(sizes.max())
        paths = mine[:, PATHS:].reshape(-1, WAITING, CANDIDATES, PLACE)
        if deepest:
            from_ = np.zeros((len(taken), most), np.int64)
            from_[own, rank] = back[kept]
            paths[:, :deepest, :most] = paths[
                np.arange(len(taken))[:, None, None], np.arange(deepest)[:, None], from_[:, None]
            ]
        place = np.stack([found.edge[kept], found.offset_m[kept], found.distance_m[kept]], axis=1)
        paths[own, depth[own], rank] = place
        scores = np.full((len(taken), CANDIDATES), -np.inf)
        scores[own, rank] = score[kept]
        mine[:, SCORES : SCORES + CANDIDATES] = scores
        at = np.arange(len(taken))
        mine[at, TIMES + depth] = time[taken]
        mine[at, SPEEDS + depth] = speed[taken]
        mine[:, TIME], mine[:, EAST], mine[:, NORTH] = time[taken], east[taken], north[taken]
        mine[:, SPEED], mine[:, COUNT], mine[:, DEPTH], mine[:, ASIDE] = speed[taken], sizes, depth + 1, 0
        rows[taken] = mine

    def tell(self, until: Floats) -> None:
        """Settle the fixes of each row up to a time, and one at least where no other could be remembered."""
        rows = self.rows
        depth = rows[:, DEPTH].astype(np.int64)
        times = rows[:, TIMES : TIMES + WAITING]
        level = np.arange(WAITING)
        due = ((times <= until[:, None]) | ((level == 0) & (depth == WAITING)[:, None])) & (level < depth[:, None])
        row = np.flatnonzero(due[:, 0])
        if not len(row):
            return
        counts = due[row].sum(axis=1)
        mine = rows[row]
        at = np.arange(len(row))
        likely, best = _likely(mine)
        paths = mine[:, PATHS:].reshape(-1, WAITING, CANDIDATES, PLACE)
        for step in range(int(counts.max())):
            some = np.flatnonzero((counts > step) & (mine[:, TIMES + step] > mine[:, SETTLED]))
            if len(some):
                places = paths[some, step]
                place = places[np.arange(len(some)), best[some]]
                confidence = (likely[some] * (places[:, :, 0] == place[:, :1])).sum(axis=1)
                self._tell(row, mine, some, step, place, confidence)
        # the newest stays, for the next fix goes on from there
        drop = np.minimum(counts, depth[row] - 1)
        if drop.any():
            deepest = int(depth[row].max())
            shifted = np.minimum(np.arange(deepest) + drop[:, None], WAITING - 1)
            paths[:, :deepest] = paths[at[:, None], shifted]
            mine[:, TIMES : TIMES + deepest] = mine[at[:, None], TIMES + shifted]
            mine[:, SPEEDS : SPEEDS + deepest] = mine[at[:, None], SPEEDS + shifted]
            mine[:, DEPTH] -= drop
        rows[row] = mine

    def _tell(
        self, row: Integers, mine: Floats, some: Integers, step: int, place: Floats, confidence: Floats
    ) -> None:
        """One settled fix each of some rows."""
        roads = self._roads
        time, speed = mine[some, TIMES + step], mine[some, SPEEDS + step]
        edge, offset = place[:, 0].astype(np.int64), place[:, 1]
        silent = np.flatnonzero(np.isnan(speed))
        if len(silent):
            # a vehicle that tells no speed has that of its way since the fix before
            its = some[silent]
            before, elapsed = mine[its, SETTLED_EDGE].astype(np.int64), time[silent] - mine[its, SETTLED]
            moved = roads.length_m[before] - mine[its, SETTLED_OFFSET] + offset[silent]
            moved += roads.ways.metres(np.maximum(before, 0), edge[silent])
            ahead = offset[silent] - mine[its, SETTLED_OFFSET]
            moved = np.where((before == edge[silent]) & (ahead > -3 * self._rule.accuracy_m), np.maximum(ahead, 0), moved)
            usable = (before >= 0) & (elapsed <= self._rule.gap_us) & np.isfinite(moved)
            speed[silent] = np.where(usable, moved / np.maximum(elapsed, 1) * _KMH_PER_M_US, np.nan)
        mine[some, SETTLED], mine[some, SETTLED_EDGE], mine[some, SETTLED_OFFSET] = time, edge, offset
        self.told.append(_Told(row[some], time, edge, offset, place[:, 2].copy(), confidence, speed))


def _likely(rows: Floats) -> tuple[Floats, Integers]:
    """The probabilities of the possible edges of the newest fix of each row, and which is the best."""
    scores = rows[:, SCORES : SCORES + CANDIDATES]
    likely = np.exp(scores)
    likely[np.arange(CANDIDATES) >= rows[:, COUNT, None]] = 0
    likely /= likely.sum(axis=1, keepdims=True)
    best: Integers = likely.argmax(axis=1)
    return likely, best


def _begins(groups: Integers) -> Integers:
    """Where each group of equal neighbours begins."""
    new = np.empty(len(groups), bool)
    new[:1] = True
    np.not_equal(groups[1:], groups[:-1], out=new[1:])
    return np.flatnonzero(new)


def _rounds(slots: Integers) -> list[Integers]:
    """Positions of the first fix of each row, of the second, and so on; ascending in each."""
    order = np.argsort(slots, kind="stable")
    begins = _begins(slots[order])
    if len(begins) == len(slots):
        return [np.arange(len(slots))]
    sizes = np.diff(begins, append=len(slots))
    rank = np.empty(len(slots), np.int64)
    rank[order] = np.arange(len(slots)) - begins.repeat(sizes)
    return [np.flatnonzero(rank == one) for one in range(int(sizes.max()))]
