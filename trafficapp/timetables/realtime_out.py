"""GTFS Realtime feeds of what is known of runs: vehicle positions, trip updates, alerts (version 2.0)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from google.transit import gtfs_realtime_pb2 as gtfs_rt

from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us
from models.timetables.agency import AgencyAlert, AgencyTrip, InformedEntity
from models.timetables.live import LiveRun, OperationAlert, StopAhead
from models.timetables.runs import RunName
from models.transit.vehicles import TransitVehicle
from trafficapp.timetables.calendars import seconds_of
from trafficapp.timetables.live.agency import CANCELED
from trafficapp.timetables.live.documents import known_run
from trafficapp.timetables.schedule import Schedule

#: Who was not heard of for so long is not told; gtfs-rt-validator wants positions no older than 90 s.
FRESH_S = 90.0
#: Vehicles in these states are told with their trip; one that is off its shape is not (gtfs-rt-validator, E029).
_ON_TRIP = frozenset({"waiting", "on_way", "at_stop"})

Cause = Literal["UNKNOWN_CAUSE", "TECHNICAL_PROBLEM", "ACCIDENT", "WEATHER", "MAINTENANCE", "CONSTRUCTION"]
Effect = Literal["NO_SERVICE", "REDUCED_SERVICE", "SIGNIFICANT_DELAYS", "DETOUR", "UNKNOWN_EFFECT"]


class RunReference(NamedTuple):
    """A run as messages name it."""

    trip_id: str
    start_date: str
    start_time: str


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
    run: RunReference | None = None


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
        schedule: of the city; without one vehicles are told without trips, and there are no trip updates.
        language: of texts, BCP 47.
    """

    def __init__(self, schedule: Schedule | None, language: str = "en") -> None:
        self.schedule, self._language = schedule, language
        timetable = None if schedule is None else schedule.timetable
        #: Whether each trip that runs by frequency does so by the clock.
        self._by_frequency = dict[str, bool]()
        if timetable is not None:
            self._by_frequency = {timetable.trips[one.trip].trip_id: one.is_exact for one in timetable.frequencies}

    def _on_trip(self, runs: Iterable[LiveRun], now_s: float) -> dict[str, LiveRun]:
        """Vehicles that are told with their trips, by id: of those on one run the newest word counts."""
        newest: dict[RunReference, LiveRun] = {}
        for run in runs:
            if run.state not in _ON_TRIP or not run.stops or not _is_fresh(run.last_updated, now_s):
                continue
            if not self._knows(run):
                continue
            name = _reference(run)
            if name not in newest or _epoch_s(run.last_updated) > _epoch_s(newest[name].last_updated):
                newest[name] = run
        return {run.vehicle_id: run for run in sorted(newest.values(), key=lambda run: run.vehicle_id)}

    def _knows(self, run: LiveRun | OperationAlert) -> bool:
        """Whether the timetable has the trip: a new one may have come since it was told."""
        return self.schedule is not None and self.schedule.has_trip(run.trip_id)

    def vehicle_positions(
        self, now_s: float, runs: Iterable[LiveRun], vehicles: Iterable[TransitVehicle] = ()
    ) -> gtfs_rt.FeedMessage:
        """Where vehicles are.

        Args:
            now_s: seconds since the epoch.
            runs: vehicles on their runs.
            vehicles: all of them; those that serve no run are told without a trip. How full they are stands there.
        """
        feed, on_runs = feed_message(now_s), {run.vehicle_id: run for run in runs}
        on_trip, known = self._on_trip(on_runs.values(), now_s), {one.vehicle_id: one for one in vehicles}
        for vehicle_id in sorted(on_runs.keys() | known.keys()):
            run, vehicle = on_runs.get(vehicle_id), known.get(vehicle_id)
            is_out_of_service = vehicle is not None and vehicle.status == "end_of_service"
            if run is not None and run.state == "over" and _is_fresh(run.last_updated, now_s):
                # it has reached its last stop, and is told again once it serves another trip
                continue
            newest = _newest(run, vehicle)
            if is_out_of_service or not _is_fresh(newest.last_updated, now_s):
                continue
            entity = feed.entity.add()
            entity.id = f"vehicle:{vehicle_id}"
            told = entity.vehicle
            told.vehicle.id = vehicle_id
            told.position.latitude, told.position.longitude = newest.latitude, newest.longitude
            told.timestamp = int(_epoch_s(newest.last_updated))
            if vehicle is not None and vehicle.occupancy_status != "NO_DATA_AVAILABLE":
                told.occupancy_status = gtfs_rt.VehiclePosition.OccupancyStatus.Value(vehicle.occupancy_status)
            if run is None or vehicle_id not in on_trip:
                continue
            self._trip(told.trip, _reference(run))
            told.current_stop_sequence, told.stop_id = run.stop_sequence, run.stop_id
            if run.state == "at_stop" or (run.state == "waiting" and not run.is_near_stop):
                told.current_status = gtfs_rt.VehiclePosition.STOPPED_AT
            elif run.is_near_stop:
                told.current_status = gtfs_rt.VehiclePosition.INCOMING_AT
            else:
                told.current_status = gtfs_rt.VehiclePosition.IN_TRANSIT_TO
        return feed

    def trip_updates(
        self, now_s: float, runs: Iterable[LiveRun], agency: Iterable[AgencyTrip] = ()
    ) -> gtfs_rt.FeedMessage:
        """When runs are expected at the stops before them.

        Args:
            now_s: seconds since the epoch.
            runs: vehicles on their runs.
            agency: what it says of its trips; those that it cancelled are told.
        """
        feed, told_ids = feed_message(now_s), set[str]()
        for run in self._on_trip(runs, now_s).values():
            entity = feed.entity.add()
            entity.id = f"trip:{run.trip_id}:{run.start_date}:{run.start_time}"
            told = entity.trip_update
            self._trip(told.trip, _reference(run))
            told.vehicle.id = run.vehicle_id
            told.timestamp = int(_epoch_s(run.last_updated))
            self._stop_times(told, run.stops, now_s, by_clock=self._by_frequency.get(run.trip_id, True), run=run)
            told_ids.add(entity.id)
        for run_id, cancelled in self._cancelled(agency, now_s).items():
            if run_id not in told_ids:
                entity = feed.entity.add()
                entity.id = run_id
                self._trip(entity.trip_update.trip, cancelled)
                entity.trip_update.trip.schedule_relationship = gtfs_rt.TripDescriptor.CANCELED
                entity.trip_update.timestamp = int(now_s)
        return feed

    def _cancelled(self, agency: Iterable[AgencyTrip], now_s: float) -> dict[str, RunReference]:
        """Runs that the agency cancelled, by the names of their entities."""
        found: dict[str, RunReference] = {}
        for one in agency:
            if one.relationship != CANCELED or self.schedule is None or not self.schedule.has_trip(one.trip_id):
                continue
            try:
                start_s = seconds_of(one.start_time or "")
            except ValueError:
                continue
            run = self.schedule.run(one.trip_id, one.start_date, start_s, now_s)
            if run is not None:
                known = known_run(self.schedule, RunName(*run.key))
                name = RunReference(known.trip_id, known.start_date, known.start_time)
                found[f"trip:{':'.join(name)}"] = name
        return found

    def _stop_times(
        self, told: gtfs_rt.TripUpdate, stops: list[StopAhead], now_s: float, *, by_clock: bool, run: LiveRun
    ) -> None:
        """Each stop after the one before it, and those that are not reached after now."""
        kinds, last_s = gtfs_rt.TripUpdate.StopTimeUpdate, 0
        last_stop = self._last_stop(run.trip_id)
        for stop in stops:
            update = told.stop_time_update.add()
            update.stop_sequence, update.stop_id = stop.stop_sequence, stop.stop_id
            update.schedule_relationship = kinds.SCHEDULED if by_clock else kinds.UNSCHEDULED
            is_ahead = stop.likeliest_at is not None
            scheduled_s, departs_s = _epoch_s(stop.scheduled_at), _epoch_s(stop.departs_at)
            arrives_s = departs_s if stop.arrives_at is None else _epoch_s(stop.arrives_at)
            if is_ahead:
                arrives_s = max(arrives_s, now_s + 1)
                spread_s = _epoch_s(stop.latest_at or stop.departs_at) - _epoch_s(stop.earliest_at or stop.departs_at)
                update.arrival.uncertainty = round(spread_s) // 2
            arrives = max(int(arrives_s), last_s)
            departs = max(int(departs_s), arrives, last_s) if is_ahead else max(int(departs_s), int(now_s), last_s)
            if stop.arrives_at is not None:
                update.arrival.time = arrives
            if stop.stop_index < last_stop:
                update.departure.time = departs
            # a vehicle that has no times by the clock cannot be late
            if by_clock:
                if update.HasField("arrival"):
                    update.arrival.delay = arrives - int(scheduled_s)
                if update.HasField("departure"):
                    waits_s = self._waits_s(run.trip_id, stop.stop_index)
                    update.departure.delay = departs - int(scheduled_s) - waits_s
            last_s = departs + 1

    def _last_stop(self, trip_id: str) -> int:
        assert self.schedule is not None  # noqa: S101 - its trips are known
        return self.schedule.course(self.schedule.trip_of(trip_id)).last

    def _waits_s(self, trip_id: str, stop: int) -> int:
        """How long a trip is scheduled to stay at a stop; the time of the first one is its departure."""
        assert self.schedule is not None  # noqa: S101 - its trips are known
        course = self.schedule.course(self.schedule.trip_of(trip_id))
        return course.departures[stop] - (course.arrivals[stop] if stop else course.departures[0])

    def alerts(
        self, now_s: float, notices: Iterable[Notice], agency: Iterable[AgencyAlert] = ()
    ) -> gtfs_rt.FeedMessage:
        """What riders should know.

        Args:
            now_s: seconds since the epoch.
            notices: of ours.
            agency: alerts of its own; those for lines, stops and trips that the timetable does not have are left out.
        """
        feed = feed_message(now_s)
        for alert in agency:
            self._pass_on(feed, alert, now_s)
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

    def _pass_on(self, feed: gtfs_rt.FeedMessage, alert: AgencyAlert, now_s: float) -> None:
        """Add an alert of the agency's own, if it is of use to anybody."""
        is_past = alert.periods and all(one.until_at and _epoch_s(one.until_at) <= now_s for one in alert.periods)
        selectors = [selector for selector in alert.informed if self._has(selector)]
        if alert.is_over or is_past or not selectors:
            return
        entity = feed.entity.add()
        entity.id = alert.alert_id
        told = entity.alert
        for period in alert.periods:
            span = told.impact_period.add()
            if period.from_at is not None:
                span.start = int(_epoch_s(period.from_at))
            if period.until_at is not None:
                span.end = int(_epoch_s(period.until_at))
        for selector in selectors:
            _select(told.informed_entity.add(), selector)
        told.cause = _word(gtfs_rt.Alert.Cause, alert.cause, "UNKNOWN_CAUSE")
        told.effect = _word(gtfs_rt.Alert.Effect, alert.effect, "UNKNOWN_EFFECT")
        if alert.severity is not None:
            told.severity_level = _word(gtfs_rt.Alert.SeverityLevel, alert.severity, "UNKNOWN_SEVERITY")
        texts = (
            *((told.header_text, alert.header), (told.description_text, alert.description)),
            (told.url, alert.url or ""),
        )
        for text, words in texts:
            if words:
                translation = text.translation.add()
                translation.text = words
                if alert.language:
                    translation.language = alert.language

    def _has(self, selector: InformedEntity) -> bool:
        """Whether the timetable has all that a selector names."""
        schedule = self.schedule
        if schedule is None:
            return selector != InformedEntity()
        return (
            (selector.route_id is None or schedule.route(selector.route_id) is not None)
            and (selector.stop_id is None or schedule.stop(selector.stop_id) is not None)
            and (selector.trip_id is None or schedule.has_trip(selector.trip_id))
            and selector != InformedEntity()
        )

    def notices(self, alerts: Iterable[OperationAlert]) -> list[Notice]:
        """What riders should know of runs: those that are missed, and vehicles that have broken down."""
        found = list[Notice]()
        for alert in alerts:
            said = _SAID.get(alert.alert_type)
            if said is None or alert.state == "resolved" or not self._knows(alert):
                continue
            cause, effect = said
            run = RunReference(alert.trip_id, alert.start_date, alert.start_time)
            opened_s = _epoch_s(alert.opened_at)
            found.append(Notice(alert.alert_id, alert.title, alert.message, cause, effect, opened_s, run=run))
        return sorted(found)

    def _trip(self, told: gtfs_rt.TripDescriptor, run: RunReference) -> None:
        assert self.schedule is not None  # noqa: S101 - its trips are known
        told.trip_id, told.start_date = run.trip_id, run.start_date
        told.route_id, direction = self.schedule.line(self.schedule.trip_of(run.trip_id))
        if direction is not None:
            told.direction_id = direction
        told.schedule_relationship = gtfs_rt.TripDescriptor.SCHEDULED
        if run.trip_id in self._by_frequency:
            if not self._by_frequency[run.trip_id]:
                told.schedule_relationship = gtfs_rt.TripDescriptor.UNSCHEDULED
            told.start_time = run.start_time


