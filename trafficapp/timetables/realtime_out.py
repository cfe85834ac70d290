"""GTFS Realtime feeds of what is known of runs: vehicle positions, trip updates, alerts (version 2.0)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from google.transit import gtfs_realtime_pb2 as gtfs_rt

from models.timetables.runs import RunName
from models.transit.vehicles import OccupancyStatus
from trafficapp.timetables.following import Run
from trafficapp.timetables.operations import Operations

#: Who was not heard of for so long is not told; gtfs-rt-validator wants positions no older than 90 s.
FRESH_S = 90.0
#: A stop that is nearer than this is being reached.
_INCOMING_M = 150.0
#: A vehicle farther from its shape is told without its trip (gtfs-rt-validator, E029).
_OFF_SHAPE_M = 200.0

Cause = Literal["UNKNOWN_CAUSE", "TECHNICAL_PROBLEM", "ACCIDENT", "WEATHER", "MAINTENANCE", "CONSTRUCTION"]
Effect = Literal["NO_SERVICE", "REDUCED_SERVICE", "SIGNIFICANT_DELAYS", "DETOUR", "UNKNOWN_EFFECT"]


class Notice(NamedTuple):
    """Something that riders should know.

    Attributes:
        notice_id: the same as long as it is the same.
        header: a line.
        text: more of it.
        cause: in the words of GTFS Realtime.
        effect: likewise.
        from_s: since when, seconds since the epoch.
        until_s: None while it is not known.
        route_id: of the line that it is of.
        run: that it is of.
    """

    notice_id: str
    header: str
    text: str
    cause: Cause
    effect: Effect
    from_s: float
    until_s: float | None = None
    route_id: str | None = None
    run: RunName | None = None


def feed_message(now_s: float) -> gtfs_rt.FeedMessage:
    """A dataset without entities."""
    feed = gtfs_rt.FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    feed.header.incrementality = gtfs_rt.FeedHeader.FULL_DATASET
    feed.header.timestamp = int(now_s)
    return feed


class RealtimeFeeds:
    """Makes the feeds of a city.

    Args:
        operations: of the city.
        language: of texts, BCP 47.
    """

    def __init__(self, operations: Operations, language: str = "en") -> None:
        self._operations, self._language = operations, language
        timetable = operations.schedule.timetable
        #: Whether each trip that runs by frequency does so by the clock.
        self._by_frequency = {timetable.trips[one.trip].trip_id: one.is_exact for one in timetable.frequencies}

    def _current(self, now_s: float) -> list[Run]:
        runs = self._operations.runs
        return [runs[name] for name in sorted(runs) if 0 <= now_s - runs[name].at_s <= FRESH_S]

    def _is_on_way(self, run: Run) -> bool:
        """Whether a vehicle is on its shape, and its last stop is still before it."""
        if run.at_m is None or run.progress is None or run.progress.off_m > _OFF_SHAPE_M:
            return False
        return not self._is_over(run)

    def _is_over(self, run: Run) -> bool:
        """Whether it has reached its last stop: it is told again once it serves another trip."""
        return run.next_stop > self._operations.schedule.course(run.trip).last

    def vehicle_positions(
        self, now_s: float, occupancy: dict[str, OccupancyStatus] | None = None
    ) -> gtfs_rt.FeedMessage:
        """Where vehicles are.

        Args:
            now_s: seconds since the epoch.
            occupancy: by vehicle, in the words of GTFS Realtime; those who are not in it say nothing of it.
        """
        feed = feed_message(now_s)
        for run in self._current(now_s):
            if self._is_over(run):
                continue
            entity = feed.entity.add()
            entity.id = f"vehicle:{run.vehicle_id}"
            told = entity.vehicle
            told.vehicle.id = run.vehicle_id
            told.position.latitude, told.position.longitude = run.place
            told.timestamp = int(run.at_s)
            if (status := (occupancy or {}).get(run.vehicle_id, "NO_DATA_AVAILABLE")) != "NO_DATA_AVAILABLE":
                told.occupancy_status = gtfs_rt.VehiclePosition.OccupancyStatus.Value(status)
            at_m = run.at_m
            if at_m is None or not self._is_on_way(run):
                continue
            self._trip(told.trip, run.name)
            course = self._operations.schedule.course(run.trip)
            standing = run.at_stop()
            stop = standing if standing is not None else min(run.next_stop, course.last)
            pattern = course.pattern
            told.current_stop_sequence = pattern.sequences[stop]
            told.stop_id = self._operations.schedule.timetable.stops[pattern.stops[stop]].stop_id
            if standing is not None:
                told.current_status = gtfs_rt.VehiclePosition.STOPPED_AT
            elif course.at_m[stop] - at_m < _INCOMING_M:
                told.current_status = gtfs_rt.VehiclePosition.INCOMING_AT
            else:
                told.current_status = gtfs_rt.VehiclePosition.IN_TRANSIT_TO
        return feed

    def trip_updates(self, now_s: float) -> gtfs_rt.FeedMessage:
        """When runs are expected at the stops before them."""
        feed = feed_message(now_s)
        schedule = self._operations.schedule
        for run in self._current(now_s):
            if not self._is_on_way(run):
                continue
            course = schedule.course(run.trip)
            pattern, stops = course.pattern, schedule.timetable.stops
            entity = feed.entity.add()
            entity.id = f"trip:{run.name.trip_id}:{run.name.start_date}:{run.name.start_s}"
            told = entity.trip_update
            self._trip(told.trip, run.name)
            told.vehicle.id = run.vehicle_id
            told.timestamp = int(run.at_s)
            last_s = 0
            by_clock = self._by_frequency.get(run.name.trip_id, True)
            standing = run.at_stop()
            arrivals = self._operations.arrivals(run, now_s)
            first = standing if standing is not None else max(run.next_stop, 0)
            if run.waits_to_begin:
                first = 0
            for stop in range(min(first, course.last), course.last + 1):
                update = told.stop_time_update.add()
                update.stop_sequence = pattern.sequences[stop]
                update.stop_id = stops[pattern.stops[stop]].stop_id
                kinds = gtfs_rt.TripUpdate.StopTimeUpdate
                update.schedule_relationship = kinds.SCHEDULED if by_clock else kinds.UNSCHEDULED
                known = next((arrival for arrival in arrivals if arrival.stop_index == stop), None)
                if known is not None:
                    arrives_s, departs_s = max(known.arrives_s, now_s + 1), known.departs_s
                    update.arrival.uncertainty = round(known.latest_s - known.earliest_s) // 2
                else:
                    arrives_s = run.reached[stop] or run.at_s
                    departs_s = self._operations.predictions.leaves_s(run, stop, now_s)
                arrives, departs = max(int(arrives_s), last_s), max(int(departs_s), int(arrives_s), last_s)
                if stop or known is not None:
                    update.arrival.time = arrives
                if stop < course.last:
                    update.departure.time = departs
                # a vehicle that has no times by the clock cannot be late
                if by_clock:
                    if update.HasField("arrival"):
                        update.arrival.delay = arrives - run.leaves_s - course.arrivals[stop]
                    if update.HasField("departure"):
                        update.departure.delay = departs - run.leaves_s - course.departures[stop]
                last_s = departs + 1
        return feed

    def alerts(self, now_s: float, notices: Iterable[Notice]) -> gtfs_rt.FeedMessage:
        """What riders should know."""
        feed = feed_message(now_s)
        for notice in notices:
            entity = feed.entity.add()
            entity.id = notice.notice_id
            told = entity.alert
            # active_period is deprecated; without one an alert counts as long as it is in the feed
            told.impact_period.add().start = int(notice.from_s)
            if notice.until_s is not None:
                told.impact_period[0].end = int(notice.until_s)
            selector = told.informed_entity.add()
            if notice.run is not None:
                self._trip(selector.trip, notice.run)
            elif notice.route_id is not None:
                selector.route_id = notice.route_id
            else:
                selector.route_type = 3
            told.cause = gtfs_rt.Alert.Cause.Value(notice.cause)
            told.effect = gtfs_rt.Alert.Effect.Value(notice.effect)
            for text, words in ((told.header_text, notice.header), (told.description_text, notice.text)):
                translation = text.translation.add()
                translation.text, translation.language = words, self._language
        return feed

    def notices(self) -> list[Notice]:
        """What follows from runs: vehicles that have broken down."""
        timetable, found = self._operations.schedule.timetable, list[Notice]()
        for run in self._operations.runs.values():
            if run.is_broken:
                trip = timetable.trips[run.trip]
                route = timetable.routes[timetable.patterns[trip.pattern].route]
                line = route.short_name or route.long_name or route.route_id
                found.append(
                    Notice(
                        f"breakdown:{run.vehicle_id}:{int(run.stands_since_s)}",
                        f"Line {line}: a vehicle has broken down",
                        f"The vehicle to {trip.headsign or 'its last stop'} stands on its way; expect delays.",
                        "TECHNICAL_PROBLEM",
                        "SIGNIFICANT_DELAYS",
                        run.stands_since_s,
                        run=run.name,
                    )
                )
        return sorted(found)

    def _trip(self, told: gtfs_rt.TripDescriptor, name: RunName) -> None:
        timetable = self._operations.schedule.timetable
        trip = timetable.trips[self._operations.schedule.trip_of(name.trip_id)]
        pattern = timetable.patterns[trip.pattern]
        told.trip_id, told.start_date = name.trip_id, name.start_date
        told.route_id = timetable.routes[pattern.route].route_id
        if pattern.direction is not None:
            told.direction_id = pattern.direction
        told.schedule_relationship = gtfs_rt.TripDescriptor.SCHEDULED
        if name.trip_id in self._by_frequency:
            if not self._by_frequency[name.trip_id]:
                told.schedule_relationship = gtfs_rt.TripDescriptor.UNSCHEDULED
            minutes, seconds = divmod(name.start_s, 60)
            told.start_time = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
