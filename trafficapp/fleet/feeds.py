"""The feeds of cars and trackers, and where their vehicles are."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from models.fleet.fences import FenceChange
from models.fleet.fixes import Fix
from models.fleet.messages import CarMessage, TrackerMessage, place_of
from models.fleet.positions import SaidByFeed, VehiclePosition
from models.fleet.travels import Travel, WrongWay
from trafficapp.feeds.declaration import Column, Current, Feed, History, Sends
from trafficapp.feeds.rules import MakeRules, Rules
from trafficapp.fleet.intake import car_fixes, tracker_fixes
from trafficapp.fleet.topics import VEHICLE_POSITIONS
from trafficapp.settings import Settings
from trafficapp.topics import CITY_PARTITIONS, GPS_DATA, VEHICLE_DATA

_UNMATCHED = "vehicles are not put onto the roads"

_NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
_PLACE = (44.4985, 11.3175)


def _make(settings: Settings) -> MakeRules:
    from trafficapp.fleet.fleet_rules import FleetRules
    from trafficapp.fleet.vehicles import PartitionFleet
    from trafficapp.roads.graph.awaited import AwaitedGraph

    fleet, roads_topic = settings.fleet, MATCHED_ROADS.topic_in(settings)
    lost = [word for word, is_on in (("speeding is not told", fleet.speeding), (_UNMATCHED, fleet.matching)) if is_on]
    awaited = AwaitedGraph(settings.roads, " and ".join(lost)) if lost else None

    @cache
    def rules() -> FleetRules:
        return FleetRules(fleet, settings.movement, roads_topic=roads_topic, awaited=awaited)

    # the graph is read when a partition is made, in a thread
    return lambda _, rows: PartitionFleet(rules(), rows)


def _make_roads(settings: Settings) -> MakeRules:
    from trafficapp.fleet.matched_roads import CityMatchedRoads
    from trafficapp.roads.graph.awaited import AwaitedGraph

    awaited = AwaitedGraph(settings.roads, "no speeds are made of what vehicles drive")
    return lambda _, rows: CityMatchedRoads(settings.fleet, awaited, settings.roads.max_speed_kmh, rows)


MATCHED_ROADS: Rules[Travel | WrongWay] = Rules(
    name="matched-roads",
    summary="Speeds of roads from what matched vehicles drive, for the road-speed feed; and who drives the wrong way.",
    key="edge",
    shape=Travel | WrongWay,
    make=_make_roads,
    partitions=CITY_PARTITIONS,
)

FLEET: Rules[Fix | FenceChange] = Rules(
    name="fleet",
    summary="Two feeds of a device become one vehicle; its trips, zones, braking and speeding.",
    key="device_id",
    shape=Fix | FenceChange,
    make=_make,
    then=lambda settings: (MATCHED_ROADS,) if settings.fleet.matching else (),
)

CARS = Feed(
    name="vehicle-data",
    summary="Where connected cars are, how fast, which way; and what they are.",
    topic=VEHICLE_DATA,
    shape=CarMessage,
    sample=CarMessage(
        id="b6a0a3c5-0b1e-4b9f-8a53-6f2d5f1c9a10",
        device_id="car-17",
        timestamp="2026-01-14T12:00:00Z",
        location=list(_PLACE),
        speed=34.2,
        direction="North-East",
        make="Fiat",
        model="Panda",
        year=2024,
        fuel_type="Hybrid",
    ),
    key="device_id",
    personal=("device_id",),
    zone=lambda settings: settings.fleet.time_zone,
    future_seconds=None,
    sends=Sends(to=FLEET, messages=car_fixes),
    place=place_of,
)

TRACKERS = Feed(
    name="gps-data",
    summary="Where trackers are, how fast, which way. A device may be a connected car, too.",
    topic=GPS_DATA,
    shape=TrackerMessage,
    sample=TrackerMessage(
        id="0c1f8f6e-3f0e-4b5e-9d0a-1f4c52c0b7aa",
        device_id="car-17",
        timestamp="2026-01-14T12:00:00Z",
        speed=33.0,
        location=list(_PLACE),
        direction=45.0,
        vehicle_type="private",
    ),
    key="device_id",
    personal=("device_id",),
    zone=lambda settings: settings.fleet.gps_zone,
    future_seconds=None,
    sends=Sends(to=FLEET, messages=tracker_fixes),
    place=place_of,
)

#: ``vehicle:location:{vehicle_id}``: `VehiclePosition` as JSON; expires an hour after its fix came. Vehicles of transit
#: are of another world and stand elsewhere: a bus and a car may have the same id.
LOCATED = Current(
    document="vehicle:location:{key}",
    listed="vehicles:located",
    seconds=3600,
    channel="vehicles:locations",
    sent="received_at",
)

POSITIONS = Feed(
    name="vehicle-positions",
    summary="Where vehicles are, one record for each fix of a connected car or tracker.",
    topic=VEHICLE_POSITIONS,
    shape=VehiclePosition,
    sample=VehiclePosition(
        vehicle_id="car-17",
        latitude=_PLACE[0],
        longitude=_PLACE[1],
        speed=34.2,
        direction=45.0,
        timestamp=_NOON,
        received_at=_NOON,
        computed_speed=33.7,
        plausible=True,
        make="Fiat",
        model="Panda",
        year=2024,
        fuel_type="Hybrid",
        vehicle_type="private",
        feeds={
            "vehicle_data": SaidByFeed(_NOON, *_PLACE, 34.2, 45.0),
            "gps_data": SaidByFeed(_NOON, *_PLACE, 33.0, 45.0),
        },
        feed="vehicle_data",
        fix_latitude=_PLACE[0],
        fix_longitude=_PLACE[1],
        fix_speed=34.2,
        fix_direction=45.0,
        road_id="a165",
        edge="a165",
    ),
    key="vehicle_id",
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    current=LOCATED,
    history=History(
        table="vehicle_positions",
        columns={
            "vehicle_id": Column("text"),
            "observed_at": Column("timestamptz", of="timestamp"),
            "feed": Column("text"),
            "latitude": Column("double precision", of="fix_latitude"),
            "longitude": Column("double precision", of="fix_longitude"),
            "speed_kmh": Column("double precision", of="fix_speed"),
            "direction": Column("double precision", of="fix_direction"),
            "computed_speed_kmh": Column("double precision", of="computed_speed"),
            "plausible": Column("boolean"),
            "received_at": Column("timestamptz"),
            "road_id": Column("text"),
            "edge": Column("text"),
        },
        key=("vehicle_id", "observed_at", "feed"),
        partitioned_by="observed_at",
        days=lambda settings: settings.fleet.history_days,
    ),
    path="/api/vehicles",
)
