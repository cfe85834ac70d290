"""When runs will reach their stops: along their way, each piece as long as it takes now, waiting where they must."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import exp, sqrt
from typing import NamedTuple

from models.timetables.runs import Arrival, RunName
from trafficapp.timetables.following import Run
from trafficapp.timetables.remembered import Remembered
from trafficapp.timetables.schedule import Course, Schedule
from trafficapp.timetables.service_days import ScheduledRun
from trafficapp.timetables.travel_times import Mean, TravelTimes

#: What a vehicle's own pace counts for on the next piece, and how much of that on each further one.
_PACE_COUNTS, _PACE_LASTS = 0.5, 0.9
#: Who stands or crawls between stops longer than a traffic light makes it, does so for about half as long again.
_CRAWLS_S, _CRAWLS_ON = 90.0, 0.5
#: Seconds that a moment is known by, and the share by which all pieces of a way are longer or shorter together.
_MOMENT_SD_S, _TOGETHER_SD = 12.0, 0.09
#: A dwell's spread as a share of it.
_DWELL_SD = 0.6
#: Nine of ten of a normal distribution lie below so many deviations.
_NINE_OF_TEN = 1.2816

#: Riders are told a time so much earlier than the likeliest one, and by so much of the wait more: the middle between
#: what the ETA Accuracy Benchmark (TransitApp) lets vehicles be early and late.
_ALLOWANCE_S, _ALLOWANCE_SHARE, _MOST_ALLOWANCE_S = 22.0, 0.095, 90.0


def allowance_s(wait_s: float) -> float:
    """How much earlier than the likeliest time riders are told one that is so far ahead."""
    return min(_ALLOWANCE_S + _ALLOWANCE_SHARE * max(wait_s, 0.0), _MOST_ALLOWANCE_S)


class _Way(NamedTuple):
    """Whose arrivals are asked for, and when."""

    run: RunName
    vehicle_id: str | None
    leaves_s: int
    pace: float
    now_s: float


class Predictions:
    """Predicts arrivals.

    Args:
        schedule: of all runs.
        travel_times: what was observed.
        hour: of the local day at a time.
    """

    def __init__(self, schedule: Schedule, travel_times: TravelTimes, hour: Callable[[float], int]) -> None:
        self._schedule, self._times, self._hour = schedule, travel_times, hour
        #: How late runs leave their first stop, by route and direction.
        self.starts: Remembered[tuple[str, int | None], Mean] = Remembered()

    def on(self, schedule: Schedule) -> Predictions:
        """The same by another timetable."""
        found = Predictions(schedule, self._times, self._hour)
        found.starts = self.starts
        return found

    def observe_start(self, trip: int, late_s: float) -> None:
        """A run has left its first stop."""
        line = self._schedule.line(trip)
        mean = self.starts.get(line) or Mean()
        mean.add(min(max(late_s, 0.0), 300.0))
        self.starts[line] = mean

    def of_scheduled(self, run: ScheduledRun, now_s: float) -> Iterator[Arrival]:
        """Arrivals of a run that has no vehicle yet."""
        course = self._schedule.course(run.trip)
        on = _Way(RunName(*run.key), None, run.leaves_s, 0.0, now_s)
        yield from self._on(on, course, 0, self._leaves_s(run, now_s), 90.0**2)

    def of(self, run: Run, now_s: float) -> Iterator[Arrival]:
        """Arrivals of a run at the stops before it.

        Args:
            run: of a vehicle.
            now_s: seconds since the epoch.
        """
        course = self._schedule.course(run.trip)
        at_m, stop = run.at_m, run.next_stop - 1
        if stop >= course.last:
            return
        on = _Way(run.name, run.vehicle_id, run.leaves_s, run.pace, now_s)
        if at_m is None or run.waits_to_begin:
            yield from self._on(on, course, 0, self._leaves_s(run, now_s), 30.0**2)
            return
        variance = _MOMENT_SD_S**2
        if run.at_stop() is not None:
            yield from self._on(on, course, stop, self.leaves_s(run, stop, now_s), variance)
            return
        way_m = course.at_m[stop + 1] - course.at_m[stop]
        share = min(max((course.at_m[stop + 1] - at_m) / way_m, 0.0), 1.0) if way_m > 0 else 0.0
        start_s, crawled_s = run.at_s, run.at_s - run.crawls_since_s
        if crawled_s > _CRAWLS_S:
            start_s += _CRAWLS_ON * crawled_s
            variance += crawled_s**2
        yield from self._on(on, course, stop, start_s, variance, share)

    def leaves_s(self, run: Run, stop: int, now_s: float) -> float:
        """When a run leaves the stop where it stands."""
        if stop == 0:
            return self._leaves_s(run, now_s)
        reached_s, course = run.reached[stop] or run.at_s, self._schedule.course(run.trip)
        return max(self._departs_s(course, stop, reached_s, run.leaves_s), run.at_s, now_s)

    def _leaves_s(self, run: Run | ScheduledRun, now_s: float) -> float:
        """When a run leaves its first stop that has not yet."""
        mean = self.starts.get(self._schedule.line(run.trip))
        usually_s = 0.0 if mean is None else mean.with_prior(0.0, 2.0)
        return max(run.leaves_s + usually_s, now_s)

    def _departs_s(self, course: Course, stop: int, arrives_s: float, leaves_s: int) -> float:
        scheduled_s = course.departures[stop] - course.arrivals[stop]
        stop_id = self._schedule.timetable.stops[course.pattern.stops[stop]].stop_id
        departs_s = arrives_s + self._times.dwell_s(stop_id, scheduled_s)
        if course.pattern.timepoints[stop]:
            return max(departs_s, float(leaves_s + course.departures[stop]))
        return departs_s

    def _on(
        self, on: _Way, course: Course, stop: int, start_s: float, variance: float, share: float = 1.0
    ) -> Iterator[Arrival]:
        """Arrivals at all stops after one that is left at a time, or of whose way to the next a share is left."""
        stops, pattern, now_s = self._schedule.timetable.stops, course.pattern, on.now_s
        counts, at_s, on_way_s = _PACE_COUNTS, start_s, 0.0
        for index in range(stop + 1, course.last + 1):
            names = stops[pattern.stops[index - 1]].stop_id, stops[pattern.stops[index]].stop_id
            expected = self._times.expected(names, course.travel_s[index - 1], self._hour(at_s), at_s)
            seconds = share * expected.seconds * exp(counts * on.pace)
            at_s, on_way_s = max(at_s + seconds, now_s), on_way_s + seconds
            variance += share * expected.seconds**2 * expected.variance
            spread_s = _NINE_OF_TEN * sqrt(variance + (_TOGETHER_SD * on_way_s) ** 2)
            departs_s = self._departs_s(course, index, at_s, on.leaves_s)
            yield Arrival(
                run=on.run,
                vehicle_id=on.vehicle_id,
                stop_index=index,
                scheduled_s=on.leaves_s + course.arrivals[index],
                arrives_s=max(at_s - allowance_s(at_s - now_s), now_s),
                likeliest_s=at_s,
                earliest_s=max(at_s - spread_s, now_s),
                latest_s=at_s + spread_s,
                departs_s=departs_s,
            )
            variance += (_DWELL_SD * min(departs_s - at_s, 60.0)) ** 2
            at_s, share, counts = departs_s, 1.0, counts * _PACE_LASTS
