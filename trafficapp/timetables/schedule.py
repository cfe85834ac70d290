"""A timetable as rules ask it: runs by name, where a run should be, who comes before whom at a stop."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise

from models.timetables.timetable import Pattern, Profile, Route, Stop, Timetable, Trip
from trafficapp.timetables.service_days import ScheduledRun, ServiceDays
from trafficapp.transit.path import RoutePath

#: A trip ends at its end, also where it comes back to its beginning.
_NEVER_CLOSED = -1.0

#: Who does not say of which day a run is, is not farther from its time than this.
_NEAR_S = 3 * 3600.0


class Course:
    """Where and when trips of a pattern and a profile are; times are seconds after the first departure.

    Attributes:
        pattern: the stops.
        begins_at: latitude and longitude of the first one.
        arrivals: at each of them.
        departures: from each of them.
        at_m: where each is along the path.
        travel_s: from each stop to the next as the timetable means it: where it has whole minutes, stops within one
            minute share the time up to the next by their distances.
    """

    def __init__(self, pattern: Pattern, profile: Profile, begins_at: tuple[float, float]) -> None:
        self.pattern, self.at_m, self.begins_at = pattern, pattern.at_m, begins_at
        self.arrivals, self.departures = profile.arrivals, profile.departures
        self.travel_s = _meant_travel_s(self.at_m, self.arrivals, self.departures)

    @property
    def last(self) -> int:
        """Index of the last stop."""
        return len(self.at_m) - 1

    @cached_property
    def _meant_s(self) -> list[float]:
        """When it is meant to leave each stop."""
        found = [0.0]
        for index, seconds in enumerate(self.travel_s):
            dwell_s = self.departures[index + 1] - self.arrivals[index + 1]
            found.append(found[-1] + seconds + dwell_s)
        return found

    def before(self, at_m: float) -> int:
        """Index of the last stop that is not further on; 0 before the first."""
        return max(bisect_right(self.at_m, at_m) - 1, 0)

    def at(self, after_s: float) -> float:
        """Where a run is scheduled to be."""
        index = bisect_right(self._meant_s, after_s) - 1
        if index < 0:
            return self.at_m[0]
        if index >= self.last:
            return self.at_m[-1]
        share = min((after_s - self._meant_s[index]) / (self.travel_s[index] or 1.0), 1.0)
        return self.at_m[index] + share * (self.at_m[index + 1] - self.at_m[index])

    def deviation_s(self, at_m: float, after_s: float, at_stop: int | None) -> float:
        """How late a run is; negative: early. At a stop it is on time from its arrival to its departure.

        Args:
            at_m: where it is.
            after_s: when, after the scheduled departure from the first stop.
            at_stop: index of the stop where it stands; None between stops.
        """
        if at_stop is not None:
            arrives, departs = self.arrivals[at_stop], self.departures[at_stop]
            if at_stop == self.last:
                departs = arrives
            return after_s - min(max(after_s, arrives), departs) if at_stop else max(after_s, 0.0)
        index = min(self.before(at_m), self.last - 1)
        way_m = self.at_m[index + 1] - self.at_m[index]
        share = (at_m - self.at_m[index]) / way_m if way_m > 0 else 1.0
        share = min(max(share, 0.0), 1.0)
        departs, arrives = self.departures[index], self.arrivals[index + 1]
        return after_s - (departs + share * (arrives - departs))


def _meant_travel_s(at_m: Sequence[float], arrivals: Sequence[int], departures: Sequence[int]) -> list[float]:
    if any(time % 60 for time in (*arrivals, *departures)):
        return [float(there - here) for here, there in zip(departures, arrivals[1:], strict=False)]
    meant = [float(time) for time in arrivals]
    # a stop counts by its minute when that differs from the one before, or when the vehicle waits there
    fixed = [0] + [
        index
        for index in range(1, len(arrivals))
        if arrivals[index] > departures[index - 1] or departures[index] > arrivals[index]
    ]
    for here, there in pairwise(fixed):
        way_m = at_m[there] - at_m[here]
        for index in range(here + 1, there):
            share = (at_m[index] - at_m[here]) / way_m if way_m > 0 else 0.0
            meant[index] = departures[here] + share * (arrivals[there] - departures[here])
    # those after the last new minute have up to half a minute
    for index in range(fixed[-1] + 1, len(arrivals)):
        meant[index] = departures[fixed[-1]] + 30.0 * (index - fixed[-1]) / (len(arrivals) - fixed[-1])
    waits = [departing - arriving for arriving, departing in zip(arrivals, departures, strict=True)]
    return [max(there - here - wait, 0.0) for (here, there), wait in zip(pairwise(meant), waits, strict=False)]


class Schedule:
    """A timetable, and what is worked out from it once.

    Args:
        timetable: whose.
    """

    def __init__(self, timetable: Timetable) -> None:
        self.timetable, self.days = timetable, ServiceDays(timetable)
        self._trip_of = {trip.trip_id: index for index, trip in enumerate(timetable.trips)}
        self._stop_of = {stop.stop_id: index for index, stop in enumerate(timetable.stops)}
        self._route_of = {route.route_id: route for route in timetable.routes}
        self._courses: dict[tuple[int, int], Course] = {}
        self._paths: dict[int, RoutePath] = {}
        self._calls: dict[tuple[int, int | None, int, str], list[int]] = {}

    def run(self, trip_id: str, start_date: str | None, start_s: int | None, now_s: float) -> ScheduledRun | None:
        """A run by its name; None when there is none.

        Args:
            trip_id: of the feed.
            start_date: service day as YYYYMMDD; without one it is the day whose run is nearest in time.
            start_s: of trips by frequency, seconds of the service day; of others it says nothing.
            now_s: seconds since the epoch.
        """
        trip = self._trip_of.get(trip_id)
        if trip is None:
            return None
        if start_date is None:
            near = self.days.near(trip, now_s - _NEAR_S, now_s + _NEAR_S)
        elif (day := _day(start_date)) is not None:
            near = self.days.of_trip(trip, day)
        else:
            return None
        if start_s is not None and self.days.is_by_frequency(trip):
            near = [run for run in near if run.key.start_s == start_s]
        return min(near, key=lambda run: max(run.leaves_s - now_s, now_s - run.ends_s), default=None)

    def has_trip(self, trip_id: str) -> bool:
        """Whether one of the timetable's trips has an id."""
        return trip_id in self._trip_of

    def trip_of(self, trip_id: str) -> int:
        """Which of the timetable's trips has an id.

        Raises:
            KeyError: none.
        """
        return self._trip_of[trip_id]

    def line_name(self, route_id: str) -> str:
        """What people call a line; its id where the timetable does not know it."""
        route = self.route(route_id)
        return route_id if route is None else route.short_name or route.long_name or route_id

    def route(self, route_id: str) -> Route | None:
        """A line by its id; None when there is none."""
        return self._route_of.get(route_id)

    def line(self, trip: int) -> tuple[str, int | None]:
        """Route and direction of a trip."""
        return self.line_of(self.timetable.trips[trip])

    def line_of(self, trip: Trip) -> tuple[str, int | None]:
        """Likewise."""
        pattern = self.timetable.patterns[trip.pattern]
        return self.timetable.routes[pattern.route].route_id, pattern.direction

    def stop(self, stop_id: str) -> Stop | None:
        """A stop by its id; None when there is none that is served."""
        place = self._stop_of.get(stop_id)
        return None if place is None else self.timetable.stops[place]

    def calls_at(self, stop_id: str) -> dict[int, list[int]]:
        """Patterns that serve a stop, and where it is among their stops."""
        place, found = self._stop_of.get(stop_id), dict[int, list[int]]()
        for number, pattern in enumerate(self.timetable.patterns):
            if place in pattern.stops:
                found[number] = [index for index, stop in enumerate(pattern.stops) if stop == place]
        return found

    def course(self, trip: int) -> Course:
        """Where and when a trip is."""
        found = self.timetable.trips[trip]
        name = found.pattern, found.profile
        if name not in self._courses:
            pattern = self.timetable.patterns[name[0]]
            stop = self.timetable.stops[pattern.stops[0]]
            profile = self.timetable.profiles[name[1]]
            self._courses[name] = Course(pattern, profile, (stop.latitude, stop.longitude))
        return self._courses[name]

    def path(self, trip: int) -> RoutePath:
        """The way of a trip."""
        number = self.timetable.patterns[self.timetable.trips[trip].pattern].path
        if number not in self._paths:
            self._paths[number] = RoutePath(self.timetable.paths[number], _NEVER_CLOSED)
        return self._paths[number]

    def scheduled_headway_s(self, run: ScheduledRun, stop_index: int) -> int | None:
        """How long after the run before it, of its route and direction, a run is scheduled at a stop.

        None for the first run of a day, and where both come at once.
        """
        pattern = self.course(run.trip).pattern
        stop, start_date = pattern.stops[stop_index], run.key.start_date
        times = self._times(pattern.route, pattern.direction, stop, start_date)
        at_s = run.leaves_s + self.course(run.trip).arrivals[stop_index]
        index = bisect_left(times, at_s)
        return at_s - times[index - 1] if index > 0 else None

    def _times(self, route: int, direction: int | None, stop: int, start_date: str) -> list[int]:
        """Scheduled arrivals of a line at a stop on a service day and the evening before, in order."""
        name = route, direction, stop, start_date
        if name not in self._calls:
            if len(self._calls) > 200_000:
                self._calls.clear()
            day = date(int(start_date[:4]), int(start_date[4:6]), int(start_date[6:]))
            runs = [*self.days.of(day - timedelta(days=1)), *self.days.of(day)]
            found: dict[int, list[int]] = {}
            for run in runs:
                course = self.course(run.trip)
                if (course.pattern.route, course.pattern.direction) == (route, direction):
                    for index, place in enumerate(course.pattern.stops):
                        found.setdefault(place, []).append(run.leaves_s + course.arrivals[index])
            for place, times in found.items():
                self._calls[route, direction, place, start_date] = sorted(times)
            self._calls.setdefault(name, [])
        return self._calls[name]


def _day(start_date: str) -> date | None:
    """A service day as it is written in messages; None when it is none."""
    if len(start_date) != 8 or not (start_date.isascii() and start_date.isdecimal()):
        return None
    try:
        return date(int(start_date[:4]), int(start_date[4:6]), int(start_date[6:]))
    except ValueError:
        return None
