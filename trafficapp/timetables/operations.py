"""A city's public transport as it runs: fixes in, what happens to runs out, arrivals on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from models.timetables.runs import Arrival, Fix, RunBroken, RunEnded, RunEvent, RunName, StopServed
from models.timetables.timetable import Timetable
from trafficapp.settings.transit import TransitSettings
from trafficapp.timetables.arrivals import Predictions
from trafficapp.timetables.breakdowns import stands_for_s
from trafficapp.timetables.following import Run, Served, begun_run, follow, to_follow, to_follow_at_last
from trafficapp.timetables.headways import Headways
from trafficapp.timetables.missed import MissedRuns
from trafficapp.timetables.remembered import Remembered
from trafficapp.timetables.schedule import Course, Schedule
from trafficapp.timetables.travel_times import TravelTimes
from trafficapp.transit.progress import ProgressRule

#: A vehicle says early which run is its next, and may be very late; beyond that what it says is of another day.
_EARLY_S, _LATE_S = 3600.0, 3 * 3600.0
#: A vehicle that was silent for so long has left its run.
_SILENT_S = 1800.0
#: Fixes farther apart say too little of when a stop was reached for others to learn from it.
_LEARNT_S = 90.0


class Operations:
    """All runs.

    Args:
        timetable: of them.
        settings: of progress along a path, and of standing.
        from_s: runs that should have begun before are not missed; seconds since the epoch.
        schedule: of the timetable, where somebody has made it already.

    Attributes:
        runs: those that have a vehicle, by its id.
        begun: runs that were begun in the last day, and when they should have left.
        left_out: how many fixes said nothing of a run, by why.
    """

    def __init__(
        self, timetable: Timetable, settings: TransitSettings, from_s: float, schedule: Schedule | None = None
    ) -> None:
        self.schedule = schedule or Schedule(timetable)
        self._rule, self._settings = ProgressRule.of(settings), settings
        self._hour_of_quarter = _hours_in(timetable.zone)
        self.travel_times, self.headways = TravelTimes(), Headways()
        self.predictions = Predictions(self.schedule, self.travel_times, self.hour)
        self.missed = MissedRuns(self.schedule, from_s)
        self.runs: Remembered[str, Run] = Remembered()
        self.begun: Remembered[RunName, int] = Remembered()
        self.left_out: Counter[str] = Counter()

    def exchange(self, schedule: Schedule) -> None:
        """Go on with another timetable: runs are met anew, what was learnt of the way stays where it is still there.

        Which runs were begun or missed stays known.
        """
        self.schedule, self._hour_of_quarter = schedule, _hours_in(schedule.timetable.zone)
        self.runs.forget_all()
        self.predictions = self.predictions.on(schedule)
        self.missed = self.missed.on(schedule)
        stops = {stop.stop_id for stop in schedule.timetable.stops}
        lines = {schedule.line(trip) for trip in range(len(schedule.timetable.trips))}
        self.travel_times.segments.keep(stops.issuperset)
        self.travel_times.dwells.keep(stops.__contains__)
        self.predictions.starts.keep(lines.__contains__)
        self.headways.regularity.keep(lines.__contains__)
        self.headways.last.keep(lambda visit: visit[:2] in lines and visit[2] in stops)

    def hour(self, at_s: float) -> int:
        """Of the agency's local day."""
        return int(self._hour_of_quarter(int(at_s // 900)))

    def fix(self, fix: Fix, heard_s: float | None = None) -> Iterator[RunEvent]:
        """Take a fix in; one that is older than what is known of the vehicle says nothing.

        Args:
            fix: of a vehicle.
            heard_s: when it came, seconds since the epoch, where its own clock is not to be believed about that.
        """
        at_s = fix.time_us / 1e6
        self.missed.heard(at_s if heard_s is None else heard_s)
        run = self.runs.get(fix.vehicle_id)
        if run is not None and at_s < run.at_s:
            self.left_out["older_than_known"] += 1
            return
        scheduled = self.schedule.run(fix.trip_id, fix.start_date, fix.start_s, at_s)
        if scheduled is None:
            self.left_out["unknown_trip"] += 1
            return
        if not scheduled.leaves_s - _EARLY_S <= at_s <= scheduled.ends_s + _LATE_S:
            self.left_out["trip_of_another_time"] += 1
            return
        self.runs.touch(fix.vehicle_id)
        if run is None or run.name != RunName(*scheduled.key):
            if run is not None:
                for known in to_follow_at_last(run, fix, self._settings.moved_m):
                    yield from self._follow(run, known)
                yield from self._end(run)
            run = self.runs[fix.vehicle_id] = begun_run(scheduled, len(self.schedule.course(scheduled.trip).at_m), fix)
        for known in to_follow(run, fix, self._settings.moved_m):
            yield from self._follow(run, known)
        if run.has_begun and run.name not in self.begun:
            self.begun[run.name] = run.leaves_s
            if (over := self.missed.begun(run.name, at_s)) is not None:
                yield over

    def _follow(self, run: Run, fix: Fix) -> Iterator[RunEvent]:
        course = self.schedule.course(run.trip)
        for served in follow(run, fix, course, self.schedule.path(run.trip), self._rule):
            yield from self._served(run, course, served)
        yield from self._breakdown(run, course)

    def tick(self, now_s: float) -> Iterator[RunEvent]:
        """What follows from nothing being heard."""
        for vehicle_id, run in sorted(self.runs.items()):
            if now_s - run.at_s > _SILENT_S:
                del self.runs[vehicle_id]
                yield from self._end(run)
        there = {run.name for run in self.runs.values()} | self.begun.keys()
        yield from self.missed.judge(now_s, there, {run.trip for run in self.runs.values() if run.has_begun})
        for name in [name for name, leaves_s in self.begun.items() if leaves_s < now_s - 86_400]:
            del self.begun[name]

    def arrivals(self, run: Run, now_s: float) -> list[Arrival]:
        """When a run is expected at the stops before it."""
        return list(self.predictions.of(run, now_s))

    def arrivals_at(self, stop_id: str, now_s: float, within_s: float = 3600.0) -> list[Arrival]:
        """Which runs are expected at a stop within a time, the first one first; also those without a vehicle yet.

        Runs that are missed, and those that should have left their first stop by now and have no vehicle, are not.
        """
        found = list[Arrival]()
        served = self.begun.keys() | {run.name for run in self.runs.values()}
        for run in self.runs.values():
            if self._serves(run.trip, stop_id) and now_s - run.at_s <= _SILENT_S:
                found += self.predictions.of(run, now_s)
        for scheduled in self.schedule.days.between(now_s, now_s + within_s):
            is_free = scheduled.leaves_s > now_s and RunName(*scheduled.key) not in served
            if is_free and self._serves(scheduled.trip, stop_id):
                found += self.predictions.of_scheduled(scheduled, now_s)
        until_s = now_s + within_s
        here = [one for one in found if self._stop_of(one) == stop_id and one.arrives_s <= until_s]
        return sorted(here, key=lambda arrival: (arrival.arrives_s, arrival.run.trip_id, arrival.run.start_date))

    def _serves(self, trip: int, stop_id: str) -> bool:
        stops = self.schedule.timetable.stops
        return any(stops[stop].stop_id == stop_id for stop in self.schedule.course(trip).pattern.stops)

    def _stop_of(self, arrival: Arrival) -> str:
        course = self.schedule.course(self.schedule.trip_of(arrival.run.trip_id))
        return self.schedule.timetable.stops[course.pattern.stops[arrival.stop_index]].stop_id

    def late_s(self, run: Run) -> float | None:
        """How late a run is by its newest fix; None before it is on its way."""
        if run.at_m is None:
            return None
        course = self.schedule.course(run.trip)
        if (reached_s := run.reached[-1]) is not None:
            return reached_s - run.leaves_s - course.arrivals[-1]
        return course.deviation_s(run.at_m, run.at_s - run.leaves_s, run.at_stop())

    def _served(self, run: Run, course: Course, served: Served) -> Iterator[RunEvent]:
        stop, at_s = served
        timetable, pattern = self.schedule.timetable, course.pattern
        stop_id = timetable.stops[pattern.stops[stop]].stop_id
        late_s = at_s - run.leaves_s - course.arrivals[stop]
        if stop == 0:
            late_s = at_s - run.leaves_s
            self.predictions.observe_start(run.trip, late_s)
        elif run.at_s - run.before_s <= _LEARNT_S:
            self._learn(run, course, stop)
        yield StopServed(run.name, run.vehicle_id, stop, stop_id, at_s, late_s)
        name = run.name
        scheduled = self.schedule.run(name.trip_id, name.start_date, name.start_s, at_s)
        if scheduled is not None:
            headway_s = self.schedule.scheduled_headway_s(scheduled, stop)
            route_id = timetable.routes[pattern.route].route_id
            headway = self.headways.came(run.name, route_id, pattern.direction, stop_id, at_s, headway_s)
            if headway is not None:
                yield headway

    def _learn(self, run: Run, course: Course, stop: int) -> None:
        """What the way to a stop took, and the wait at the one before it."""
        stops, pattern = self.schedule.timetable.stops, course.pattern
        names = stops[pattern.stops[stop - 1]].stop_id, stops[pattern.stops[stop]].stop_id
        left_s, reached_s = run.left[stop - 1], run.reached[stop]
        if left_s is None or reached_s is None or run.is_broken:
            return
        seconds = reached_s - left_s
        surprise = self.travel_times.observe(names, course.travel_s[stop - 1], self.hour(left_s), reached_s, seconds)
        run.pace += 0.3 * (surprise - run.pace)
        came_s = run.reached[stop - 1]
        scheduled_s = run.leaves_s + course.departures[stop - 1]
        if stop > 1 and came_s is not None and (not pattern.timepoints[stop - 1] or came_s > scheduled_s):
            self.travel_times.observe_dwell(names[0], left_s - came_s)

    def _breakdown(self, run: Run, course: Course) -> Iterator[RunEvent]:
        stood_s = stands_for_s(run, course, self._settings.moved_m)
        if run.is_broken == (stood_s >= self._settings.breakdown_seconds):
            return
        run.is_broken = not run.is_broken
        if run.is_broken:
            yield RunBroken(run.name, run.vehicle_id, run.at_s - stood_s, run.at_s)
        else:
            yield RunBroken(run.name, run.vehicle_id, run.at_s, run.at_s, is_over=True)

    def _end(self, run: Run) -> Iterator[RunEvent]:
        if run.is_broken:
            yield RunBroken(run.name, run.vehicle_id, run.at_s, run.at_s, is_over=True)
        if run.has_begun:
            mean = run.passengers / run.counts if run.counts else None
            is_complete = run.next_stop >= len(run.reached)
            yield RunEnded(run.name, run.vehicle_id, run.at_s, is_complete, run.most_passengers, mean)


def _hours_in(zone: str) -> Callable[[int], int]:
    """Hours of the local day of quarters of an hour since the epoch."""
    there = ZoneInfo(zone)
    return lru_cache(4096)(lambda quarter: datetime.fromtimestamp(quarter * 900, UTC).astimezone(there).hour)
