"""What is told of vehicles of public transport: their newest state, and the alerts about them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from models.city_alerts import CityAlert

VehicleStatus: TypeAlias = Literal["in_service", "broken_down", "end_of_service"]

#: The words of GTFS Realtime, ``VehiclePosition.OccupancyStatus``.
OccupancyStatus: TypeAlias = Literal[
    "EMPTY",
    "MANY_SEATS_AVAILABLE",
    "FEW_SEATS_AVAILABLE",
    "STANDING_ROOM_ONLY",
    "CRUSHED_STANDING_ROOM_ONLY",
    "FULL",
    "NO_DATA_AVAILABLE",
]


class TransitVehicle(Struct, frozen=True, kw_only=True, gc=False):
    """The newest state of a vehicle.

    Attributes:
        vehicle_id: as its fleet calls it.
        type: of vehicle, such as ``bus``, ``train``, ``rideshare``.
        latitude: degrees WGS 84.
        longitude: likewise.
        passenger_count: people in it; null when nobody counts them.
        status: what it does.
        last_updated: when it was so, by its own time, RFC 3339.
        occupancy_status: how full it is, in the words of GTFS Realtime.
        occupancy_percentage: share of the room for its type that is taken, percent; null when that is not known.
        route_id: of the route that it serves; null when none was told.
        progress_m: how far it has got along the path of the route, metres; null while it has not been on it.
        progress_share: the same as a share of the path, 0..1.
        rounds: how often it has begun the path again.
        off_route_m: how far beside the path it is, metres.
        delayed_since: when it was last heard of, by the broker's clock, while it is in service and missed; else null.
        broken_down_since: by its own time; null while it has not broken down.
        plausible: false while its places are too far apart for the times between them.
    """

    vehicle_id: str
    type: str
    latitude: float
    longitude: float
    passenger_count: int | None
    status: VehicleStatus
    last_updated: str
    occupancy_status: OccupancyStatus
    occupancy_percentage: int | None = None
    route_id: str | None = None
    progress_m: float | None = None
    progress_share: float | None = None
    rounds: int | None = None
    off_route_m: float | None = None
    delayed_since: str | None = None
    broken_down_since: str | None = None
    plausible: bool = True


class TransitRoute(Struct, frozen=True, kw_only=True, gc=False):
    """A route, as it was told last.

    Attributes:
        route_id: as the schedule calls it.
        vehicle_id: of the vehicle that serves it.
        vehicle_type: such as ``bus``; null when it was not told.
        path: points as [latitude, longitude], degrees WGS 84, in driving direction.
        length_m: of the path, metres.
        is_closed: whether it ends where it begins, and is driven round and round.
        expected_travel_time_minutes: from its beginning to its end; null when it was not told.
        timestamp: when it was told, RFC 3339.
    """

    route_id: str
    vehicle_id: str
    vehicle_type: str | None
    path: list[tuple[float, float]]
    length_m: float
    is_closed: bool
    expected_travel_time_minutes: float | None
    timestamp: str


class LiveVehicleRow(Struct, frozen=True, kw_only=True, gc=False, rename="upper"):
    """A row of ``LIVE_VEHICLE_TABLE``, with the names that ksqlDB gives its columns."""

    vehicle_id: str
    type: str
    latitude: float
    longitude: float
    passenger_count: int | None
    status: VehicleStatus
    last_updated: str


class VehicleAlert(CityAlert, frozen=True, kw_only=True):
    """A step of an alert about a vehicle: topics ``delay_alerts`` and ``breakdown_alerts``.

    Attributes:
        VEHICLE_ID: these three are what StreamCity's alerter reads; the same as ``subject``.
        ALERT_MESSAGE: the same as ``message``.
        TIME_SINCE_LAST_UPDATE_SECONDS: whole seconds from the message of the vehicle before to this step, by the
            broker's clock.
    """

    VEHICLE_ID: str
    ALERT_MESSAGE: str
    TIME_SINCE_LAST_UPDATE_SECONDS: int
