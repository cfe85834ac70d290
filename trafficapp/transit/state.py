"""What is remembered of a vehicle and of its route: rows of the changelog. New fields go to the end, with a default."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from models.transit.vehicles import VehicleStatus
from trafficapp.movement.plausibility import Movement
from trafficapp.transit.progress import Progress

_VEHICLE, _ROUTE = b"vehicle/", b"route/"


class OpenAlert(Struct, array_like=True, gc=False):
    """An alert that is open; times in microseconds since the epoch.

    Attributes:
        number: of the alerts about the vehicle, since it was met.
        opened_us: when it was raised.
        revision: of the newest step.
        told_us: by the partition's clock, when the newest step was told.
        is_severe: whether the newest step was critical.
    """

    number: int
    opened_us: int
    revision: int
    told_us: int
    is_severe: bool


class Vehicle(Struct, array_like=True):
    """A vehicle; times in microseconds since the epoch.

    Attributes:
        time_us: its own time of the newest state.
        met_us: the partition's clock when it was first heard of, or again after it was forgotten.
        heard_us: the partition's clock when it was last heard of.
        record_us: the broker's time of that message: the clock may be behind it, and is not told to people.
        stood_at: latitude and longitude of where it may stand.
        stood_us: its own time since when it has been there, in service; None while it is not in service.
        movement: whether its places can be true.
        progress: on the path of its route.
        delay: the open alert.
        breakdown: likewise.
        alerts: how many were raised since it was met.
    """

    type: str
    latitude: float
    longitude: float
    passengers: int | None
    status: VehicleStatus
    time_us: int
    met_us: int
    heard_us: int
    record_us: int
    stood_at: tuple[float, float]
    stood_us: int | None
    movement: Movement
    progress: Progress | None = None
    delay: OpenAlert | None = None
    breakdown: OpenAlert | None = None
    alerts: int = 0

    def raised(self, opened_us: int, told_us: int, is_severe: bool) -> OpenAlert:
        """Another alert about it."""
        self.alerts += 1
        return OpenAlert(self.alerts, opened_us, 0, told_us, is_severe)


class Route(Struct, array_like=True, frozen=True):
    """The route that a vehicle serves.

    Attributes:
        told_us: the broker's time of the message that told it.
        used_us: the partition's clock when the route was told, or when its vehicle was last forgotten.
    """

    route_id: str
    path: list[tuple[float, float]]
    told_us: int
    used_us: int


_encode = msgspec.msgpack.Encoder().encode
_read_vehicle = msgspec.msgpack.Decoder(Vehicle).decode
_read_route = msgspec.msgpack.Decoder(Route).decode


def vehicle_row(vehicle_id: str, vehicle: Vehicle | None) -> tuple[bytes, bytes | None]:
    """Key and value of a vehicle's row."""
    return _VEHICLE + vehicle_id.encode(), None if vehicle is None else _encode(vehicle)


def route_row(vehicle_id: str, route: Route | None) -> tuple[bytes, bytes | None]:
    """Key and value of the row of a vehicle's route."""
    return _ROUTE + vehicle_id.encode(), None if route is None else _encode(route)


def read_row(key: bytes, row: bytes) -> tuple[str, Vehicle | Route]:
    """Whose row it is, and what it says.

    Raises:
        msgspec.DecodeError: it is no row of ours.
    """
    if key.startswith(_VEHICLE):
        return key[len(_VEHICLE) :].decode(), _read_vehicle(row)
    return key[len(_ROUTE) :].decode(), _read_route(row)
