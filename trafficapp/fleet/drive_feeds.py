"""The feeds of what vehicles did: trips, geofences, braking and speeding.

They tell where people live and when they are out, so they have no public lists or sockets: see `web.fleet.driven`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from models.fleet.drives import DrivingEvent, GeofenceEvent, VehicleTrip
from trafficapp.feeds.declaration import Column, Feed, History
from trafficapp.fleet.topics import DRIVING_EVENTS, GEOFENCE_EVENTS, VEHICLE_TRIPS

_NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
_HALF_PAST = datetime(2026, 1, 14, 12, 30, tzinfo=UTC)
_TEXT, _TIME, _REAL = Column("text"), Column("timestamptz"), Column("double precision")

TRIPS = Feed(
    name="vehicle-trips",
    summary="Trips of connected cars and trackers that are over.",
    topic=VEHICLE_TRIPS,
    shape=VehicleTrip,
    sample=VehicleTrip(
        vehicle_id="car-17",
        began_at=_NOON,
        ended_at=_HALF_PAST,
        distance_m=11_240.5,
        moving_seconds=1510.0,
        standing_seconds=290.0,
        began_latitude=44.4985,
        began_longitude=11.3175,
        ended_latitude=44.5231,
        ended_longitude=11.3560,
        ended_by="stand",
    ),
    key="vehicle_id",
    time="ended_at",
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    history=History(
        table="vehicle_trips",
        columns={
            "vehicle_id": _TEXT,
            "began_at": _TIME,
            "ended_at": _TIME,
            **dict.fromkeys(("distance_m", "moving_seconds", "standing_seconds"), _REAL),
            **dict.fromkeys(("began_latitude", "began_longitude", "ended_latitude", "ended_longitude"), _REAL),
            "ended_by": _TEXT,
        },
        key=("vehicle_id", "ended_at"),
        partitioned_by="ended_at",
        days=lambda settings: settings.fleet.drives_days,
    ),
)

GEOFENCES = Feed(
    name="geofence-events",
    summary="Vehicles that entered monitoring zones, have been there for long, or left them.",
    topic=GEOFENCE_EVENTS,
    shape=GeofenceEvent,
    sample=GeofenceEvent(
        vehicle_id="car-17",
        zone_id=3,
        zone="Centro",
        event="leave",
        timestamp=_HALF_PAST,
        entered_at=_NOON,
        seconds=1800.0,
        latitude=44.4985,
        longitude=11.3175,
    ),
    key="vehicle_id",
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    history=History(
        table="geofence_events",
        columns={
            "vehicle_id": _TEXT,
            "zone_id": Column("bigint"),
            "zone": _TEXT,
            "event": _TEXT,
            "observed_at": Column("timestamptz", of="timestamp"),
            "entered_at": _TIME,
            **dict.fromkeys(("seconds", "latitude", "longitude"), _REAL),
        },
        key=("vehicle_id", "zone_id", "observed_at", "event"),
        partitioned_by="observed_at",
        days=lambda settings: settings.fleet.drives_days,
    ),
)

DRIVING = Feed(
    name="driving-events",
    summary="Harsh braking, and speeding against the limit of the road.",
    topic=DRIVING_EVENTS,
    shape=DrivingEvent,
    sample=DrivingEvent(
        vehicle_id="car-17",
        event="speeding",
        began_at=_NOON,
        ended_at=_HALF_PAST,
        latitude=44.4985,
        longitude=11.3175,
        speed_kmh=71.3,
        limit_kmh=50.0,
    ),
    key="vehicle_id",
    time="ended_at",
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    history=History(
        table="driving_events",
        columns={
            "vehicle_id": _TEXT,
            "event": _TEXT,
            "began_at": _TIME,
            "ended_at": _TIME,
            **dict.fromkeys(("latitude", "longitude", "speed_kmh", "to_speed_kmh"), _REAL),
            **dict.fromkeys(("deceleration_mps2", "limit_kmh"), _REAL),
        },
        key=("vehicle_id", "event", "ended_at"),
        partitioned_by="ended_at",
        days=lambda settings: settings.fleet.drives_days,
    ),
)

DRIVE_FEEDS = (TRIPS, GEOFENCES, DRIVING)
