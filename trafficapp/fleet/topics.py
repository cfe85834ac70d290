"""Names of the topics about cars and trackers."""

from __future__ import annotations

#: Key: vehicle_id. Value: `VehiclePosition`.
VEHICLE_POSITIONS = "vehicle-positions"

#: Key: vehicle_id. Value: `VehicleTrip`.
VEHICLE_TRIPS = "vehicle-trips"

#: Key: vehicle_id. Value: `GeofenceEvent`.
GEOFENCE_EVENTS = "geofence-events"

#: Key: vehicle_id. Value: `DrivingEvent`.
DRIVING_EVENTS = "driving-events"
