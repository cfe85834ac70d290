"""From what fleets and schedules say to what the rules read, by vehicle_id."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from models.cameras.detections import Rejected
from models.transit.inner import Position, RouteOf
from models.transit.messages import VehicleLocation, VehicleRoute
from trafficapp.feeds.declaration import Convert
from trafficapp.feeds.places import check_place
from trafficapp.settings import Settings
from trafficapp.transit.path import RoutePath


def positions(_: Settings) -> Convert:
    """What turns a location into a position."""

    def convert(told: VehicleLocation, time_us: int) -> Iterable[tuple[str, Struct]]:
        vehicle_id = told.vehicle_id
        position = Position(
            vehicle_id, told.type, told.latitude, told.longitude, told.passenger_count, told.status, time_us
        )
        return ((vehicle_id, position),)

    return convert


def routes(settings: Settings) -> Convert:
    """What turns a route as it is told into one by vehicle; refuses paths that nobody can drive on.

    Raises:
        Rejected: a point is no place, or none of the city; or the path has no length.
    """
    bounds, closed_within_m = settings.city.bounds, settings.transit.closed_within_m

    def convert(told: VehicleRoute, _: int) -> Iterable[tuple[str, Struct]]:
        path = [(point[0], point[1]) for point in told.path]
        for place in path:
            check_place(*place, bounds)
        try:
            RoutePath(path, closed_within_m)
        except ValueError as error:
            raise Rejected("invalid_field", f"path: {error}") from None
        route = RouteOf(told.vehicle_id, told.route_id, told.vehicle_type, path, told.expected_travel_time_minutes)
        return ((told.vehicle_id, route),)

    return convert
