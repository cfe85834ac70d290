"""What vehicles did: trips, zones that they entered and left, and how they drove."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

#: Why a trip is over: it stood for long, nothing was heard for long by its own times or by the clock here, it jumped
#: or jumps about, or its clock was set back.
TripEnd: TypeAlias = Literal["stand", "gap", "silence", "jump", "clock"]

GeofenceStep: TypeAlias = Literal["enter", "dwell", "leave"]

DrivingEventType: TypeAlias = Literal["harsh_braking", "speeding"]


class VehicleTrip(Struct, frozen=True, kw_only=True):
    """A trip that is over. Times are the vehicle's own.

    Attributes:
        vehicle_id: the id of the device.
        began_at: when it began to move.
        ended_at: when it moved last; what it stood behind that is no part of the trip.
        distance_m: along its places.
        moving_seconds: that it drove.
        standing_seconds: that it stood or crept between.
        began_latitude: where, degrees WGS 84; likewise what follows.
        ended_by: why it is over.
    """

    vehicle_id: str
    began_at: datetime
    ended_at: datetime
    distance_m: float
    moving_seconds: float
    standing_seconds: float
    began_latitude: float
    began_longitude: float
    ended_latitude: float
    ended_longitude: float
    ended_by: TripEnd


class GeofenceEvent(Struct, frozen=True, kw_only=True):
    """A vehicle entered a zone, has been in it for long, or left it.

    Attributes:
        vehicle_id: the id of the device.
        zone_id: of the monitoring zone.
        zone: its name then.
        event: what happened.
        timestamp: when, by the vehicle's clock.
        entered_at: when it had entered.
        seconds: that it had been in the zone.
        latitude: where the vehicle was, degrees WGS 84.
        longitude: likewise.
    """

    vehicle_id: str
    zone_id: int
    zone: str
    event: GeofenceStep
    timestamp: datetime
    entered_at: datetime
    seconds: float
    latitude: float
    longitude: float


class DrivingEvent(Struct, frozen=True, kw_only=True):
    """Something about how a vehicle was driven, told when it is over. Times are the vehicle's own.

    Attributes:
        vehicle_id: the id of the device.
        event: what.
        began_at: of a braking when the higher speed was told, of speeding the first place that was too fast.
        ended_at: likewise the lower speed, or the last place.
        latitude: where it was braked, or where it was worst, degrees WGS 84.
        longitude: likewise.
        speed_kmh: before the braking, or the worst one.
        to_speed_kmh: after the braking; else null.
        deceleration_mps2: of the braking, m/s²; else null.
        limit_kmh: of the road where speeding was worst; else null.
    """

    vehicle_id: str
    event: DrivingEventType
    began_at: datetime
    ended_at: datetime
    latitude: float
    longitude: float
    speed_kmh: float
    to_speed_kmh: float | None = None
    deceleration_mps2: float | None = None
    limit_kmh: float | None = None


class FleetSummary(Struct, frozen=True, kw_only=True):
    """Figures of a fleet: of trips that ended in a span, and of what happened in it.

    Attributes:
        vehicles: that drove.
        trips: that ended.
        distance_km: of these trips.
        moving_seconds: of them that were driven.
        standing_seconds: of them that were stood or crept.
        average_trip_km: null without trips.
        average_moving_speed_kmh: over the time that was driven; null without any.
        harsh_brakings: how many.
        speedings: how many.
        harsh_brakings_per_100_km: null without a distance.
        speedings_per_100_km: likewise.
    """

    vehicles: int
    trips: int
    distance_km: float
    moving_seconds: float
    standing_seconds: float
    average_trip_km: float | None
    average_moving_speed_kmh: float | None
    harsh_brakings: int
    speedings: int
    harsh_brakings_per_100_km: float | None
    speedings_per_100_km: float | None
