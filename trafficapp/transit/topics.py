"""Names of the topics about vehicles of public transport."""

from __future__ import annotations

#: Key: vehicle_id. Value: `LiveVehicleRow`; null for a vehicle that is forgotten. StreamCity's dashboard reads it.
LIVE_VEHICLE_TABLE = "LIVE_VEHICLE_TABLE"

#: Key: vehicle_id. Value: `VehicleAlert`.
DELAY_ALERTS = "delay_alerts"
BREAKDOWN_ALERTS = "breakdown_alerts"