#: What alerts about runs mean to riders, in the words of GTFS Realtime.
_SAID: Mapping[str, tuple[Cause, Effect]] = {
    "missed_run": ("UNKNOWN_CAUSE", "NO_SERVICE"),
    "run_breakdown": ("TECHNICAL_PROBLEM", "SIGNIFICANT_DELAYS"),
}


def _select(told: gtfs_rt.EntitySelector, selector: InformedEntity) -> None:
    if selector.agency_id is not None:
        told.agency_id = selector.agency_id
    if selector.route_type is not None:
        told.route_type = selector.route_type
    if selector.stop_id is not None:
        told.stop_id = selector.stop_id
    if selector.trip_id is not None:
        told.trip.trip_id = selector.trip_id
        if selector.start_date is not None:
            told.trip.start_date = selector.start_date
        if selector.start_time is not None:
            told.trip.start_time = selector.start_time
    elif selector.route_id is not None:
        told.route_id = selector.route_id
        if selector.direction_id is not None:
            told.direction_id = selector.direction_id


def _word(words: Any, told: str, otherwise: str) -> Any:
    """The number of a word of GTFS Realtime; of one that it does not have that of another."""
    return words.Value(told if told in words.keys() else otherwise)  # noqa: SIM118 - of a wrapper, which is no dict


def _reference(run: LiveRun) -> RunReference:
    return RunReference(run.trip_id, run.start_date, run.start_time)


def _newest(run: LiveRun | None, vehicle: TransitVehicle | None) -> LiveRun | TransitVehicle:
    """Who says where a vehicle is, later: runs are told every some seconds, vehicles at once.

    Raises:
        ValueError: nobody does.
    """
    told: list[LiveRun | TransitVehicle] = [one for one in (run, vehicle) if one is not None]
    return max(told, key=lambda one: _epoch_s(one.last_updated))


def _epoch_s(time: str) -> float:
    return epoch_us(time) / MICROSECONDS_PER_SECOND


def _is_fresh(time: str, now_s: float) -> bool:
    return 0 <= now_s - _epoch_s(time) <= FRESH_S
