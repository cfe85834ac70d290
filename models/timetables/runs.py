"""What is told of runs: vehicles that serve a trip on a day. Times are seconds since the epoch, also with fractions."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Fix(Struct, frozen=True, gc=False):
    """Where a vehicle is that says which trip it serves.

    Attributes:
        vehicle_id: of the vehicle.
        trip_id: of the timetable.
        latitude: degrees WGS 84.
        longitude: likewise.
        time_us: microseconds since the epoch.
        start_date: service day as YYYYMMDD; None: the one whose run is nearest in time.
        start_s: of trips by frequency alone, seconds of the service day.
        passengers: people in it; None when nobody counts them.
    """

    vehicle_id: str
    trip_id: str
    latitude: float
    longitude: float
    time_us: int
    start_date: str | None = None
    start_s: int | None = None
    passengers: int | None = None


class RunName(Struct, frozen=True, gc=False, array_like=True, order=True):
    """Which run: the trip, its service day, and of trips by frequency the start in seconds of that day."""

    trip_id: str
    start_date: str
    start_s: int


class StopServed(Struct, frozen=True, gc=False, tag="stop"):
    """A vehicle has reached a stop, or its run's first stop has been left.

    Attributes:
        run: whose.
        vehicle_id: that served it.
        stop_index: of the stops of the trip, from 0.
        stop_id: of the stop.
        at_s: when it reached it; of the first stop, when it left.
        late_s: later than scheduled; negative: earlier.
    """

    run: RunName
    vehicle_id: str
    stop_index: int
    stop_id: str
    at_s: float
    late_s: float


class Headway(Struct, frozen=True, gc=False, tag="headway"):
    """How long after another run of the same route and direction one has come to a stop.

    Attributes:
        run: the later one.
        previous: the one before.
        route_id: of both.
        direction: of both.
        stop_id: where.
        at_s: when.
        headway_s: after the one before.
        scheduled_s: as the timetable has it between the run and the one before it there.
        kind: `bunched` is below 60 s or half of the scheduled headway, `gap` more than one and a half of it.
    """

    run: RunName
    previous: RunName
    route_id: str
    direction: int | None
    stop_id: str
    at_s: float
    headway_s: float
    scheduled_s: int
    kind: Literal["regular", "bunched", "gap"]


class RunMissed(Struct, frozen=True, gc=False, tag="missed"):
    """No vehicle has served a run; `is_over` takes it back: one has begun after all."""

    run: RunName
    at_s: float
    is_over: bool = False


class RunBroken(Struct, frozen=True, gc=False, tag="broken"):
    """A vehicle stands on its way; `is_over`: it has moved on, or left the run."""

    run: RunName
    vehicle_id: str
    since_s: float
    at_s: float
    is_over: bool = False


class RunEnded(Struct, frozen=True, gc=False, tag="ended"):
    """A run is over.

    Attributes:
        run: which.
        vehicle_id: that served it.
        at_s: when the vehicle was heard of last on it.
        is_complete: whether it reached its last stop.
        most_passengers: in it at a time; None when nobody counted.
        mean_passengers: of all counts.
    """

    run: RunName
    vehicle_id: str
    at_s: float
    is_complete: bool
    most_passengers: int | None
    mean_passengers: float | None


RunEvent = StopServed | Headway | RunMissed | RunBroken | RunEnded


class Arrival(Struct, frozen=True, gc=False):
    """When a run is expected at a stop.

    Attributes:
        run: which.
        vehicle_id: of its vehicle; None before it has one.
        stop_index: of the stops of the trip.
        scheduled_s: as the timetable has it.
        arrives_s: what riders are told: somewhat before the likeliest time, since who comes too late has missed it.
        likeliest_s: as many cases are earlier as are later.
        earliest_s: it comes earlier in one of ten cases.
        latest_s: it comes later in one of ten cases.
        departs_s: when it leaves again.
    """

    run: RunName
    vehicle_id: str | None
    stop_index: int
    scheduled_s: int
    arrives_s: float
    likeliest_s: float
    earliest_s: float
    latest_s: float
    departs_s: float
