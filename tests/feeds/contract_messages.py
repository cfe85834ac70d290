"""What is sent into every topic of a city as its producers write it, and where it must be seen.

Times are as contract and producers have them: naive ones in the zone of the feed's setting, ahead of the clock by
minutes wherever a setting lets clocks run ahead.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from trafficapp.areas.feeds import AREA_DATA, AREA_INCOMING, AREAS
from trafficapp.feeds.declaration import Feed
from trafficapp.fleet.feeds import CARS, POSITIONS, TRACKERS
from trafficapp.incidents.feeds import CITIZENS, DESK, EMERGENCY_DESK, INCIDENT_STEPS, OPERATORS
from trafficapp.riders.feeds import TAPS, WINDOWS
from trafficapp.roads.feeds import ROAD_SPEEDS, ROADS
from trafficapp.still_cameras.feeds import STILL_CAMERA_MESSAGES, STILL_CAMERAS
from trafficapp.timetables.live.agency_feeds import ALERTS_OF_AGENCIES, TRIPS_OF_AGENCIES
from trafficapp.transit.feeds import LIVE_VEHICLES, ROUTES, VEHICLE_LOCATIONS, VEHICLE_ROUTES
from trafficapp.weather.feeds import CURRENT_WEATHER, WEATHER_READINGS

#: The zones of naive times, another one for each feed, so that none can be taken for another's.
ZONES: Final = {
    "areas": {"time_zone": "Asia/Ho_Chi_Minh"},
    "fleet": {"time_zone": "Asia/Jakarta", "gps_time_zone": "Asia/Kolkata"},
    "incidents": {"time_zone": "Asia/Tokyo"},
    "weather": {"time_zone": "America/New_York"},
    "still_cameras": {"time_zone": "Europe/Rome"},
    # whose gates' clocks run ahead says by how much
    "riders": {"time_zone": "Africa/Nairobi", "future_guard_seconds": 900.0, "idle_timeout_seconds": 70.0},
}
BOUNDS: Final = (44.0, 11.0, 45.0, 12.0)
#: Where a road of the graph that ships begins.
ON_A_ROAD: Final = (44.4993, 11.3266)

AHEAD: Final = timedelta(minutes=7)

#: So long that every codec makes it shorter, else clients send it as it is. Unknown fields are ignored.
_PADDING: Final = {"note": "what nobody reads; " * 40}

Fields = dict[str, Any]


def _two_fields(latitude: float, longitude: float) -> Fields:
    return {"latitude": latitude, "longitude": longitude}


def _location(latitude: float, longitude: float) -> Fields:
    return {"location": [latitude, longitude]}


def _path(latitude: float, longitude: float) -> Fields:
    return {"path": [[latitude, longitude], [latitude + 0.01, longitude + 0.01]]}


def _road(latitude: float, longitude: float) -> Fields:
    return {"coordinates": [[longitude, latitude], [longitude - 0.005, latitude + 0.0019]]}


def _no_place(_: float, __: float) -> Fields:
    return {}


def _naive(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat()


def _utc(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def stream_id(key: str) -> str:
    """The counter of a key: these have UUIDs."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, key))


@dataclass(frozen=True, kw_only=True)
class Outer:
    """A topic that others write.

    Attributes:
        feed: of it.
        make: of a key and a time a message as a producer sends it, but for its place.
        place: the fields of a place.
        shown: the feed whose documents show it.
        key_in_documents: of a key the natural key of its document.
        time: field of the document that has the message's time; None where there is none.
        says: further fields of the document.
        rows: SQL of natural keys, as texts, and times; empty where there is no table.
        lists: path of the list and its field with the time, where the feed that is shown has none of its own.
        ahead: how far ahead of the clock its times are.
        swapped: the reason of a letter of swapped numbers, and a word of its detail.
        beyond: likewise of a latitude of 144.5.
        own_key: whether its producers have to use the natural key.
        named_by: the topic whose keys its messages are about.
    """

    feed: Feed[Any]
    make: Callable[[str, datetime], Fields]
    place: Callable[[float, float], Fields]
    shown: Feed[Any]
    rows: str
    key_in_documents: Callable[[str], str] = str
    time: str | None = "timestamp"
    says: Fields = field(default_factory=dict)
    lists: tuple[str, str] = ("", "")
    ahead: timedelta = AHEAD
    swapped: tuple[str, str] = ("outside_city", "they look swapped")
    beyond: tuple[str, str] = ("invalid_place", "144.5")
    own_key: bool = False
    named_by: str = ""

    @property
    def path(self) -> str:
        """Of the list that shows it."""
        return self.shown.path or self.lists[0]

    def messages(self, key: str, at: datetime, place: tuple[float, float]) -> list[Fields]:
        """A message that is right between two that are not, where places can be wrong: swapped, and off the earth."""
        latitude, longitude = place
        good = self.make(key, at) | self.place(latitude, longitude) | _PADDING
        if not self.place(latitude, longitude):
            return [good]
        swapped = self.make(f"swapped-{key}", at) | self.place(longitude, latitude) | _PADDING
        beyond = self.make(f"beyond-{key}", at) | self.place(144.5, longitude) | _PADDING
        return [swapped, good, beyond]


