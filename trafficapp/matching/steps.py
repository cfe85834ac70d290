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
    NEWEST,
    NORTH,
    OLDEST,
    PATHS,
    PLACE,
    SCORES,
    SETTLED,
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
#: Numbers that are told of a settled fix, see `Steps.settled`.
TOLD = 10
#: Where the first of the possible edges has its place for each remembered fix; where all of them have theirs for one.
_EVERY_PATH = (np.arange(WAITING)[:, None] * (CANDIDATES * PLACE) + np.arange(PLACE)).ravel()
_EVERY_EDGE = np.arange(CANDIDATES) * PLACE


class Steps:
    """Takes rows of vehicles on, and says what is settled thereby.

    Args:
        roads: the graph.
        rule: the model.
        rows: of different vehicles; changed.

    Attributes:
        taken: rows whose fix was put onto the graph, ascending.
        best: of each of those its most likely place now: edge, offset, distance, and how likely it is.
        settled: positions of rows; and beside each other time, edge, offset, distance, confidence and speed; of the fix
            that was settled before time, edge (-1 where no way leads on from there) and offset; and the way from there.
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
            self._begin_anew(silent.nonzero()[0])
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
        self.tell(time - rule.delay_us, full=True)

    def _begin_anew(self, rows: Integers) -> None:
        """Forget where vehicles may be."""
        self._rows[rows, COUNT] = self._rows[rows, DEPTH] = 0

    def _lose(self, found: Candidates, lost: Integers, score: Floats, back: Integers) -> None:
        """Of rows whose fix no way leads to: put it aside when it is the first such, else begin anew there."""
        rows = self._rows
        again = lost[rows[lost, ASIDE] > 0]
        rows[lost, ASIDE] = 1
        if len(again):
            until = np.full(len(rows), -np.inf)
            until[again] = np.inf
            self.tell(until)
            self._begin_anew(again)
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
        newest = row_begins + PATHS + rows[:, NEWEST].astype(np.int64) * (CANDIDATES * PLACE)
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
        """Put what is possible now into the rows."""
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
        self.taken = taken = fix[begins]
        own = np.arange(len(taken)).repeat(sizes)
        rank = np.arange(len(fix)) - begins[own]
        score = score[kept]
        likely = np.exp(score)
        likely /= np.add.reduceat(likely, begins)[own]
        best = np.minimum.reduceat(np.where(score == 0, np.arange(len(fix)), len(fix)), begins)
        place = np.stack([found.edge[kept], found.offset_m[kept], found.distance_m[kept]], axis=1)
        self.best = np.concatenate([place[best].T, likely[None, best]])

        rows = self._rows
        flat, width = rows.ravel(), rows.shape[1]
        candidate = fix * width + PATHS
        # the ways to what is possible now begin as those to where it was possible before
        back = back[kept]
        other = (back != rank).nonzero()[0]
        if len(other):
            begin = candidate[other, None] + _EVERY_PATH
            flat[begin + (rank[other] * PLACE)[:, None]] = flat[begin + (back[other] * PLACE)[:, None]]
        header = rows[taken, : ASIDE + 2]
        depth = header[:, DEPTH]
        # what was settled early was only remembered as the newest
        depth[header[:, OLDEST] == np.inf] = 0
        newest = (header[:, NEWEST].astype(np.int64) + 1) % WAITING
        flat[(candidate + (newest[own] * CANDIDATES + rank) * PLACE)[:, None] + np.arange(PLACE)] = place
        rows[taken, SCORES : SCORES + CANDIDATES] = -np.inf
        rows[fix, SCORES + rank] = score
        time, speed = time[taken], speed[taken]
        rows[taken, TIMES + newest], rows[taken, SPEEDS + newest] = time, speed
        oldest = np.where(depth == 0, time, header[:, OLDEST])
        nobody = np.zeros(len(taken))
        rows[taken, : OLDEST + 1] = np.stack(
            [time, east[taken], north[taken], speed, sizes, depth + 1, newest, nobody, oldest], axis=1
        )

    def tell(self, until: Floats, full: bool = False) -> None:
        """Settle the fixes of each row up to a time; and one where no other could be remembered, when asked for."""
        rows = self._rows
        oldest = rows[:, OLDEST] <= until
        if full:
            oldest |= rows[:, DEPTH] == WAITING
        row = oldest.nonzero()[0]
        if not len(row):
            return
        flat, bases = rows.ravel(), row * rows.shape[1]
        depth, newest = rows[row, DEPTH].astype(np.int64), rows[row, NEWEST].astype(np.int64)
        levels = np.arange(int(depth.max()))
        # remembered fixes from the oldest on
        at = (newest - depth + 1)[:, None] + levels
        at %= WAITING
        times = flat[bases[:, None] + TIMES + at]
        due = times <= until[row, None]
        due[:, 0] = True
        due &= levels < depth[:, None]
        counts = due.sum(axis=1)
        scores = rows[row, SCORES : SCORES + CANDIDATES]
        likely, best = np.exp(scores), scores.argmax(axis=1)
        likely /= likely.sum(axis=1)[:, None]
        most = int(counts.max())
        for step in range(most):
            some = slice(None) if most == 1 else (counts > step).nonzero()[0]
            place = bases[some] + PATHS + at[some, step] * (CANDIDATES * PLACE)
            edges = flat[place[:, None] + _EVERY_EDGE]
            place += best[some] * PLACE
            edge = flat[place]
            confidence = (likely[some] * (edges == edge[:, None])).sum(axis=1)
            speed = flat[bases[some] + SPEEDS + at[some, step]]
            self._tell(
                row[some], np.stack([times[some, step], edge, flat[place + 1], flat[place + 2], confidence, speed])
            )
        # the newest stays, for the next fix goes on from there
        left = depth - counts
        rows[row, DEPTH] = np.maximum(left, 1)
        following = np.minimum(counts, len(levels) - 1)
        rows[row, OLDEST] = np.where(left > 0, times[np.arange(len(row)), following], np.inf)

    def _tell(self, row: Integers, told: Floats) -> None:
        """A settled fix each of some rows."""
        rows, speed = self._rows, told[5]
        before = rows[row, SETTLED : SETTLED_OFFSET + 1].T
        way = self._way(before, told)
        silent = np.isnan(speed)
        if silent.any():
            driven = way.clip(0) / np.maximum(told[0] - before[0], 1) * KMH_PER_M_US
            speed[silent] = driven[silent]
        before[1, np.isnan(way)] = -1
        rows[row, SETTLED : SETTLED_OFFSET + 1] = told[:3].T
        self.settled.append((row, np.concatenate([told, before, way[None]])))

    def _way(self, before: Floats, told: Floats) -> Floats:
        """Metres from fixes that were settled before to settled ones; NaN where nobody can have driven there."""
        roads, rule = self._roads, self._rule
        edge, edge_before = told[1].astype(np.int64), before[1].astype(np.int64)
        elapsed, ahead = told[0] - before[0], told[2] - before[2]
        way: Floats = roads.ways.metres(np.maximum(edge_before, 0), edge) + roads.length_m[edge_before] + ahead
        same = (edge_before == edge) & (ahead > -3 * rule.accuracy_m)
        way[same] = ahead[same]
        longest = elapsed * (rule.fastest_kmh / KMH_PER_M_US) + 4 * rule.accuracy_m
        way[(edge_before < 0) | (elapsed > rule.gap_us) | (way > longest)] = np.nan
        return way


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
