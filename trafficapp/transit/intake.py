"""From what fleets and schedules say to what the rules read, by vehicle_id."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from models.cameras.detections import Rejected
from models.timetables.runs import Fix
from models.transit.inner import Position, RouteOf
from models.transit.messages import VehicleLocation, VehicleRoute
from trafficapp.feeds.declaration import Convert
from trafficapp.feeds.places import check_place
from trafficapp.settings import Settings
from trafficapp.timetables.calendars import seconds_of
from trafficapp.transit.path import RoutePath

#: Of trips and days; what is longer is no name of a timetable's.
_LONGEST_NAME = 256
#: A start that is no time is that of no run.
_NO_TIME = -1


def positions(settings: Settings) -> Convert:
    """What turns a location into a position, and where there is a timetable into a fix of a run."""

    def position(told: VehicleLocation, time_us: int) -> Position:
        return Position(
            told.vehicle_id, told.type, told.latitude, told.longitude, told.passenger_count, told.status, time_us
        )

    def convert(told: VehicleLocation, time_us: int) -> Iterable[tuple[str, Struct]]:
        return ((told.vehicle_id, position(told, time_us)),)

    def convert_both(told: VehicleLocation, time_us: int) -> Iterable[tuple[str, Struct]]:
        yield told.vehicle_id, position(told, time_us)
        if (fix := _fix(told, time_us)) is not None:
            yield told.vehicle_id, fix

    return convert if settings.transit.timetable_dir is None else convert_both


def _fix(told: VehicleLocation, time_us: int) -> Fix | None:
    """The fix of a run; None when a vehicle serves none, or does not say which one."""
    trip_id = _name(told.trip_id)
    if trip_id is None or told.status == "end_of_service":
        return None
    start_s = None
    if (start_time := _name(told.start_time)) is not None:
        try:
            start_s = seconds_of(start_time)
        except ValueError:
            start_s = _NO_TIME
    return Fix(
        told.vehicle_id,
        trip_id,
        told.latitude,
        told.longitude,
        time_us,
        _name(told.start_date),
        start_s,
        told.passenger_count,
    )


def _name(told: Any) -> str | None:
    """A name as it was told; some write whole numbers. None for anything else, and for what is no use."""
    if isinstance(told, int) and not isinstance(told, bool):
        told = str(told)
    return told if isinstance(told, str) and 0 < len(told) <= _LONGEST_NAME else None


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
