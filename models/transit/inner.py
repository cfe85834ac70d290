"""What is known of vehicles by vehicle_id: the inner messages that the rules of transit read."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from models.transit.vehicles import VehicleStatus


class Position(Struct, frozen=True, array_like=True, tag="p", gc=False):
    """Where a vehicle is, and what kind of one it is; time in microseconds since the epoch."""

    vehicle_id: str
    kind: str
    latitude: float
    longitude: float
    passengers: int | None
    status: VehicleStatus
    time_us: int


class RouteOf(Struct, frozen=True, array_like=True, tag="r", gc=False):
    """The route that a vehicle serves; points are latitude and longitude."""

    vehicle_id: str
    route_id: str
    vehicle_type: str | None
    path: list[tuple[float, float]]
    minutes: float | None


TransitMessage: TypeAlias = Position | RouteOf
