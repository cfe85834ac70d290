"""Messages as fleets and schedules send them: topics ``vehicle_locations`` and ``vehicle_routes``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from models.transit.vehicles import VehicleStatus

Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
_Word = Annotated[str, Meta(min_length=1, max_length=64)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]

#: A path has as many points as the longest of GTFS shapes that we know, some thousands, or fewer.
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
    """

    vehicle_id: Identifier
    type: _Word
    latitude: Latitude
    longitude: Longitude
    status: VehicleStatus
    timestamp: str | int | float
    passenger_count: Annotated[int, Meta(ge=0, le=100_000)] | None = None


class VehicleRoute(Struct, frozen=True, kw_only=True, gc=False):
    """The route that a vehicle serves; it has no time of its own, and the record's counts.

    Attributes:
        route_id: of the route.
        vehicle_id: of the vehicle that serves it.
        vehicle_type: such as ``bus``; may be missing.
        path: its points as [latitude, longitude], degrees WGS 84, in driving direction.
        expected_travel_time_minutes: from its beginning to its end; may be missing.
    """

    route_id: Identifier
    vehicle_id: Identifier
    path: Annotated[list[tuple[Latitude, Longitude]], Meta(min_length=2, max_length=MOST_POINTS)]
    vehicle_type: _Word | None = None
    expected_travel_time_minutes: Annotated[float, Meta(gt=0, le=100_000)] | None = None
