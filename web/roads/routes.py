"""``POST /route/recommend``: the quickest route and others worth a choice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import groupby
from typing import Literal, cast

import msgspec
from aiohttp import hdrs, web

from models.roads.routes import (
    AvoidedRoad,
    RecommendedRoute,
    RouteAnswer,
    RouteCongestionSummary,
    RouteIncident,
    RouteJam,
    RouteQuestion,
    RouteWaypoint,
    RouteWeather,
    encode_route_answer,
)
from models.timestamps import epoch_us, from_epoch_us, rfc3339
from trafficapp.roads.graph.index import OffTheMap
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.routing.congestion import RouteCongestion
from trafficapp.roads.routing.routes import Avoided, Place, Recommendation, Route, Unreachable
from trafficapp.weather.road_weather import RoadWeather
from web.roads.route_cache import KeptAnswer, RouteCache, rounded
from web.roads.route_planning import Outlook, RoutePlanning
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError

NOW = "now"
#: Clocks of clients differ.
_PAST_SECONDS = 60
_LATEST = timedelta(days=7)

_LEVELS = {"low": "Light traffic", "medium": "Slow traffic", "high": "Heavy congestion"}
#: A road on which more time is lost does not flow freely: minutes, and as a share of the time under way.
_FREELY_MINUTES = 1.0
_FREELY_SHARE = 0.2

#: Stations that an answer names.
_MOST_STATIONS = 10


class Routes:
    """The view."""

    def __init__(self, planning: RoutePlanning, cache: RouteCache) -> None:
        self._planning, self._cache = planning, cache
        # one: searches hold the interpreter, and a queue of them must not hold up sockets and sinks
        self._searches = ThreadPoolExecutor(1, "routes")

    async def recommend(self, request: web.Request, body: RouteQuestion) -> web.Response:
        """The quickest route, and up to two others worth a choice.

        `departure_time` is `now` or ISO 8601, up to seven days ahead. Up to 30 minutes ahead each road is taken at the
        speed predicted for the time at which a vehicle gets there; later ones at the usual speed of that day and time
        of day, as all are while nothing was measured lately; where nothing is known roads flow freely. In bad weather
        roads that were not measured are slower, up to an hour ahead: as the nearest current station has it, `weather`
        and `note` say so. `speeds_from`
        and `note` say which it was, `known_share` for how much of the way a speed is known. Alternatives differ from
        the recommended route and from each other in 30 % of their length at least and are at most 1.5 times as long, in
        time and in kilometres. An answer may be repeated for five minutes while the graph has the same version; `Age`
        says how old it is. Where the roads next to a place are an island (no way leads from them, or to them), the
        nearest place is taken from which or to which one does; `origin_moved_m` and `destination_moved_m` say how far
        the route begins and ends from the places, `moved_note` why. 404: a place with no road near enough, or no way
        from one to the other. Incidents that are verified count within seconds: nobody drives where one closes the
        road, and past others it takes longer; `incidents` has those that the recommended route meets (`route`) or keeps
        off (`avoided`). `jams` has the roads that it keeps off since time is lost there, in an empty city it would not.
        """
        now = datetime.now(UTC)
        departure = departure_of(body.departure_time, now)
        question = RouteQuestion(origin=rounded(body.origin), destination=rounded(body.destination))
        if question.origin == question.destination:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "origin and destination are the same place")
        outlook = await self._planning.outlook(departure, now)
        told = NOW if body.departure_time == NOW else rfc3339(epoch_us(departure))
        # what the answer follows from, and what is told with it
        version = f"{self._planning.graph_name} {outlook.version} {outlook.note or ''}".strip()
        kept = await self._cache.get(question, version, told)
        if kept is not None:
            self._cache.note(question, kept.edges)
            age = str(max(0, int(time.time() - kept.made_at)))
            return json_answer(bytes(kept.answer), {hdrs.AGE: age})
        reach_m = request.app[CONTEXT].settings.roads.place_reach_m
        searching = asyncio.get_running_loop().run_in_executor(self._searches, self._find, question, outlook, reach_m)
        found = await searching
        answer = written(found, outlook, departure, self._planning.planner.graph)
        edge_ids = self._planning.planner.graph.edge_ids
        edges: list[str] = edge_ids[list(found.recommended.edges)].tolist()
        fresh = KeptAnswer(version, told, time.time(), edges, msgspec.Raw(answer))
        self._cache.note(question, edges, fresh)
        return json_answer(answer)

    def _find(self, question: RouteQuestion, outlook: Outlook, reach_m: float) -> Recommendation:
        """Search, in the thread of the searches."""
        try:
            return self._planning.planner.recommend(
                Place(question.origin.lat, question.origin.lng),
                Place(question.destination.lat, question.destination.lng),
                departure_seconds=outlook.departure_seconds,
                limit_m=reach_m,
                under=outlook.conditions,
                free_flow_kmh=outlook.free_flow_kmh,
                as_if_open=outlook.as_if_open,
            )
        except (OffTheMap, Unreachable) as error:
            raise ProblemError(HTTPStatus.NOT_FOUND, str(error)) from None


def departure_of(text: str, now: datetime) -> datetime:
    """When to start.

    Raises:
        ProblemError: 400, it is no time, past, or too far ahead.
    """
    if text == NOW:
        return now
    try:
        departure = from_epoch_us(epoch_us(text))
    except (ValueError, OverflowError):
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"departure_time {text!r} is neither {NOW!r} nor ISO 8601") from None
    if departure < now - timedelta(seconds=_PAST_SECONDS):
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"departure_time {text} is past")
    if departure > now + _LATEST:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"departure_time {text} is further ahead than {_LATEST.days} days")
    return max(departure, now)


def written(found: Recommendation, outlook: Outlook, departure: datetime, graph: RoadGraph) -> bytes:
    """An answer as JSON."""
    return encode_route_answer(
        RouteAnswer(
            recommended_route=_route(found.recommended),
            alternatives=[_route(route) for route in found.alternatives],
            graph_version=found.version,
            departure_time=rfc3339(epoch_us(departure)),
            speeds_from=outlook.source,
            note=outlook.note,
            avoided=[] if found.avoided is None else avoided_roads(found.avoided, outlook.closed_at, graph),
            incidents=incidents_met(found, outlook, graph),
            origin_moved_m=round(found.origin_moved_m, 1),
            destination_moved_m=round(found.destination_moved_m, 1),
            moved_note="; ".join(_moved(found)) or None,
            weather=[] if outlook.weather is None else list(_weather(outlook.weather)),
            jams=[
                RouteJam(
                    road_name=graph.road_name(jam.edges[0]),
                    edge_ids=graph.edge_ids[list(jam.edges)].tolist(),
                    delay_minutes=round(jam.lost_seconds / 60, 1),
                )
                for jam in found.jams
            ],
        )
    )


def avoided_roads(avoided: Avoided, closed_at: Mapping[int, datetime], graph: RoadGraph) -> list[AvoidedRoad]:
    """Closed roads that a route keeps off; edges of one road that follow one another are one."""
    pieces = [(name, list(edges)) for name, edges in groupby(avoided.edges, graph.road_name)]
    last = len(pieces) - 1
    return [
        AvoidedRoad(
            road_name=name,
            edge_ids=graph.edge_ids[edges].tolist(),
            closed_as_of=rfc3339(epoch_us(max(closed_at[edge] for edge in edges))),
            where="start" if avoided.at_start and not number else "end" if avoided.at_end and number == last else "way",
        )
        for number, (name, edges) in enumerate(pieces)
    ]


def _weather(weather: RoadWeather) -> Iterator[RouteWeather]:
    """Stations that slow roads."""
    for one in weather.slowing[:_MOST_STATIONS]:
        yield RouteWeather(
            station=one.station,
            phenomena=list(one.phenomena),
            speed_factor=one.factor,
            received_at=rfc3339(epoch_us(one.received_at)),
        )


def incidents_met(found: Recommendation, outlook: Outlook, graph: RoadGraph) -> list[RouteIncident]:
    """Incidents on the recommended route, and those that it keeps off; each once."""
    met: dict[str, RouteIncident] = {}
    ways: tuple[tuple[Literal["route", "avoided"], tuple[int, ...]], ...]
    ways = ("route", found.recommended.edges), ("avoided", found.as_if_open)
    for where, way in ways:
        for edge in way:
            for effect in outlook.effects.on_edge.get(edge, ()):
                incident = effect.incident
                met.setdefault(
                    incident.incident_id,
                    RouteIncident(
                        incident_id=incident.incident_id,
                        incident_type=incident.incident_type,
                        severity=incident.severity,
                        road_name=graph.road_name(edge),
                        closed=effect.speed_share is None,
                        speed_share=effect.speed_share,
                        where=where,
                    ),
                )
    return list(met.values())


def _moved(found: Recommendation) -> Iterator[str]:
    """What is told of ends that lie on roads which no way leads from, or to."""
    if "origin" in found.detached:
        yield (
            "no way leads on from the roads next to the origin; the route begins "
            f"{found.origin_moved_m:.0f} m away, on the nearest road from which one does"
        )
    if "destination" in found.detached:
        yield (
            "no way leads to the roads next to the destination; the route ends "
            f"{found.destination_moved_m:.0f} m away, on the nearest road to which one does"
        )


def _route(route: Route) -> RecommendedRoute:
    congestion = route.congestion
    delay_minutes = round(congestion.delay_seconds / 60, 1)
    return RecommendedRoute(
        # the line is JSON already
        waypoints=cast(list[RouteWaypoint], msgspec.Raw(route.line)),
        distance_km=round(route.distance_m / 1000, 3),
        eta_minutes=round(route.eta_seconds / 60, 2),
        congestion_summary=RouteCongestionSummary(
            level=congestion.level,
            text=in_words(congestion, route.eta_seconds),
            delay_minutes=delay_minutes,
            medium_km=round(congestion.medium_km, 3),
            high_km=round(congestion.high_km, 3),
            known_share=round(congestion.known_share, 4),
            worst_road=congestion.worst_road,
        ),
    )


def in_words(congestion: RouteCongestion, eta_seconds: float) -> str:
    """The congestion on a route in words; it flows freely only where next to no time is lost."""
    delay_minutes = round(congestion.delay_seconds / 60, 1)
    text = _LEVELS[congestion.level]
    if delay_minutes >= _FREELY_MINUTES:
        text += f", {delay_minutes:.0f} min longer than on the empty road"
        text += f", most of it on {congestion.worst_road}" if congestion.worst_road else ""
    elif congestion.level == "low" and congestion.delay_seconds <= _FREELY_SHARE * eta_seconds:
        text = "Flows freely"
    return f"{text}."


def operations(planning: RoutePlanning, cache: RouteCache) -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "POST /route/recommend",
            Routes(planning, cache).recommend,
            Tag.ROADS,
            RouteAnswer,
            errors=(400, 404, 503),
            headers=((hdrs.AGE, "Seconds since the answer was found, when it is repeated"),),
        )
    ]
