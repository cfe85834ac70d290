"""Messages as fleets and schedules send them: topics ``vehicle_locations`` and ``vehicle_routes``."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from models.transit.vehicles import VehicleStatus

_Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
_Word = Annotated[str, Meta(min_length=1, max_length=64)]
#: [latitude, longitude], and an altitude from those who have one.
_Point = Annotated[list[float], Meta(min_length=2, max_length=3)]

#: Shapes of real schedules have some hundreds of points, the longest a few thousand.
MOST_POINTS = 10_000


class VehicleLocation(Struct, frozen=True, kw_only=True, gc=False):
    """Where a vehicle is; further fields are ignored.

    Attributes:
        vehicle_id: of the vehicle.
        type: of vehicle, such as ``bus``.
        latitude: degrees WGS 84.
        longitude: likewise.
        passenger_count: people in it; may be missing.
        status: what it does.
        timestamp: when that was so: ISO 8601, or epoch seconds or milliseconds.
        trip_id: of the timetable, a text or a whole number; may be missing. What is something else in this field and
            the next three says nothing: such messages were taken before, too.
        route_id: likewise.
        start_date: service day of the trip, YYYYMMDD; may be missing.
        start_time: of trips by frequency, such as ``25:10:00``; may be missing.
    """

    vehicle_id: _Identifier
    type: _Word
    latitude: float
    longitude: float
    status: VehicleStatus
    timestamp: str | int | float
    passenger_count: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    trip_id: Any = None
    route_id: Any = None
    start_date: Any = None
    start_time: Any = None


class VehicleRoute(Struct, frozen=True, kw_only=True, gc=False):
    """The route that a vehicle serves; it has no time of its own, and the record's counts.

    Attributes:
        route_id: of the route.
        vehicle_id: of the vehicle that serves it.
        vehicle_type: such as ``bus``; may be missing.
        path: its points as [latitude, longitude], degrees WGS 84, in driving direction.
        expected_travel_time_minutes: from its beginning to its end; may be missing.
    """

    route_id: _Identifier
    vehicle_id: _Identifier
    path: Annotated[list[_Point], Meta(min_length=2, max_length=MOST_POINTS)]
    vehicle_type: _Word | None = None
    expected_travel_time_minutes: Annotated[float, Meta(gt=0, le=100_000)] | None = None
