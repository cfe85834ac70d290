"""What is answered of stops, lines and how they run."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from models.timetables.live import RunState

#: ``prediction``: ours, of a vehicle; ``agency``: of the agency's own trip updates; ``timetable``: nobody has begun
#: the run yet.
ArrivalSource: TypeAlias = Literal["prediction", "agency", "timetable"]


class TimetableStop(Struct, frozen=True, kw_only=True):
    """A stop of the timetable; degrees WGS 84."""

    stop_id: str
    name: str
    latitude: float
    longitude: float


class StopArrival(Struct, frozen=True, kw_only=True):
    """A run that is expected at a stop; times are RFC 3339.

    Attributes:
        route_id: of the timetable.
        line: what people call it.
        direction_id: 0 or 1; null where the timetable does not say.
        headsign: what the vehicle shows.
        trip_id: which run: the trip.
        start_date: likewise, its service day.
        start_time: likewise, when it leaves its first stop.
        vehicle_id: that serves it; null before it has one.
        stop_sequence: as the timetable counts the stops of the trip.
        scheduled_at: by the timetable.
        arrives_at: what riders are told, somewhat before the likeliest time; where it stands there, when it came.
        likeliest_at: as many cases are earlier as are later; null where it stands there, and without a prediction.
        earliest_at: it comes earlier in one of ten cases; likewise.
        latest_at: it comes later in one of ten cases; likewise.
        departs_at: when it leaves again.
        late_seconds: `arrives_at` after `scheduled_at`; null without a prediction.
        source: who says so.
        is_at_stop: whether it stands there.
        is_cancelled: whether the agency says that it does not come.
        passenger_count: people in it; null when nobody counts them.
    """

    route_id: str
    line: str
    direction_id: int | None
    headsign: str
    trip_id: str
    start_date: str
    start_time: str
    vehicle_id: str | None
    stop_sequence: int
    scheduled_at: str
    arrives_at: str
    likeliest_at: str | None
    earliest_at: str | None
    latest_at: str | None
    departs_at: str
    late_seconds: int | None
    source: ArrivalSource
    is_at_stop: bool = False
    is_cancelled: bool = False
    passenger_count: int | None = None


class LineStop(Struct, frozen=True, kw_only=True):
    """A stop of a line; `at_m` is metres along it, `share` the same as a share of it."""

    stop_id: str
    name: str
    latitude: float
    longitude: float
    at_m: float
    share: float


class LineVehicle(Struct, frozen=True, kw_only=True):
    """A vehicle on a line.

    Attributes:
        vehicle_id: of the vehicle.
        trip_id: which run: the trip.
        start_date: likewise, its service day.
        start_time: likewise, when it leaves its first stop.
        headsign: what it shows.
        state: what it does.
        at_m: metres along the line; null where it is on a branch that the line's own way does not have.
        share: the same as a share of it.
        next_stop_id: where it stands or comes next.
        late_seconds: later than the timetable has it; null before it is on its way.
        passenger_count: people in it; null when nobody counts them.
        behind_vehicle_id: the next one before it on the line; null for the first one.
        headway_seconds: when it comes to the next stop of that one, after it; null where it does not go there.
        scheduled_headway_seconds: as the timetable has these two.
        last_updated: by the vehicle's own time.
    """

    vehicle_id: str
    trip_id: str
    start_date: str
    start_time: str
    headsign: str
    state: RunState
    at_m: float | None
    share: float | None
    next_stop_id: str
    late_seconds: int | None
    passenger_count: int | None
    behind_vehicle_id: str | None
    headway_seconds: int | None
    scheduled_headway_seconds: int | None
    last_updated: str


class LineDirection(Struct, frozen=True, kw_only=True):
    """A direction of a line: the way that most of its trips go, and vehicles in order of their places along it."""

    direction_id: int | None
    headsign: str
    length_m: float
    stops: list[LineStop]
    vehicles: list[LineVehicle]


class RouteLine(Struct, frozen=True, kw_only=True):
    """A line as a straight-line diagram shows it; `route_type` is GTFS's: 0 tram, 1 subway, 2 rail, 3 bus and so on."""

    route_id: str
    line: str
    long_name: str
    route_type: int
    directions: list[LineDirection]


class LinePerformance(Struct, frozen=True, kw_only=True):
    """How a direction of a line kept its timetable.

    Attributes:
        route_id: of the timetable.
        direction_id: 0 or 1; null where the timetable does not say.
        stops_served: stops that were reached, or left where a run begins.
        on_time_share: of them, those within the bounds that were asked for.
        mean_late_seconds: over all of them; negative: early.
        median_late_seconds: likewise.
        p90_late_seconds: nine of ten were less late.
        headways: how many were seen, of runs after others of the direction.
        headway_variation: standard deviation of headways from the scheduled ones by the mean of these (TCQSM); null
            before there are two.
        bunched_share: of headways: below 60 s or half of the scheduled one.
        gap_share: of headways: beyond one and a half of the scheduled one.
        runs_completed: runs that reached their last stop.
        runs_broken_off: runs that were begun and did not.
        runs_missed: runs that nobody served.
        most_passengers: in a vehicle at a time; null when nobody counted.
        mean_passengers: over the means of runs.
    """

    route_id: str
    direction_id: int | None
    stops_served: int
    on_time_share: float | None
    mean_late_seconds: float | None
    median_late_seconds: float | None
    p90_late_seconds: float | None
    headways: int
    headway_variation: float | None
    bunched_share: float | None
    gap_share: float | None
    runs_completed: int
    runs_broken_off: int
    runs_missed: int
    most_passengers: int | None
    mean_passengers: float | None