def _area(key: str, at: datetime) -> Fields:
    told = {"stream_id": stream_id(key), "timestamp": at.astimezone(ZoneInfo("Asia/Ho_Chi_Minh")).strftime("%FT%T%z")}
    return told | {
        "location": f"Ngã Tư Sở {key}",
        "total_in_area": 12,
        "estimated_max_people": 40,
        "label": "Đông hơn bình thường",
        "type": "vehicle",
    }


def _area_of_an_older_client(key: str, at: datetime) -> Fields:
    told = _area(key, at) | {"timestamp": _naive(at, "Asia/Ho_Chi_Minh").replace("T", " "), "numbers_of_cars": "12"}
    del told["total_in_area"]
    return told


def _bus(key: str, at: datetime) -> Fields:
    told = {"vehicle_id": key, "type": "bus", "passenger_count": 17, "status": "in_service"}
    return told | {"timestamp": _utc(at)}


def _route(key: str, _: datetime) -> Fields:
    told = {"route_id": key, "vehicle_id": f"bus-of-{key}", "vehicle_type": "bus"}
    return told | {"expected_travel_time_minutes": 25}


def _agency_alert(key: str, at: datetime) -> Fields:
    told = {"alert_id": key, "source": "agency.example", "header": "Lavori", "effect": "DETOUR"}
    return told | {"informed": [{"route_id": "R1", "route_type": 3}], "timestamp": _utc(at)}


def _agency_trip(key: str, at: datetime) -> Fields:
    told = {"run_id": key, "source": "agency.example", "trip_id": "line-7", "relationship": "CANCELED"}
    return told | {"stops": [{"stop_id": "L2", "is_skipped": True}], "timestamp": _utc(at)}


def _tap(key: str, at: datetime) -> Fields:
    told = {"event_id": str(uuid.uuid4()), "rider_id": "r", "station_id": key}
    return told | {"timestamp": _naive(at, "Africa/Nairobi")}


def _device(key: str, at: datetime, zone: str) -> Fields:
    return {"id": str(uuid.uuid4()), "device_id": key, "timestamp": _naive(at, zone)}


def _car(key: str, at: datetime) -> Fields:
    told = {"speed": 34.5, "direction": "North-East", "make": "BMW", "model": "C500", "year": 2024}
    return _device(key, at, "Asia/Jakarta") | told | {"fuel_type": "Hybrid"}


def _tracker(key: str, at: datetime) -> Fields:
    return _device(key, at, "Asia/Kolkata") | {"speed": 33.5, "direction": 45.0, "vehicle_type": "private"}


def _incident(key: str, at: datetime) -> Fields:
    told = {"incident_id": key, "type": "accident", "severity": 4, "description": "two cars"}
    return told | {"timestamp": _utc(at)}


def _emergency(key: str, at: datetime) -> Fields:
    told = {"incidentId": key, "incident_type": "Accident", "status": "Active", "description": "help"}
    return _device("unit-7", at, "Asia/Tokyo") | told


def _citizen(key: str, at: datetime) -> Fields:
    return {"report_id": key, "incident_type": "accident", "timestamp": _utc(at), "description": "a tree"}


def _action(key: str, at: datetime) -> Fields:
    told = {"action_id": str(uuid.uuid4()), "incident_id": key, "action": "confirm", "by": "ada"}
    return told | {"timestamp": _utc(at)}


def _weather(key: str, at: datetime) -> Fields:
    told = {"temperature": 12.25, "weather_condition": "Cloudy", "humidity": 61, "wind_speed": 12.5}
    return _device(key, at, "America/New_York") | told | {"precipitation": 0.0, "airQualityIndex": 377.39}


def _still(key: str, at: datetime) -> Fields:
    told = {"camera_id": key, "snapshot": "Base64EncodedString", "direction": "North-East", "speed": 12.5}
    return _device("device-4", at, "Europe/Rome") | told


def _speed(key: str, at: datetime) -> Fields:
    told = {"event_id": str(uuid.uuid4()), "road_id": key, "road_name": "Via Stalingrado", "timestamp": _utc(at)}
    return told | {"current_speed": 31.0, "free_flow_speed": 50.0, "jam_factor": 3.2, "congestion_level": "low"}


_AREA_ROWS = 'SELECT stream_id::text, "timestamp" FROM traffic_data'
_POSITION_ROWS = "SELECT vehicle_id, observed_at FROM vehicle_positions WHERE feed = '{}'"
_INCIDENT_ROWS = "SELECT incident_id, happened_at FROM incidents WHERE kind = 'accident'"
_NOW = timedelta()

