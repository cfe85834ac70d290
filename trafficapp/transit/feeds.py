"""The feeds of public transport: what fleets and schedules send, and what is told of vehicles and routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.city_alerts import alert_id_of
from models.transit.inner import TransitMessage
from models.transit.messages import VehicleLocation, VehicleRoute
from models.transit.vehicles import LiveVehicleRow, TransitRoute, TransitVehicle, VehicleAlert
from trafficapp.feeds.city_alerts import alert_feed
from trafficapp.feeds.declaration import Column, Current, Feed, History, Sends
from trafficapp.feeds.rules import MakeRules, Rules
from trafficapp.fleet.feeds import FLEET
from trafficapp.quality.city_sources import CITY_SOURCES, beside, vehicle_readings
from trafficapp.settings import Settings
from trafficapp.timetables.live.feeds import TIMETABLES
from trafficapp.topics import live_vehicles, transit_routes
from trafficapp.transit import intake
from trafficapp.transit.topics import BREAKDOWN_ALERTS, DELAY_ALERTS, LIVE_VEHICLE_TABLE

if TYPE_CHECKING:
    from trafficapp.transit.alerts import VehicleAlertType

_NOON = "2026-01-14T12:00:00Z"
_PLACE = (44.4949, 11.3426)
_PATH = [_PLACE, (44.5058, 11.3432)]
_TEXT = Column("text")
_REAL = Column("double precision")

#: A vehicle that says nothing more is found among what is current for so long; one that is missed is told of again
#: before that, as long as it is.
CURRENT_SECONDS = 3600
#: Routes are told once. Ten years.
ROUTE_SECONDS = 315_360_000


def _make(settings: Settings) -> MakeRules:
    from trafficapp.transit.partition import TransitPartition

    topics = live_vehicles(settings), transit_routes(settings)
    fixes_topic = FLEET.topic_in(settings) if settings.fleet.tells_road_speeds else None
    return lambda _, rows: TransitPartition(settings.transit, settings.movement, *topics, rows, fixes_topic)


TRANSIT: Rules[TransitMessage] = Rules(
    name="transit",
    summary="Vehicles of public transport on their routes: newest state, progress, delays, breakdowns.",
    key="vehicle_id",
    shape=TransitMessage,
    make=_make,
)

VEHICLE_LOCATIONS = Feed(
    name="vehicle-locations",
    summary="Where vehicles of public transport are, what they do, how many people are in them.",
    topic="vehicle_locations",
    shape=VehicleLocation,
    sample=VehicleLocation(
        vehicle_id="bus-01",
        type="bus",
        latitude=_PLACE[0],
        longitude=_PLACE[1],
        passenger_count=17,
        status="in_service",
        timestamp=_NOON,
    ),
    key="vehicle_id",
    zone=lambda settings: settings.transit.time_zone,
    future_seconds=lambda settings: settings.transit.future_seconds,
    place=lambda told: (told.latitude, told.longitude),
    sends=Sends(
        to=(TRANSIT, TIMETABLES, CITY_SOURCES), messages=beside(intake.positions, vehicle_readings), with_origin=True
    ),
    history=History(
        table="transit_positions",
        columns={
            "vehicle_id": _TEXT,
            "observed_at": Column("timestamptz", of="timestamp"),
            "type": _TEXT,
            "latitude": _REAL,
            "longitude": _REAL,
            "passenger_count": Column("integer"),
            "status": _TEXT,
        },
        key=("vehicle_id", "observed_at"),
        partitioned_by="observed_at",
        days=lambda settings: settings.transit.positions_days,
    ),
)

VEHICLE_ROUTES = Feed(
    name="vehicle-routes",
    summary="The routes that vehicles of public transport serve, each told once.",
    topic="vehicle_routes",
    shape=VehicleRoute,
    sample=VehicleRoute(
        route_id="route-bus-01",
        vehicle_id="bus-01",
        vehicle_type="bus",
        path=[list(point) for point in _PATH],
        expected_travel_time_minutes=25,
    ),
    key="route_id",
    time=None,
    retention_hours=lambda settings: settings.transit.route_days * 24,
    sends=Sends(to=TRANSIT, messages=intake.routes),
)

#: What StreamCity's dashboard backend reads, from the beginning.
LIVE_TABLE = Feed(
    name="live-vehicle-table",
    summary="The newest state of each vehicle of public transport; null when it is forgotten.",
    topic=LIVE_VEHICLE_TABLE,
    shape=LiveVehicleRow,
    sample=LiveVehicleRow(
        vehicle_id="bus-01",
        type="bus",
        latitude=_PLACE[0],
        longitude=_PLACE[1],
        passenger_count=17,
        status="in_service",
        last_updated=_NOON,
    ),
    key="vehicle_id",
    time="last_updated",
    future_seconds=None,
    compacted=True,
    is_ours=True,
    any_clock=True,
)

#: ``transit:vehicle:{vehicle_id}``: `TransitVehicle` as JSON. The map on ``/ws`` is told what its channel tells.
LIVE_VEHICLES = Feed(
    name="live-vehicles",
    summary="Vehicles of public transport as they are now, on their routes.",
    topic=live_vehicles,
    shape=TransitVehicle,
    sample=TransitVehicle(
        vehicle_id="bus-01",
        type="bus",
        latitude=_PLACE[0],
        longitude=_PLACE[1],
        passenger_count=17,
        status="in_service",
        last_updated=_NOON,
        occupancy_status="MANY_SEATS_AVAILABLE",
        occupancy_percentage=21,
        route_id="route-bus-01",
        progress_m=412.3,
        progress_share=0.3401,
        rounds=0,
        off_route_m=4.2,
    ),
    key="vehicle_id",
    time="last_updated",
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    place=lambda vehicle: (vehicle.latitude, vehicle.longitude),
    current=Current(
        document="transit:vehicle:{key}",
        listed="transit:vehicles",
        seconds=CURRENT_SECONDS,
        channel="transit:vehicles:told",
    ),
    path="/api/transit/vehicles",
)

#: ``transit:route:{route_id}``: `TransitRoute` as JSON.
ROUTES = Feed(
    name="transit-routes",
    summary="Routes of public transport, each as it was told last.",
    topic=transit_routes,
    shape=TransitRoute,
    sample=TransitRoute(
        route_id="route-bus-01",
        vehicle_id="bus-01",
        vehicle_type="bus",
        path=_PATH,
        length_m=1212.9,
        is_closed=False,
        expected_travel_time_minutes=25,
        timestamp=_NOON,
    ),
    key="route_id",
    future_seconds=None,
    compacted=True,
    is_ours=True,
    current=Current(
        document="transit:route:{key}",
        listed="transit:routes",
        seconds=ROUTE_SECONDS,
        channel="transit:routes:told",
    ),
    path="/api/transit/routes",
)


def _sample(alert_type: VehicleAlertType, title: str, message: str, seconds: int) -> VehicleAlert:
    return VehicleAlert(
        alert_id=alert_id_of(alert_type, "bus-01", 0),
        revision=0,
        alert_type=alert_type,
        state="opened",
        severity="WARNING",
        subject="bus-01",
        title=title,
        message=message,
        timestamp=_NOON,
        opened_at=_NOON,
        latitude=_PLACE[0],
        longitude=_PLACE[1],
        VEHICLE_ID="bus-01",
        ALERT_MESSAGE=message,
        TIME_SINCE_LAST_UPDATE_SECONDS=seconds,
    )


DELAYS = alert_feed(
    DELAY_ALERTS,
    "Vehicles of public transport that are in service and silent, until they are heard of again.",
    VehicleAlert,
    _sample("delay", "Vehicle delayed", "Vehicle may be delayed. No update for 124 seconds.", 124),
    "/api/transit/delays",
)

BREAKDOWNS = alert_feed(
    BREAKDOWN_ALERTS,
    "Vehicles of public transport that say that they have broken down, or do not move in service.",
    VehicleAlert,
    _sample("breakdown", "Vehicle broken down", "Vehicle has broken down. Its status is broken_down.", 5),
    "/api/transit/breakdowns",
)

TRANSIT_FEEDS = (VEHICLE_LOCATIONS, VEHICLE_ROUTES, LIVE_TABLE, LIVE_VEHICLES, ROUTES, DELAYS, BREAKDOWNS)
