"""One step of many vehicles: a fix each."""

from __future__ import annotations

import numpy as np

from trafficapp.matching.candidates import Candidates, begins_of, sizes_of
from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.rule import MatchingRule
from trafficapp.matching.traces import (
    ASIDE,
    CANDIDATES,
    COUNT,
    DEPTH,
    EAST,
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
)
from trafficapp.roads.graph.road_graph import Floats, Integers

#: Edges of a fix that are less likely than the best by this much, in the logarithm, are forgotten.
_UNLIKELY = 14.0
#: Speeds that do not fit a way make it no less likely than this: vehicles brake and start in between.
_MOST_AGAINST = 8.0
KMH_PER_M_US = 3.6e6


class Steps:
    """Takes rows of vehicles on, and says what is settled thereby.

    Args:
        roads: the graph.
        rule: the model.
        rows: of different vehicles; changed.

    Attributes:
        taken: rows whose fix was put onto the graph, ascending.
        best: of each of those its most likely place now: edge, offset, distance, and how likely it is.
        settled: positions of rows; and beside each other time, edge, offset, distance, confidence and speed.
    """

    def __init__(self, roads: MatchingRoads, rule: MatchingRule, rows: Floats) -> None:
        self._roads, self._rule = roads, rule
        self._rows = rows
        self.settled: list[tuple[Integers, Floats]] = []
        self.taken: Integers = np.empty(0, np.int64)
        self.best: Floats = np.empty((4, 0))

    def take(self, found: Candidates, time: Floats, east: Floats, north: Floats, speed: Floats) -> None:
        """Take in a fix of each row, with its candidates; rows without any stay as they are."""
        rows, rule = self._rows, self._rule
        silent = (time - rows[:, TIME] > rule.gap_us) & (rows[:, COUNT] > 0)
        before = time - (rule.delay_us + 1)
        if silent.any():
            before[silent] = np.inf
        # what is old enough is settled without this fix, as it is where the clock is faster
        self.tell(before)
        if silent.any():
            rows[silent, COUNT] = rows[silent, DEPTH] = 0
        if not len(found.fix):
            return
        score, back = self._reached(found, time, east, north, speed)
        begins = begins_of(found.fix)
        sizes = sizes_of(begins, len(score))
        best = np.maximum.reduceat(score, begins)
        lost = best == -np.inf
        if lost.any():
            self._lose(found, found.fix[begins[lost]], score, back)
            best = np.maximum.reduceat(score, begins)
            best[best == -np.inf] = 0
        score -= best.repeat(sizes)
        self._remember(found, score, back, time, east, north, speed)

    def _lose(self, found: Candidates, lost: Integers, score: Floats, back: Integers) -> None:
        """Of rows whose fix no way leads to: put it aside when it is the first such, else begin anew there."""
        rows = self._rows
        again = lost[rows[lost, ASIDE] > 0]
        rows[lost, ASIDE] = 1
        if len(again):
            until = np.full(len(rows), -np.inf)
            until[again] = np.inf
            self.tell(until)
            rows[again, COUNT] = rows[again, DEPTH] = 0
            its = np.isin(found.fix, again)
            score[its], back[its] = found.score[its], 0

    def _reached(
        self, found: Candidates, time: Floats, east: Floats, north: Floats, speed: Floats
    ) -> tuple[Floats, Integers]:
        """The score of each candidate by the best way there, and which edge before that way is from; -inf for none."""
        rows, roads, rule = self._rows, self._roads, self._rule
        before = rows[:, COUNT].astype(np.int64)[found.fix]
        ends = before.cumsum()
        total = int(ends[-1])
        if not total:
            return found.score.copy(), np.zeros(len(before), np.int64)
        # each candidate beside each edge before
        after = np.arange(len(before)).repeat(before)
        which = np.arange(total)
        which -= (ends - before)[after]
        fix = found.fix[after]
        flat = rows.ravel()
        row_begins = np.arange(len(rows)) * rows.shape[1]
        newest = row_begins + (PATHS - CANDIDATES * PLACE) + rows[:, DEPTH].astype(np.int64) * (CANDIDATES * PLACE)
        place = newest[fix]
        place += which * PLACE
        edge_before, offset_before = flat[place].astype(np.int64), flat[place + 1]
        edge_after = found.edge[after]
        ahead = found.offset_m[after] - offset_before
        way = roads.ways.metres(edge_before, edge_after)
        way += roads.length_m[edge_before]
        way += ahead
        # places behind the one before on the same edge are as far as fixes are wrong
        same = ((edge_before == edge_after) & (ahead > -3 * rule.accuracy_m)).nonzero()[0]
        way[same] = ahead[same]
        crow = np.hypot(east - rows[:, EAST], north - rows[:, NORTH])
        elapsed = time - rows[:, TIME]
        longest = elapsed * (rule.fastest_kmh / KMH_PER_M_US) + 4 * rule.accuracy_m
        told = rows[:, SPEED]
        mean = np.where(np.isnan(speed), told, np.where(np.isnan(told), speed, (speed + told) / 2))
        expected = mean * elapsed / KMH_PER_M_US
        by_fix = np.stack([crow, longest, expected, 1 / (rule.speed_m + rule.speed_share * expected)])[:, fix]
        fits = flat[(row_begins + SCORES)[fix] + which]
        fits -= abs(abs(way) - by_fix[0]) / rule.detour_m
        fits += np.minimum(way, 0) / rule.accuracy_m
        off = (way - by_fix[2]) * by_fix[3]
        # without a speed all ways are alike: each has the most against it
        fits -= np.fmin(off * off / 2, _MOST_AGAINST)
        fits[way > by_fix[1]] = -np.inf
        score, back = found.score.copy(), np.zeros(len(before), np.int64)
        has = before.nonzero()[0]
        begins, sizes = (ends - before)[has], before[has]
        best = np.maximum.reduceat(fits, begins)
        score[has] += best
        back[has] = np.minimum.reduceat(np.where(fits == best.repeat(sizes), which, CANDIDATES - 1), begins)
        return score, back

    def _remember(
        self, found: Candidates, score: Floats, back: Integers, time: Floats, east: Floats, north: Floats, speed: Floats
    ) -> None:
        """Put what is possible now into the rows, and settle what is old enough by it."""
        kept = (score >= -_UNLIKELY).nonzero()[0]
        if not len(kept):
            return
        fix = found.fix[kept]
        begins = begins_of(fix)
        sizes = sizes_of(begins, len(fix))
        most = int(sizes.max())
        if most > CANDIDATES:
            order = np.lexsort((-score[kept], fix))
            rank = np.arange(len(fix)) - begins.repeat(sizes)
            kept = np.sort(kept[order[rank < CANDIDATES]])
            fix = found.fix[kept]
            begins = begins_of(fix)
            sizes = sizes_of(begins, len(fix))
            most = CANDIDATES
        taken = fix[begins]
        own = np.arange(len(taken)).repeat(sizes)
        rank = np.arange(len(fix)) - begins[own]
        place = np.stack([found.edge[kept], found.offset_m[kept], found.distance_m[kept]], axis=1)
        score = score[kept]
        likely = np.exp(score)
        likely /= np.add.reduceat(likely, begins)[own]
        best = np.minimum.reduceat(np.where(score == 0, np.arange(len(fix)), len(fix)), begins)
        self.taken = taken
        self.best = np.concatenate([place[best].T, likely[None, best]])

        every = len(taken) == len(self._rows)
        rows = self._rows if every else self._rows[taken]
        if not every:
            time, east, north, speed = time[taken], east[taken], north[taken], speed[taken]
        at = np.arange(len(taken))
        depth = rows[:, DEPTH].astype(np.int64)
        deepest = int(depth.max())
        paths = rows[:, PATHS:].reshape(-1, WAITING, CANDIDATES, PLACE)
        if deepest:
            origin = np.zeros((len(taken), most), np.int64)
            origin[own, rank] = back[kept]
            paths[:, :deepest, :most] = paths[at[:, None, None], np.arange(deepest)[:, None], origin[:, None]]
        paths[own, depth[own], rank] = place
        rows[:, SCORES : SCORES + CANDIDATES] = -np.inf
        rows[own, SCORES + rank] = score
        rows[at, TIMES + depth], rows[at, SPEEDS + depth] = time, speed
        rows[:, TIME], rows[:, EAST], rows[:, NORTH], rows[:, SPEED] = time, east, north, speed
        rows[:, COUNT], rows[:, DEPTH], rows[:, ASIDE] = sizes, depth + 1, 0
        if not every:
            self._rows[taken] = rows
            until = np.full(len(self._rows), -np.inf)
            until[taken] = time - self._rule.delay_us
        else:
            until = time - self._rule.delay_us
        self.tell(until)

    def tell(self, until: Floats) -> None:
        """Settle the fixes of each row up to a time, and one at least where no other could be remembered."""
        rows = self._rows
        depth = rows[:, DEPTH]
        row = (((rows[:, TIMES] <= until) & (depth > 0)) | (depth == WAITING)).nonzero()[0]
        if not len(row):
            return
        mine = rows[row]
        depths = depth[row].astype(np.int64)
        deepest = int(depths.max())
        due = mine[:, TIMES : TIMES + deepest] <= until[row, None]
        due[:, 0] = True
        counts = (due & (np.arange(deepest) < depths[:, None])).sum(axis=1)
        scores = mine[:, SCORES : SCORES + CANDIDATES]
        likely = np.exp(scores)
        best = scores.argmax(axis=1)
        likely /= likely.sum(axis=1)[:, None]
        paths = mine[:, PATHS:].reshape(-1, WAITING, CANDIDATES, PLACE)
        for step in range(int(counts.max())):
            some = ((counts > step) & (mine[:, TIMES + step] > mine[:, SETTLED])).nonzero()[0]
            if len(some):
                places = paths[some, step]
                place = places[np.arange(len(some)), best[some]]
                confidence = (likely[some] * (places[:, :, 0] == place[:, :1])).sum(axis=1)
                self._tell(row[some], mine, some, step, place, confidence)
        # the newest stays, for the next fix goes on from there
        drop = np.minimum(counts, depths - 1)
        if drop.any():
            at = np.arange(len(row))[:, None]
            shifted = np.minimum(np.arange(deepest) + drop[:, None], WAITING - 1)
            paths[:, :deepest] = paths[at, shifted]
            mine[:, TIMES : TIMES + deepest] = mine[at, TIMES + shifted]
            mine[:, SPEEDS : SPEEDS + deepest] = mine[at, SPEEDS + shifted]
            mine[:, DEPTH] -= drop
        rows[row] = mine

    def _tell(self, rows: Integers, mine: Floats, some: Integers, step: int, place: Floats, confidence: Floats) -> None:
        """A settled fix each of some rows."""
        time, speed = mine[some, TIMES + step], mine[some, SPEEDS + step]
        silent = np.isnan(speed).nonzero()[0]
        if len(silent):
            speed[silent] = self._driven_kmh(mine[some[silent]], time[silent], place[silent])
        mine[some, SETTLED], mine[some, SETTLED_EDGE], mine[some, SETTLED_OFFSET] = time, place[:, 0], place[:, 1]
        self.settled.append((rows, np.stack([time, *place.T, confidence, speed])))

    def _driven_kmh(self, rows: Floats, time: Floats, place: Floats) -> Floats:
        """The speed of the way from the fix that was settled before; NaN where there is none."""
        roads = self._roads
        edge, before = place[:, 0].astype(np.int64), rows[:, SETTLED_EDGE].astype(np.int64)
        elapsed, ahead = time - rows[:, SETTLED], place[:, 1] - rows[:, SETTLED_OFFSET]
        way = roads.ways.metres(np.maximum(before, 0), edge) + roads.length_m[before] + ahead
        way = np.where((before == edge) & (ahead > -3 * self._rule.accuracy_m), np.maximum(ahead, 0), way)
        known = (before >= 0) & (elapsed <= self._rule.gap_us) & (way < np.inf)
        return np.where(known, way / elapsed * KMH_PER_M_US, np.nan)


def rounds_of(slots: Integers) -> list[Integers]:
    """Positions of the first fix of each row, of the second, and so on; ascending in each."""
    order = np.argsort(slots, kind="stable")
    begins = begins_of(slots[order])
    if len(begins) == len(slots):
        return [np.arange(len(slots))]
    sizes = sizes_of(begins, len(slots))
    rank = np.empty(len(slots), np.int64)
    rank[order] = np.arange(len(slots)) - begins.repeat(sizes)
    return [np.flatnonzero(rank == one) for one in range(int(sizes.max()))]
