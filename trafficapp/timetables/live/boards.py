"""What a stop and a line show: runs that are expected, vehicles along the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us
from models.timetables.agency import AgencyTrip
from models.timetables.answers import LineDirection, LineStop, LineVehicle, RouteLine, StopArrival
from models.timetables.live import LiveRun, StopAhead
from models.timetables.runs import RunName
from models.timetables.timetable import Pattern
from trafficapp.timetables.live.agency import CANCELED, AgencyTrips, expected
from trafficapp.timetables.live.documents import at, known_run
from trafficapp.timetables.schedule import Schedule

#: Of a vehicle that said nothing for longer nobody knows when it comes.
HEARD_S = 300.0


def epoch_s(time: str) -> float:
    """Seconds since the epoch."""
    return epoch_us(time) / MICROSECONDS_PER_SECOND


def heard_runs(runs: Iterable[LiveRun], now_s: float) -> dict[tuple[str, str, str], LiveRun]:
    """The vehicle of each run that has one; of several on one run the one that was heard of last.

    Args:
        runs: all that are known.
        now_s: seconds since the epoch; clocks of vehicles may be ahead.
    """
    found: dict[tuple[str, str, str], LiveRun] = {}
    for run in sorted(runs, key=lambda run: (run.last_updated, run.vehicle_id)):
        if now_s - epoch_s(run.last_updated) <= HEARD_S:
            found[run.trip_id, run.start_date, run.start_time] = run
    return found


def arrivals(
    schedule: Schedule,
    runs: Iterable[LiveRun],
    stop_id: str,
    now_s: float,
    within_s: float,
    agency: AgencyTrips | None = None,
) -> list[StopArrival]:
    """The runs that are expected at a stop within a time, the first one first.

    Those without a vehicle are there by the timetable until they should leave their first stop.

    Args:
        schedule: of the city.
        runs: as they were told last.
        stop_id: of the stop.
        now_s: seconds since the epoch.
        within_s: how far ahead.
        agency: what it says of its trips: which are cancelled, and when those come of whose vehicles we know nothing.
    """
    runs, said = list(runs), agency or AgencyTrips()
    heard, until_s = heard_runs(runs, now_s), now_s + within_s
    found = list[StopArrival]()
    for run in heard.values():
        if run.state != "over" and schedule.has_trip(run.trip_id):
            is_cancelled = _is_cancelled(said.of(run.trip_id, run.start_date, run.start_time))
            here = (stop for stop in run.stops if stop.stop_id == stop_id)
            found += (_predicted(schedule, run, stop, is_cancelled=is_cancelled) for stop in here)
    # whoever is on a run has begun it, also when nothing was heard of him lately
    served = {(run.trip_id, run.start_date, run.start_time) for run in runs}
    found += _scheduled(schedule, stop_id, served, now_s, until_s, said)
    there = [one for one in found if now_s <= epoch_s(one.departs_at) and epoch_s(one.arrives_at) <= until_s]
    return sorted(there, key=lambda one: (one.arrives_at, one.trip_id, one.start_date, one.start_time))


def _predicted(schedule: Schedule, run: LiveRun, stop: StopAhead, *, is_cancelled: bool) -> StopArrival:
    arrives_at = stop.arrives_at or stop.departs_at
    return StopArrival(
        route_id=run.route_id,
        line=schedule.line_name(run.route_id),
        direction_id=run.direction_id,
        headsign=run.headsign,
        trip_id=run.trip_id,
        start_date=run.start_date,
        start_time=run.start_time,
        vehicle_id=run.vehicle_id,
        stop_sequence=stop.stop_sequence,
        scheduled_at=stop.scheduled_at,
        arrives_at=arrives_at,
        likeliest_at=stop.likeliest_at,
        earliest_at=stop.earliest_at,
        latest_at=stop.latest_at,
        departs_at=stop.departs_at,
        late_seconds=round(epoch_s(arrives_at) - epoch_s(stop.scheduled_at)),
        source="prediction",
        is_at_stop=stop.likeliest_at is None,
        is_cancelled=is_cancelled,
        passenger_count=run.passenger_count,
    )


def _scheduled(
    schedule: Schedule,
    stop_id: str,
    served: set[tuple[str, str, str]],
    now_s: float,
    until_s: float,
    agency: AgencyTrips,
) -> Iterator[StopArrival]:
    """Runs that nobody has begun yet, or that only their agency knows of."""
    places = schedule.calls_at(stop_id)
    for run in schedule.days.between(now_s, until_s):
        indexes = places.get(schedule.timetable.trips[run.trip].pattern)
        if indexes is None:
            continue
        known = known_run(schedule, RunName(*run.key))
        name = known.trip_id, known.start_date, known.start_time
        said = agency.of(*name)
        if name in served or (said is None and run.leaves_s <= now_s):
            continue
        course = schedule.course(run.trip)
        for index in indexes:
            scheduled_s = run.leaves_s + (course.arrivals[index] if index else 0)
            there = None if said is None else expected(said, course.pattern.sequences[index], stop_id, scheduled_s)
            arrives_s, departs_s = there or (scheduled_s, run.leaves_s + course.departures[index])
            yield StopArrival(
                **known._asdict(),
                line=schedule.line_name(known.route_id),
                vehicle_id=None if said is None else said.vehicle_id,
                stop_sequence=course.pattern.sequences[index],
                scheduled_at=at(scheduled_s),
                arrives_at=at(arrives_s),
                likeliest_at=None,
                earliest_at=None,
                latest_at=None,
                departs_at=at(departs_s),
                late_seconds=None if there is None else round(arrives_s - scheduled_s),
                source="timetable" if there is None else "agency",
                is_cancelled=_is_cancelled(said),
            )


def _is_cancelled(said: AgencyTrip | None) -> bool:
    return said is not None and said.relationship == CANCELED


class _Way(NamedTuple):
    """The way that most trips of a direction go: the pattern, what its vehicles show, where each stop is along it."""

    pattern: Pattern
    headsign: str
    at_m: Mapping[str, float]


def line(schedule: Schedule, route_id: str, runs: Iterable[LiveRun], now_s: float) -> RouteLine | None:
    """A line with its vehicles; None when the timetable has none of that id.

    Args:
        schedule: of the city.
        route_id: of the line.
        runs: as they were told last.
        now_s: seconds since the epoch.
    """
    route = schedule.route(route_id)
    if route is None:
        return None
    on_it = [
        run
        for run in heard_runs(runs, now_s).values()
        if run.route_id == route_id and run.state != "over" and schedule.has_trip(run.trip_id)
    ]
    return RouteLine(
        route_id=route_id,
        line=schedule.line_name(route_id),
        long_name=route.long_name,
        route_type=route.kind,
        directions=[_direction(schedule, way, on_it) for way in _ways(schedule, route_id)],
    )


def _ways(schedule: Schedule, route_id: str) -> list[_Way]:
    timetable = schedule.timetable
    trips = [trip for trip in timetable.trips if schedule.line_of(trip)[0] == route_id]
    count = Counter(trip.pattern for trip in trips)
    main: dict[int | None, int] = {}
    for number in sorted(count, key=lambda number: (-count[number], number)):
        main.setdefault(timetable.patterns[number].direction, number)
    found = []
    for direction in sorted(main, key=lambda direction: -1 if direction is None else direction):
        pattern = timetable.patterns[main[direction]]
        signs = Counter(trip.headsign for trip in trips if trip.pattern == main[direction])
        places = dict[str, float]()
        for stop, at_m in zip(pattern.stops, pattern.at_m, strict=True):
            places.setdefault(timetable.stops[stop].stop_id, at_m)
        found.append(_Way(pattern, signs.most_common(1)[0][0], places))
    return found


def _direction(schedule: Schedule, way: _Way, runs: Iterable[LiveRun]) -> LineDirection:
    stops, pattern = schedule.timetable.stops, way.pattern
    length_m = pattern.at_m[-1] or 1.0
    placed = [(_along(schedule, way, run), run) for run in runs if run.direction_id == pattern.direction]
    placed.sort(key=lambda one: (one[0] is None, one[0] or 0.0, one[1].vehicle_id))
    ahead: dict[str, LiveRun] = {}
    known = [run for at_m, run in placed if at_m is not None]
    for run, before in pairwise(known):
        ahead[run.vehicle_id] = before
    return LineDirection(
        direction_id=pattern.direction,
        headsign=way.headsign,
        length_m=round(length_m, 1),
        stops=[
            LineStop(
                stop_id=stops[stop].stop_id,
                name=stops[stop].name,
                latitude=stops[stop].latitude,
                longitude=stops[stop].longitude,
                at_m=round(at_m, 1),
                share=round(at_m / length_m, 4),
            )
            for stop, at_m in zip(pattern.stops, pattern.at_m, strict=True)
        ],
        vehicles=[_on_line(run, at_m, length_m, ahead.get(run.vehicle_id)) for at_m, run in placed],
    )


def _along(schedule: Schedule, way: _Way, run: LiveRun) -> float | None:
    """Where a vehicle is along the line's own way; None on a branch that it does not have."""
    course = schedule.course(schedule.trip_of(run.trip_id))
    if run.progress_m is None:
        return None
    if course.pattern is way.pattern:
        return min(max(run.progress_m, 0.0), way.pattern.at_m[-1])
    stops, index = schedule.timetable.stops, min(course.before(run.progress_m), course.last - 1)
    names = [stops[course.pattern.stops[place]].stop_id for place in (index, index + 1)]
    begins_m, ends_m = way.at_m.get(names[0]), way.at_m.get(names[1])
    if begins_m is None or ends_m is None or ends_m < begins_m:
        return None
    way_m = course.at_m[index + 1] - course.at_m[index]
    share = (run.progress_m - course.at_m[index]) / way_m if way_m > 0 else 1.0
    return begins_m + min(max(share, 0.0), 1.0) * (ends_m - begins_m)


