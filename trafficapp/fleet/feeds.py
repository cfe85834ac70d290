"""The feeds of cars and trackers, and where their vehicles are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

from models.fleet.fences import FenceChange
from models.fleet.fixes import Fix
from models.fleet.messages import CarMessage, TrackerMessage, place_of
from models.fleet.positions import SaidByFeed, VehiclePosition
from models.fleet.travels import Travel
from trafficapp.feeds.declaration import Column, Current, Feed, History, Sends
from trafficapp.feeds.rules import MakeRules, Rules
from trafficapp.fleet.intake import car_fixes, tracker_fixes
from trafficapp.fleet.matching import FleetRoads
from trafficapp.fleet.road_speeds import CityRoadSpeeds
from trafficapp.fleet.vehicles import VEHICLE_POSITIONS, FleetRules, PartitionFleet
from trafficapp.roads.graph.road_graph import GraphError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.limits import SpeedLimits
from trafficapp.settings import Settings
from trafficapp.topics import CITY_PARTITIONS, GPS_DATA, VEHICLE_DATA

logger = logging.getLogger(__name__)

_NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
_PLACE = (44.4985, 11.3175)


def _make(settings: Settings) -> MakeRules:
    roads = FleetRoads(settings.roads) if settings.fleet.matching else None

    travels_topic = MATCHED_SPEEDS.topic_in(settings) if settings.fleet.tells_road_speeds else None

    @cache
    def rules() -> FleetRules:
        limits = _limits(settings, roads) if settings.fleet.speeding else None
        return FleetRules(settings.fleet, settings.movement, limits, roads, travels_topic)

    # the graph is read when a partition is made, in a thread
    return lambda _, rows: PartitionFleet(rules(), rows)


def _limits(settings: Settings, roads: FleetRoads | None) -> SpeedLimits | None:
    try:
        # a graph that is there for matching is not read again
        return SpeedLimits(city_graph(settings.roads) if roads is None else roads.graph)
    except GraphError as error:
        logger.warning("speeding is not told, as limits of roads are not known: %s", error)
        return None


def _make_speeds(settings: Settings) -> MakeRules:
    def make(_: int, rows: Mapping[bytes, bytes]) -> CityRoadSpeeds:
        graph = city_graph(settings.roads)
        free_flow_kmh = dict(zip(graph.edge_ids.tolist(), graph.free_flow_kmh.tolist(), strict=True))
        fleet = settings.fleet
        return CityRoadSpeeds(free_flow_kmh, fleet.road_speed_vehicles, settings.roads.max_speed_kmh, rows)

    return make


MATCHED_SPEEDS: Rules[Travel] = Rules(
    name="matched-speeds",
    summary="Speeds of roads from what matched vehicles drove, for the road-speed feed.",
    key="edge",
    shape=Travel,
    make=_make_speeds,
    partitions=CITY_PARTITIONS,
)

FLEET: Rules[Fix | FenceChange] = Rules(
    name="fleet",
    summary="Two feeds of a device become one vehicle; its trips, zones, braking and speeding.",
    key="device_id",
    shape=Fix | FenceChange,
    make=_make,
    then=lambda settings: (MATCHED_SPEEDS,) if settings.fleet.tells_road_speeds else (),
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