OUTER: Final = (
    Outer(
        feed=AREA_DATA,
        make=_area,
        place=_two_fields,
        shown=AREAS,
        rows=_AREA_ROWS,
        key_in_documents=stream_id,
        says={"total_in_area": 12},
    ),
    Outer(
        feed=AREA_INCOMING,
        make=_area_of_an_older_client,
        place=_two_fields,
        shown=AREAS,
        rows=_AREA_ROWS,
        key_in_documents=stream_id,
        says={"total_in_area": 12},
    ),
    Outer(
        feed=VEHICLE_LOCATIONS,
        make=_bus,
        place=_two_fields,
        shown=LIVE_VEHICLES,
        rows="SELECT vehicle_id, observed_at FROM transit_positions",
        time="last_updated",
        says={"passenger_count": 17, "status": "in_service"},
    ),
    Outer(
        feed=VEHICLE_ROUTES,
        make=_route,
        place=_path,
        shown=ROUTES,
        rows="",
        time=None,
        says={"is_closed": False, "expected_travel_time_minutes": 25},
    ),
    Outer(
        feed=ALERTS_OF_AGENCIES,
        make=_agency_alert,
        place=_no_place,
        shown=ALERTS_OF_AGENCIES,
        rows="",
        says={"header": "Lavori", "cause": "UNKNOWN_CAUSE", "informed": [{"route_id": "R1", "route_type": 3}]},
        ahead=_NOW,
    ),
    Outer(
        feed=TRIPS_OF_AGENCIES,
        make=_agency_trip,
        place=_no_place,
        shown=TRIPS_OF_AGENCIES,
        rows="",
        says={"trip_id": "line-7", "relationship": "CANCELED", "start_date": None},
        ahead=_NOW,
    ),
    Outer(
        feed=TAPS,
        make=_tap,
        place=_two_fields,
        shown=WINDOWS,
        rows="SELECT zone, window_start FROM rider_windows",
        key_in_documents="station:{}".format,
        time="window_start",
        says={"tap_count": 1, "is_surge": False},
    ),
    Outer(
        feed=CARS,
        make=_car,
        place=_location,
        shown=POSITIONS,
        rows=_POSITION_ROWS.format("vehicle_data"),
        says={"speed": 34.5, "direction": 45.0, "year": 2024},
    ),
    Outer(
        feed=TRACKERS,
        make=_tracker,
        place=_location,
        shown=POSITIONS,
        rows=_POSITION_ROWS.format("gps_data"),
        says={"speed": 33.5, "direction": 45.0, "vehicle_type": "private"},
    ),
    Outer(
        feed=DESK,
        make=_incident,
        place=_two_fields,
        shown=INCIDENT_STEPS,
        rows=_INCIDENT_ROWS,
        says={"severity": "high", "sources": ["desk"], "state": "verified"},
        beyond=("invalid_field", "latitude"),
    ),
    Outer(
        feed=EMERGENCY_DESK,
        make=_emergency,
        place=_location,
        shown=INCIDENT_STEPS,
        rows=_INCIDENT_ROWS,
        says={"is_emergency": True, "sources": ["emergency"], "status": "active"},
        beyond=("invalid_field", "location"),
    ),
    Outer(
        feed=CITIZENS,
        make=_citizen,
        place=_two_fields,
        shown=INCIDENT_STEPS,
        rows=_INCIDENT_ROWS,
        says={"sources": ["citizen"]},
        # the API sends them, by its own clock
        ahead=_NOW,
        beyond=("invalid_field", "latitude"),
    ),
    Outer(
        feed=OPERATORS,
        make=_action,
        place=_no_place,
        shown=INCIDENT_STEPS,
        rows="SELECT incident_id, happened_at FROM incidents WHERE verified_by = 'ada'",
        says={"state": "verified", "verified_by": "ada"},
        ahead=_NOW,
        named_by=CITIZENS.name,
    ),
    Outer(
        feed=WEATHER_READINGS,
        make=_weather,
        place=_location,
        shown=CURRENT_WEATHER,
        rows="SELECT station, observed_at FROM weather_observations",
        says={"temperature": 12.25, "air_quality_index": 377, "is_current": True},
    ),
    Outer(
        feed=STILL_CAMERA_MESSAGES,
        make=_still,
        place=_location,
        shown=STILL_CAMERAS,
        rows="SELECT camera_id, observed_at FROM still_cameras",
        says={"snapshot_kind": "text", "speed_kmh": 12.5},
    ),
    Outer(
        feed=ROAD_SPEEDS,
        make=_speed,
        place=_road,
        shown=ROADS,
        rows="SELECT road_id, observed_at FROM road_observations",
        says={"current_speed": 31.0},
        lists=("/traffic/current", "last_updated"),
        ahead=_NOW,
        swapped=("swapped_coordinates", "a place is [longitude, latitude]"),
        beyond=("invalid_field", "144.5"),
        own_key=True,
    ),
)
