"""What is told of runs as they happen: where each is and when it is expected, what it served, how it ended, alerts."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from models.city_alerts import CityAlert

#: ``waiting``: not on its way yet; ``off_shape``: farther than 200 m from its way; ``over``: at its last stop, or
#: silent for long.
RunState: TypeAlias = Literal["waiting", "on_way", "at_stop", "off_shape", "over"]
Spacing: TypeAlias = Literal["regular", "bunched", "gap"]
RunResult: TypeAlias = Literal["missed", "begun", "completed", "broken_off"]


class StopAhead(Struct, frozen=True, kw_only=True, gc=False):
    """A stop before a vehicle, or the one where it stands; times are RFC 3339.

    Attributes:
        stop_index: of the stops of its trip, from 0.
        stop_sequence: as the timetable counts them.
        stop_id: of the stop.
        scheduled_at: arrival by the timetable; at the first stop the departure.
        arrives_at: what riders are told, somewhat before the likeliest time; where it stands, when it came.
        likeliest_at: as many cases are earlier as are later; null where it stands.
        earliest_at: it comes earlier in one of ten cases; null where it stands.
        latest_at: it comes later in one of ten cases; null where it stands.
        departs_at: when it leaves again.
    """

    stop_index: int
    stop_sequence: int
    stop_id: str
    scheduled_at: str
    arrives_at: str | None
    likeliest_at: str | None
    earliest_at: str | None
    latest_at: str | None
    departs_at: str


class LiveRun(Struct, frozen=True, kw_only=True):
    """A vehicle on its run, as it is now.

    Attributes:
        vehicle_id: of the vehicle.
        trip_id: of the timetable.
        start_date: service day, YYYYMMDD.
        start_time: when the run leaves its first stop, such as 25:10:00 of that day.
        route_id: of the timetable.
        direction_id: 0 or 1; null where the timetable does not say.
        headsign: what the vehicle shows.
        state: what it does.
        latitude: degrees WGS 84.
        longitude: likewise.
        passenger_count: people in it; null when nobody counts them.
        progress_m: how far along its way, metres; null before it was on it.
        progress_share: the same as a share of the way, 0..1.
        off_shape_m: how far beside its way it is, metres; null before it was looked for.
        late_seconds: later than the timetable has it; negative: earlier; null before it is on its way.
        stop_sequence: of the stop where it stands, or of its next one.
        stop_id: likewise.
        is_near_stop: whether it is about to reach that stop.
        broken_down_since: since when it stands where nothing makes it wait; null while it does not.
        last_updated: of the newest fix, by the vehicle's own time.
        stops: those before it, and the one where it stands, in order; none once it is over.
    """

    vehicle_id: str
    trip_id: str
    start_date: str
    start_time: str
    route_id: str
    direction_id: int | None
    headsign: str
    state: RunState
    latitude: float
    longitude: float
    passenger_count: int | None
    progress_m: float | None
    progress_share: float | None
    off_shape_m: float | None
    late_seconds: int | None
    stop_sequence: int
    stop_id: str
    is_near_stop: bool
    broken_down_since: str | None
    last_updated: str
    stops: list[StopAhead]


class StopTime(Struct, frozen=True, kw_only=True, gc=False):
    """A vehicle has reached a stop, or left its first one.

    Attributes:
        trip_id: which run: the trip.
        start_date: likewise, its service day.
        start_time: likewise, when it leaves its first stop.
        stop_sequence: as the timetable counts the stops.
        stop_id: of the stop.
        route_id: of the timetable.
        direction_id: 0 or 1; null where the timetable does not say.
        vehicle_id: of the vehicle.
        observed_at: when it reached the stop; of the first one, when it left.
        scheduled_at: when it should have.
        late_seconds: later than that; negative: earlier.
        headway_seconds: after the run before it there, of its route and direction; null for the first one.
        scheduled_headway_seconds: as the timetable has it.
        spacing: ``bunched`` below 60 s or half of the scheduled headway, ``gap`` beyond one and a half of it.
        previous_trip_id: of the run before it.
    """

    trip_id: str
    start_date: str
    start_time: str
    stop_sequence: int
    stop_id: str
    route_id: str
    direction_id: int | None
    vehicle_id: str
    observed_at: str
    scheduled_at: str
    late_seconds: float
    headway_seconds: float | None = None
    scheduled_headway_seconds: int | None = None
    spacing: Spacing | None = None
    previous_trip_id: str | None = None


class RunOutcome(Struct, frozen=True, kw_only=True, gc=False):
    """What became of a run; the newest word counts.

    Attributes:
        trip_id: which run: the trip.
        start_date: likewise, its service day.
        start_time: likewise, when it leaves its first stop.
        route_id: of the timetable.
        direction_id: 0 or 1; null where the timetable does not say.
        headsign: what its vehicle shows.
        vehicle_id: that served it; null when it is missed.
        result: ``missed`` when nobody had begun it 15 minutes after its time, ``begun`` takes that back, ``completed``
            with its last stop, ``broken_off`` without.
        scheduled_at: when it should have left its first stop.
        timestamp: when it was told.
        heard_until: when its vehicle was heard of last on it; null when it is missed.
        most_passengers: in it at a time; null when nobody counted.
        mean_passengers: of all counts.
    """

    trip_id: str
    start_date: str
    start_time: str
    route_id: str
    direction_id: int | None
    headsign: str
    vehicle_id: str | None
    result: RunResult
    scheduled_at: str
    timestamp: str
    heard_until: str | None = None
    most_passengers: int | None = None
    mean_passengers: float | None = None


class OperationAlert(CityAlert, frozen=True, kw_only=True):
    """A step of an alert about a run; of type ``missed_run``, ``run_breakdown``, ``bunching`` or ``gap``.

    Attributes:
        route_id: of the timetable.
        direction_id: 0 or 1; null where the timetable does not say.
        trip_id: which run: the trip.
        start_date: likewise, its service day.
        start_time: likewise, when it leaves its first stop.
        vehicle_id: that serves it; null when none does.
        stop_id: where that was seen; null where that says nothing.
    """

    route_id: str
    direction_id: int | None
    trip_id: str
    start_date: str
    start_time: str
    vehicle_id: str | None = None
    stop_id: str | None = None
