"""Vehicles that run by a timetable, with known delays, bunching, missed trips and breakdowns; seeded.

Nothing of the rules is used here, but the timetable itself, its days, and where stops are along a shape.
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from math import cos, exp, pi, radians, sin
from typing import TypeAlias

import numpy as np

from models.timetables.runs import Fix
from models.timetables.timetable import Timetable
from trafficapp.timetables.service_days import RunKey, ScheduledRun, ServiceDays
from trafficapp.timetables.stop_places import Shape

MISSED_SHARE, BROKEN_SHARE, JAMMED_SHARE, HELD_BACK_SHARE = 0.03, 0.03, 0.05, 0.03
FIX_SECONDS, NOISE_M, OUTLIER_SHARE, OUTLIER_M, LOST_SHARE = 15.0, 8.0, 0.005, 120.0, 0.02
_MOST_MPS = 22.0
_METRES_PER_DEGREE = 111_195.0
_LineStop: TypeAlias = tuple[int, int | None, int]
#: Two runs, whichever came first, and a stop.
_Pair: TypeAlias = tuple[frozenset[RunKey], str]


@dataclass
class Truth:
    """What really happened on a run.

    Attributes:
        run: scheduled.
        vehicle_id: that served it; empty: nobody.
        arrived: at each stop, seconds since the epoch; of the first one, when it left. None after it was given up.
        stands: breakdowns: from, until.
        moments: when it was where, in order; metres along the path.
    """

    run: ScheduledRun
    vehicle_id: str = ""
    arrived: list[float | None] = field(default_factory=list)
    stands: list[tuple[float, float]] = field(default_factory=list)
    moments: list[tuple[float, float]] = field(default_factory=list)
    ends_s: float = 0.0


class City:
    """What stays the same from day to day: how slow each piece really is, and at which hour.

    Args:
        timetable: that is run.
        seed: of all chance.
    """

    def __init__(self, timetable: Timetable, seed: int) -> None:
        self.timetable, self.days = timetable, ServiceDays(timetable)
        self._chance = random.Random(seed)
        self._slow: dict[tuple[int, int], float] = {}
        self._busy: dict[int, float] = {}
        self._jam: dict[tuple[int, int], float] = {}
        self._shapes = [Shape(path) for path in timetable.paths]

    def day(self, day: date) -> list[Truth]:
        """All runs of a service day."""
        free: dict[int, list[tuple[float, str]]] = {}
        found = list[Truth]()
        for run in self.days.of(day):
            pattern = self.timetable.patterns[self.timetable.trips[run.trip].pattern]
            truth = Truth(run)
            found.append(truth)
            if self._chance.random() < MISSED_SHARE:
                continue
            waiting = free.setdefault(pattern.stops[0], [])
            ready_s, vehicle_id = 0.0, f"{day:%m%d}-{len(found)}"
            if waiting and waiting[0][0] <= run.leaves_s + 300:
                ready_s, vehicle_id = heapq.heappop(waiting)
            truth.vehicle_id = vehicle_id
            self._drive(truth, max(ready_s + 60, run.leaves_s - self._chance.uniform(60, 600)))
            if truth.arrived[-1] is not None:
                heapq.heappush(free.setdefault(pattern.stops[-1], []), (truth.ends_s, vehicle_id))
        return found

    def _drive(self, truth: Truth, from_s: float) -> None:
        chance, run = self._chance, truth.run
        trip = self.timetable.trips[run.trip]
        pattern, profile = self.timetable.patterns[trip.pattern], self.timetable.profiles[trip.profile]
        planned = self._planned_s(trip.pattern, trip.profile)
        last = len(pattern.stops) - 1
        late_s = chance.choices(
            [chance.expovariate(1 / 30), chance.uniform(60, 300), chance.uniform(300, 700)], [70, 25, 5]
        )[0]
        driver = exp(chance.gauss(0, 0.05))
        broken_at = chance.randrange(last) if chance.random() < BROKEN_SHARE else None
        jammed_at = chance.randrange(last) if chance.random() < JAMMED_SHARE else None
        # who is held back that long comes right before the next one
        held_at = chance.randrange(1, max(last // 2, 2)) if chance.random() < HELD_BACK_SHARE else None
        at_s, moments = max(run.leaves_s + late_s, from_s + 60), truth.moments
        truth.arrived = [None] * (last + 1)
        moments += [(from_s, pattern.at_m[0]), (at_s, pattern.at_m[0])]
        truth.arrived[0] = at_s
        for index in range(last):
            here_m, there_m = pattern.at_m[index], pattern.at_m[index + 1]
            names = pattern.stops[index], pattern.stops[index + 1]
            seconds = planned[index] * driver * self._slowness(names, at_s) * exp(chance.gauss(0, 0.15)) - 7.0
            seconds = max(seconds, (there_m - here_m) / _MOST_MPS, 2.0)
            stops_m = sorted(chance.uniform(here_m, there_m) for _ in range(3))
            pieces = [(stops_m[0], 0.0)]
            if chance.random() < 0.15:
                pieces[0] = stops_m[0], chance.uniform(15, 75)
            if index == broken_at:
                stood_s = chance.uniform(420, 1500)
                # who never leaves its first stop has not broken down on its way
                place_m = here_m if index and chance.random() < 0.2 else stops_m[1]
                pieces = [(place_m, stood_s)]
            if index == jammed_at:
                seconds += (there_m - here_m) / chance.uniform(0.8, 1.5)
            if index == held_at:
                # walking pace, for kilometres if need be: no standing
                seconds += min(chance.uniform(900, 1700), (there_m - here_m) / 0.4)
                held_at = index + 1 if there_m - here_m < 400 and index + 1 < last else None
            begin_s = at_s
            for place_m, stood_s in pieces:
                share = (place_m - here_m) / (there_m - here_m) if there_m > here_m else 0.0
                at_s = begin_s + share * seconds
                moments.append((at_s, place_m))
                moments.append((at_s + stood_s, place_m))
                if index == broken_at:
                    truth.stands.append((at_s, at_s + stood_s))
                    if chance.random() < 0.3:
                        truth.ends_s = at_s + stood_s
                        return
                begin_s += stood_s
            at_s = begin_s + seconds
            moments.append((at_s, there_m))
            truth.arrived[index + 1] = at_s
            if index + 1 < last:
                dwell_s = chance.gammavariate(3, 4) if chance.random() < 0.6 else 0.0
                at_s += dwell_s
                if pattern.timepoints[index + 1]:
                    at_s = max(at_s, run.leaves_s + profile.departures[index + 1])
                moments.append((at_s, there_m))
        truth.ends_s = at_s + 40
        moments.append((truth.ends_s, pattern.at_m[-1]))

    def _planned_s(self, pattern: int, profile: int) -> list[float]:
        """What the timetable means from stop to stop; stops within a minute share it by their distances."""
        at_m = self.timetable.patterns[pattern].at_m
        arrivals = self.timetable.profiles[profile].arrivals
        kept = [0, *(index for index in range(1, len(arrivals)) if arrivals[index] > arrivals[index - 1])]
        meant = np.interp(at_m, [at_m[index] for index in kept], [arrivals[index] for index in kept])
        return [max(float(seconds), 3.0) for seconds in np.diff(meant)]

    def _slowness(self, names: tuple[int, int], at_s: float) -> float:
        """By what a piece takes longer than planned: its own, the hour's, the quarter of an hour's."""
        chance = self._chance
        slow = self._slow.setdefault(names, exp(chance.gauss(0.0, 0.3)))
        hour = at_s / 3600 % 24
        peak = 1 + 0.2 * exp(-((hour - 22.5) ** 2) / 2) + 0.2 * exp(-((hour - 7.5) ** 2) / 3)
        quarter = int(at_s // 900)
        if quarter not in self._busy:
            self._busy[quarter] = 0.8 * self._busy.get(quarter - 1, 0.0) + chance.gauss(0, 0.05)
        name = hash(names) % 50, quarter
        if name not in self._jam:
            self._jam[name] = 0.85 * self._jam.get((name[0], quarter - 1), 0.0) + chance.gauss(0, 0.1)
        return slow * peak * exp(self._busy[quarter] + self._jam[name])

    def fixes(self, truths: Sequence[Truth], seed: int) -> Iterator[Fix]:
        """What the vehicles of runs tell, in order of time."""
        chance = random.Random(seed)
        yield from heapq.merge(
            *(self._told(truth, random.Random(chance.random())) for truth in truths if truth.vehicle_id),
            key=lambda fix: fix.time_us,
        )

    def _told(self, truth: Truth, chance: random.Random) -> Iterator[Fix]:
        trip = self.timetable.trips[truth.run.trip]
        shape = self._shapes[self.timetable.patterns[trip.pattern].path]
        moments = truth.moments
        times, metres = [at for at, _ in moments], [place for _, place in moments]
        silent_from = chance.uniform(times[0], times[-1]) if chance.random() < 0.02 else times[-1]
        at_s = times[0] + chance.uniform(0, FIX_SECONDS)
        while at_s < truth.ends_s:
            if chance.random() >= LOST_SHARE and not silent_from <= at_s < silent_from + 200:
                place = shape_place(shape, float(np.interp(at_s, times, metres)))
                outlier = chance.random() < OUTLIER_SHARE
                east_m, north_m = (chance.gauss(0, NOISE_M) for _ in range(2))
                if outlier:
                    angle = chance.uniform(0, 2 * pi)
                    east_m, north_m = OUTLIER_M * cos(angle), OUTLIER_M * sin(angle)
                yield Fix(
                    truth.vehicle_id,
                    trip.trip_id,
                    place[0] + north_m / _METRES_PER_DEGREE,
                    place[1] + east_m / _METRES_PER_DEGREE / cos(radians(place[0])),
                    round(at_s * 1e6),
                    truth.run.key.start_date,
                    truth.run.key.start_s or None,
                    chance.randrange(40),
                )
            at_s += FIX_SECONDS * chance.uniform(0.95, 1.05)


def shape_place(shape: Shape, at_m: float) -> tuple[float, float]:
    """Latitude and longitude of a place along a shape."""
    along = shape.along
    index = min(max(bisect_right(along, at_m) - 1, 0), len(along) - 2)
    length = along[index + 1] - along[index]
    share = (at_m - along[index]) / length if length > 0 else 0.0
    here, there = shape.points[index], shape.points[index + 1]
    return here[0] + share * (there[0] - here[0]), here[1] + share * (there[1] - here[1])


def bunched_and_gaps(timetable: Timetable, truths: Sequence[Truth]) -> tuple[set[_Pair], set[_Pair]]:
    """Which runs really came to a stop in less than 60 s or half of the scheduled headway, or more than 1.5 of it."""
    came: dict[_LineStop, list[tuple[float, float, RunKey, str]]] = {}
    planned: dict[_LineStop, list[float]] = {}
    for truth in truths:
        trip = timetable.trips[truth.run.trip]
        pattern, profile = timetable.patterns[trip.pattern], timetable.profiles[trip.profile]
        for index, stop in enumerate(pattern.stops):
            line = pattern.route, pattern.direction, stop
            scheduled_s = float(truth.run.leaves_s + profile.arrivals[index])
            planned.setdefault(line, []).append(scheduled_s)
            if truth.vehicle_id and (at_s := truth.arrived[index]) is not None:
                came.setdefault(line, []).append((at_s, scheduled_s, truth.run.key, timetable.stops[stop].stop_id))
    bunched, gaps = set[_Pair](), set[_Pair]()
    for line, visits in came.items():
        visits.sort()
        times = np.sort(planned[line])
        for before, here in pairwise(visits):
            earlier = times[times < here[1]]
            headway_s = here[0] - before[0]
            if not len(earlier) or before[2] == here[2] or headway_s > 4 * 3600:
                continue
            apart_s = here[1] - float(earlier[-1])
            if headway_s < apart_s / 2 or headway_s < 60 < apart_s:
                bunched.add((frozenset((here[2], before[2])), here[3]))
            elif headway_s > 1.5 * apart_s:
                gaps.add((frozenset((here[2], before[2])), here[3]))
    return bunched, gaps
