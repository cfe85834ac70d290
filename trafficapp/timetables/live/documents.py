"""What is told of runs, from what is known of them."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from models.timetables.live import LiveRun, RunOutcome, RunState, StopAhead, StopTime
from models.timetables.runs import Headway, RunEnded, RunMissed, RunName, StopServed
from trafficapp.timetables.following import Run
from trafficapp.timetables.operations import Operations
from trafficapp.timetables.schedule import Schedule

#: A stop that is nearer than this is being reached.
_NEAR_M = 150.0
#: A vehicle farther from its shape is told without its trip (gtfs-rt-validator, E029).
_OFF_SHAPE_M = 200.0


class KnownRun(NamedTuple):
    """A run in words: as messages name it, and its line."""

    trip_id: str
    start_date: str
    start_time: str
    route_id: str
    direction_id: int | None
    headsign: str


def known_run(schedule: Schedule, name: RunName) -> KnownRun:
    """A run of the timetable.

    Raises:
        KeyError: it has no such trip.
    """
    trip = schedule.trip_of(name.trip_id)
    told = schedule.timetable.trips[trip]
    start_s = name.start_s if schedule.days.is_by_frequency(trip) else told.leaves_s
    route_id, direction = schedule.line(trip)
    return KnownRun(name.trip_id, name.start_date, clock(start_s), route_id, direction, told.headsign)


def clock(seconds: int) -> str:
    """Seconds of a service day as GTFS writes them: 25:10:00."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def at(seconds: float) -> str:
    """A time in RFC 3339, to the second."""
    return rfc3339(round(seconds) * MICROSECONDS_PER_SECOND)


def live_run(operations: Operations, run: Run, now_s: float, ahead_s: float) -> LiveRun:
    """A vehicle on its run.

    Args:
        operations: of the city.
        run: of the vehicle.
        now_s: seconds since the epoch.
        ahead_s: stops that it reaches later are left out.
    """
    schedule = operations.schedule
    course, pattern = schedule.course(run.trip), schedule.course(run.trip).pattern
    state, standing = _state(run, course.last), run.at_stop()
    length_m, at_m, late_s = schedule.path(run.trip).length_m, run.at_m, operations.late_s(run)
    stop = standing if standing is not None else min(max(run.next_stop, 0), course.last)
    is_known = run.progress is not None and run.progress.at_m is not None
    stop_id = schedule.timetable.stops[pattern.stops[stop]].stop_id
    return LiveRun(
        vehicle_id=run.vehicle_id,
        **known_run(schedule, run.name)._asdict(),
        state=state,
        latitude=run.place[0],
        longitude=run.place[1],
        passenger_count=run.passengers_now,
        progress_m=None if at_m is None else round(at_m, 1),
        progress_share=None if at_m is None else round(at_m / length_m, 4),
        off_shape_m=None if run.progress is None else round(run.progress.off_m, 1),
        late_seconds=None if late_s is None else round(late_s),
        stop_sequence=pattern.sequences[stop],
        stop_id=stop_id,
        is_near_stop=is_known and standing is None and course.at_m[stop] - (at_m or 0.0) < _NEAR_M,
        broken_down_since=at(run.stands_since_s) if run.is_broken else None,
        last_updated=rfc3339(round(run.at_s * MICROSECONDS_PER_SECOND)),
        stops=[] if state == "over" else _stops(operations, run, now_s, ahead_s),
    )


def ended(told: LiveRun) -> LiveRun:
    """The same, of a run that is over."""
    return replace(told, state="over", stops=[])


def _state(run: Run, last: int) -> RunState:
    if run.next_stop > last:
        return "over"
    if run.progress is None or run.at_m is None or run.progress.off_m > _OFF_SHAPE_M:
        return "off_shape"
    if run.waits_to_begin:
        return "waiting"
    return "on_way" if run.at_stop() is None else "at_stop"


def _stops(operations: Operations, run: Run, now_s: float, ahead_s: float) -> list[StopAhead]:
    """The stops before a vehicle; the one where it stands is the first of them."""
    schedule, course = operations.schedule, operations.schedule.course(run.trip)
    pattern, stops = course.pattern, schedule.timetable.stops
    standing = run.at_stop()
    first = 0 if run.waits_to_begin else standing if standing is not None else max(run.next_stop, 0)
    arrivals = {arrival.stop_index: arrival for arrival in operations.arrivals(run, now_s)}
    found = list[StopAhead]()
    for stop in range(min(first, course.last), course.last + 1):
        known = arrivals.get(stop)
        if known is not None and known.arrives_s > now_s + ahead_s:
            break
        came_s = leaves_s = run.at_s
        if known is None:
            came_s = run.reached[stop] or run.at_s
            leaves_s = operations.predictions.leaves_s(run, stop, now_s)
        found.append(
            StopAhead(
                stop_index=stop,
                stop_sequence=pattern.sequences[stop],
                stop_id=stops[pattern.stops[stop]].stop_id,
                scheduled_at=at(run.leaves_s + (course.arrivals[stop] if stop else 0)),
                arrives_at=at(known.arrives_s if known else came_s) if stop or known else None,
                likeliest_at=at(known.likeliest_s) if known else None,
                earliest_at=at(known.earliest_s) if known else None,
                latest_at=at(known.latest_s) if known else None,
                departs_at=at(known.departs_s if known else leaves_s),
            )
        )
    return found


def stop_time(schedule: Schedule, served: StopServed, headway: Headway | None) -> StopTime:
    """A stop that was served."""
    run = known_run(schedule, served.run)
    pattern = schedule.course(schedule.trip_of(run.trip_id)).pattern
    return StopTime(
        trip_id=run.trip_id,
        start_date=run.start_date,
        start_time=run.start_time,
        stop_sequence=pattern.sequences[served.stop_index],
        stop_id=served.stop_id,
        route_id=run.route_id,
        direction_id=run.direction_id,
        vehicle_id=served.vehicle_id,
        observed_at=rfc3339(round(served.at_s * MICROSECONDS_PER_SECOND)),
        scheduled_at=at(served.at_s - served.late_s),
        late_seconds=round(served.late_s, 1),
        headway_seconds=None if headway is None else round(headway.headway_s, 1),
        scheduled_headway_seconds=None if headway is None else headway.scheduled_s,
        spacing=None if headway is None else headway.kind,
        previous_trip_id=None if headway is None else headway.previous.trip_id,
    )


def outcome(schedule: Schedule, event: RunMissed | RunEnded, now_s: float) -> RunOutcome | None:
    """What became of a run; None when the timetable does not have it any more."""
    try:
        run = known_run(schedule, event.run)
    except KeyError:
        return None
    scheduled = schedule.run(event.run.trip_id, event.run.start_date, event.run.start_s, now_s)
    if scheduled is None:
        return None
    told = {**run._asdict(), "scheduled_at": at(scheduled.leaves_s), "timestamp": at(now_s)}
    if isinstance(event, RunMissed):
        return RunOutcome(**told, vehicle_id=None, result="begun" if event.is_over else "missed")
    mean = event.mean_passengers
    return RunOutcome(
        **told,
        vehicle_id=event.vehicle_id,
        result="completed" if event.is_complete else "broken_off",
        heard_until=rfc3339(round(event.at_s * MICROSECONDS_PER_SECOND)),
        most_passengers=event.most_passengers,
        mean_passengers=None if mean is None else round(mean, 2),
    )