def _on_line(run: LiveRun, at_m: float | None, length_m: float, ahead: LiveRun | None) -> LineVehicle:
    headway_s = scheduled_s = None
    if ahead is not None and ahead.stops:
        there = ahead.stops[0]
        mine = next((stop for stop in run.stops if stop.stop_id == there.stop_id), None)
        if mine is not None:
            headway_s = round(epoch_s(_comes_at(mine)) - epoch_s(_comes_at(there)))
            scheduled_s = round(epoch_s(mine.scheduled_at) - epoch_s(there.scheduled_at))
    return LineVehicle(
        vehicle_id=run.vehicle_id,
        trip_id=run.trip_id,
        start_date=run.start_date,
        start_time=run.start_time,
        headsign=run.headsign,
        state=run.state,
        at_m=None if at_m is None else round(at_m, 1),
        share=None if at_m is None else round(at_m / length_m, 4),
        next_stop_id=run.stop_id,
        late_seconds=run.late_seconds,
        passenger_count=run.passenger_count,
        behind_vehicle_id=None if ahead is None else ahead.vehicle_id,
        headway_seconds=headway_s,
        scheduled_headway_seconds=scheduled_s,
        last_updated=run.last_updated,
    )


def _comes_at(stop: StopAhead) -> str:
    return stop.likeliest_at or stop.arrives_at or stop.departs_at
