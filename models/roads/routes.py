"""Questions for routes and their answers: ``POST /route/recommend``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from models.incidents.kinds import SeverityClass

#: From speed to free flow, as of the road-speed feed.
RouteCongestionLevel = Literal["low", "medium", "high"]
#: predictions: measured and predicted speeds; usual_speeds: those of the time of day; free_flow: nothing is known.
SpeedSource = Literal["predictions", "usual_speeds", "free_flow"]


class RoutePlace(Struct, frozen=True, kw_only=True):
    """A place, degrees, WGS 84."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lng: Annotated[float, Meta(ge=-180, le=180)]


class RouteWaypoint(Struct, frozen=True, kw_only=True):
    """A point to draw a route by; ``road_name`` is the road that begins or goes on there."""

    lat: float
    lng: float
    road_name: str


class RouteQuestion(Struct, frozen=True, kw_only=True):
    """Where from, where to and when; ``departure_time`` is ``now`` or ISO 8601 (without an offset it is UTC)."""

    origin: RoutePlace
    destination: RoutePlace
    departure_time: Annotated[str, Meta(min_length=1, max_length=64)] = "now"


class RouteCongestionSummary(Struct, frozen=True, kw_only=True):
    """How freely a route flows, at the speeds met under way.

    Attributes:
        level: of the route as a whole.
        text: the same in words.
        delay_minutes: time lost against the empty road.
        medium_km, high_km: length with medium and with high congestion.
        known_share: share of the length whose speed is told by somebody; the rest counts as free.
        worst_road: road on which most time is lost; null where nothing is.
    """

    level: RouteCongestionLevel
    text: str
    delay_minutes: float
    medium_km: float
    high_km: float
    known_share: float
    worst_road: str | None


class RecommendedRoute(Struct, frozen=True, kw_only=True):
    """A way to go."""

    waypoints: list[RouteWaypoint]
    distance_km: float
    eta_minutes: float
    congestion_summary: RouteCongestionSummary


class AvoidedRoad(Struct, frozen=True, kw_only=True):
    """A closed road that the quickest route would lead over, were it open.

    Attributes:
        edge_ids: its closed edges there, in driving direction.
        closed_as_of: when the feed last said so, RFC 3339 UTC.
        where: ``start`` or ``end`` when that place is on it, and the route begins or ends beside it; else ``way``.
    """

    road_name: str
    edge_ids: list[str]
    closed_as_of: str
    where: Literal["start", "way", "end"]


class RouteJam(Struct, frozen=True, kw_only=True):
    """A road on which time is lost now: the quickest route would lead over it, were the city empty.

    Attributes:
        edge_ids: its edges there, in driving direction.
        delay_minutes: how much longer they take now than when they flow freely.
    """

    road_name: str
    edge_ids: list[str]
    delay_minutes: float


class RouteWeather(Struct, frozen=True, kw_only=True):
    """The weather around a station, which slows those roads there whose speed was not measured.

    Attributes:
        station: its name, as in ``/api/weather``.
        phenomena: what slows them, such as ``heavy_rain``.
        speed_factor: what is left of usual speeds and free flow.
        received_at: when its reading came, RFC 3339 UTC.
    """

    station: str
    phenomena: list[str]
    speed_factor: float
    received_at: str


class RouteIncident(Struct, frozen=True, kw_only=True):
    """An incident on a route, or one that a route keeps off.

    Attributes:
        incident_id: to be asked for at ``/api/incidents?key=``.
        incident_type: in the reporter's words.
        severity: its class.
        road_name: of the road that it is on.
        closed: whether nobody may drive there.
        speed_share: what is left of the speed there; null where it is closed.
        where: ``route``, it is on the recommended one; ``avoided``, the quickest route would lead past it, were it not
            there.
    """

    incident_id: str
    incident_type: str
    severity: SeverityClass
    road_name: str
    closed: bool
    speed_share: float | None
    where: Literal["route", "avoided"]


class RouteAnswer(Struct, frozen=True, kw_only=True):
    """The quickest route, and up to two others worth a choice.

    Attributes:
        alternatives: different from the recommended one and each other in at least 30 % of their length, at most 1.5
            times as long in time and in length; quickest first.
        graph_version: the version of the speeds it was found under; ``free-flow`` when nothing is known.
        departure_time: RFC 3339 UTC.
        speeds_from: which speeds were used.
        note: why these are not the predictions, or which of them are none of a model; null when all are.
        avoided: closed roads that the routes keep off, in the order in which one would meet them.
        incidents: those that the recommended route meets, in its order, then those that it keeps off.
        origin_moved_m: how far the recommended route begins from the origin, in metres.
        destination_moved_m: how far it ends from the destination, in metres.
        moved_note: why it begins or ends on another road than the nearest; null when it does not.
        weather: stations whose weather slows roads of the city that were not measured, the worst first; ten at most.
        jams: roads that the recommended route keeps off because half a minute or more would be lost there.
    """

    recommended_route: RecommendedRoute
    alternatives: list[RecommendedRoute]
    graph_version: str
    departure_time: str
    speeds_from: SpeedSource
    note: str | None
    avoided: list[AvoidedRoad]
    incidents: list[RouteIncident]
    origin_moved_m: float
    destination_moved_m: float
    moved_note: str | None
    weather: list[RouteWeather] = []
    jams: list[RouteJam] = []


encode_route_answer = msgspec.json.Encoder().encode
