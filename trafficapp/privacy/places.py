"""Where ids of vehicles and names of people stand, declared once: what is found and erased goes by it.

A test walks the schema of the database: a column with such a name that is not declared here fails it
(tests/stores/privacy/test_erased.py). Redis and the lake need no list, as they are searched whole.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Columns with ids of vehicles, by table: rows with an erased one are deleted.
VEHICLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "traffic_events": ("vehicle_id",),
    "vehicle_positions": ("vehicle_id",),
    "vehicle_trips": ("vehicle_id",),
    "geofence_events": ("vehicle_id",),
    "driving_events": ("vehicle_id",),
    "transit_positions": ("vehicle_id",),
    "transit_stop_times": ("vehicle_id",),
    "transit_run_outcomes": ("vehicle_id",),
    "city_alerts": ("subject",),
}

#: Columns with names of those who work with the system, who has to be able to answer for what was done: they go with
#: their tables (``retention.*``), and no vehicle is among them.
STAFF_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "audit_logs": ("actor", "caller"),
    "alert_acknowledgements": ("caller",),
    "alarm_shelves": ("caller",),
}

#: Columns that are called so and name nobody.
OTHER_COLUMNS: Mapping[str, tuple[str, ...]] = {"still_cameras": ("device_id",)}

#: What dumps leave out unless asked: every single sighting.
RAW_TABLES = (
    *("traffic_events", "vehicle_positions", "vehicle_trips", "geofence_events", "driving_events"),
    *("transit_positions", "transit_stop_times"),
)

#: Words in names of columns that must be declared.
TELLING_WORDS = (
    *("vehicle_id", "rider", "device_id", "plate", "reporter", "reported_by", "person", "driver", "passenger_id"),
    *("caller", "actor", "email", "phone", "user_id", "user_name", "owner"),
)
