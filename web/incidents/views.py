"""Emergencies that are going on, units for an incident, what incidents do to roads, and how long they take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from models.incidents.current import ActiveEmergency, Incident
from models.incidents.effects import IncidentEffect, NearUnit
from models.incidents.measures import IncidentMeasures
from models.timestamps import epoch_us, rfc3339
from trafficapp.feeds.declaration import Feed
from trafficapp.incidents.feeds import INCIDENT_STEPS
from trafficapp.incidents.units import nearest_units
from trafficapp.roads.graph.index import OffTheMap
from trafficapp.roads.routing.routes import Place
from trafficapp.settings import Settings
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.incidents.queries import active_emergencies, measures
from trafficapp.stores.incidents.units import Units, locations_of
from trafficapp.stores.redis.documents import readable
from web.guards.costs import rows_within
from web.incidents.actions import IncidentId, incident_of, unknown_incident
from web.roads.route_planning import RoutePlanning
from web.serving import parameters
from web.serving.answers import FROM_POSTGRES, MAY_BE_FROM_POSTGRES, NEXT_PAGE, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError, unavailable
from web.serving.shapes import Moment
from web.serving.shared_pages import KeyedPage, SharedPages

_MOST = 10_000
_KEYS_AT_ONCE = 1000

_decode = msgspec.json.Decoder(Incident).decode


class EmergenciesQuery(Struct, frozen=True, kw_only=True):
    """Which ones, in order of their ids."""

    limit: Annotated[int, Meta(ge=1, le=_MOST)] = 1000
    cursor: str | None = None


class UnitsQuery(Struct, frozen=True, kw_only=True):
    """How many units."""

    limit: Annotated[int, Meta(ge=1, le=20)] = 3


#: More than a city has, to tell the price of a question.
_AN_INCIDENT_EVERY = timedelta(minutes=1)


class SpanQuery(Struct, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """The span [from, to)."""

    since: Moment
    until: Moment


class IncidentViews:
    """The views.

    Args:
        planning: of the worker.
        settings: of the process.
        feeds: those that are switched on.
    """

    def __init__(self, planning: RoutePlanning, settings: Settings, feeds: Sequence[Feed[Any]]) -> None:
        self._planning = planning
        located = locations_of(feeds)
        self._units = None if located is None else Units(located, settings.incidents)
        self._pages = SharedPages(self._page)
        # one, as for routes: sweeps hold the interpreter
        self._thread = ThreadPoolExecutor(1, "units")

    async def emergencies(self, request: web.Request, query: EmergenciesQuery) -> web.Response:
        """Emergencies that are going on.

        `timestamp` is when one happened, as its reports say; `status` is `active` until somebody is sent. In order of
        their ids, at most a second old.
        """
        return await self._pages.answer(request, parameters.stored_id_cursor(request), query.limit)

    async def units(self, request: web.Request, path: IncidentId, query: UnitsQuery) -> web.Response:
        """The units that get to an incident first.

        Units are vehicles whose `vehicle_type` is one of the setting `incidents.unit_types`, or that
        `incidents.units` names; those that were not heard for five minutes are left out. Times are those of the roads
        as they are now, with what other incidents do to them: this one's own closure is no obstacle to them. 404: there
        is no such incident, or no road near it.
        """
        context = request.app[CONTEXT]
        now = datetime.now(UTC)
        try:
            incident = await incident_of(context, path.id)
            if incident is None:
                raise unknown_incident(path.id)
            there = [] if self._units is None else await from_redis(self._units.heard(context.redis, epoch_us(now)))
        except RedisAway:
            raise unavailable("Redis, which holds incidents and units,") from None
        planner = self._planning.planner
        outlook = await self._planning.outlook(now, now, passing=incident.incident_id)
        place, reach_m = Place(incident.latitude, incident.longitude), context.settings.roads.place_reach_m
        asked = (planner, outlook.conditions, place, there, query.limit, reach_m)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, nearest_units, *asked)
        except OffTheMap as error:
            raise ProblemError(HTTPStatus.NOT_FOUND, str(error)) from None
        return json_answer(
            msgspec.json.encode(
                [
                    NearUnit(
                        unit_id=one.unit.unit_id,
                        unit_type=one.unit.unit_type,
                        latitude=one.unit.lat,
                        longitude=one.unit.lon,
                        heard_at=rfc3339(one.unit.heard_us),
                        eta_seconds=round(one.eta_seconds, 1),
                        distance_m=round(one.distance_m, 1),
                    )
                    for one in found
                ]
            )
        )

    async def effects(self, request: web.Request) -> web.Response:
        """What incidents do to roads now.

        Those that are verified, going on, and on a road. As this worker has it, which hears of changes at once.
        """
        index = self._planning.planner.index
        each = self._planning.effects().each
        return json_answer(msgspec.json.encode([each[name].document(index) for name in sorted(each)]))

    async def measures(self, request: web.Request, query: SpanQuery) -> web.Response:
        """The incident clock of a span, by kind.

        Of incidents that were first reported within it; medians. `clearance_seconds` is FHWA's incident clearance time.
        """
        if query.until.time <= query.since.time:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "to must be after from")
        found = await request.app[CONTEXT].costly.ask(lambda pool: measures(pool, query.since.time, query.until.time))
        return json_answer(msgspec.json.encode(found))

    async def _page(self, context: WebContext, after: str | None, limit: int) -> KeyedPage:
        try:
            found = await from_redis(_active(context, after, limit + 1))
            headers = {}
        except RedisAway:
            found = await context.database.ask(lambda pool: active_emergencies(pool, after, limit + 1))
            headers = FROM_POSTGRES
        last = found[limit - 1].incident_id if len(found) > limit else None
        return KeyedPage(msgspec.json.encode(found[:limit]), last, headers)

    def operations(self) -> list[Operation]:
        """What this module answers."""
        return [
            Operation(
                "GET /api/emergencies/active",
                self.emergencies,
                Tag.INCIDENTS,
                list[ActiveEmergency],
                errors=(503,),
                headers=(NEXT_PAGE, MAY_BE_FROM_POSTGRES),
            ),
            Operation("GET /api/incidents/effects", self.effects, Tag.INCIDENTS, list[IncidentEffect], errors=(503,)),
            Operation(
                "GET /api/incidents/measures",
                self.measures,
                Tag.INCIDENTS,
                list[IncidentMeasures],
                errors=(503,),
                price=lambda _, query: rows_within(query.since.time, query.until.time, _AN_INCIDENT_EVERY),
            ),
            Operation("GET /api/incidents/{id}/units", self.units, Tag.INCIDENTS, list[NearUnit], errors=(404, 503)),
        ]


async def _active(context: WebContext, after: str | None, limit: int) -> list[ActiveEmergency]:
    """So many emergencies that are going on, behind one of them."""
    current = CurrentDocuments(context.redis, INCIDENT_STEPS)
    keys = [key for key in await current.keys() if after is None or key > after]
    found: list[ActiveEmergency] = []
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        documents = await current.documents(keys[first : first + _KEYS_AT_ONCE])
        for incident in readable(documents, _decode, INCIDENT_STEPS.name):
            if incident.is_emergency and incident.status != "resolved":
                found.append(ActiveEmergency.of(incident))
        if len(found) >= limit:
            break
    return found[:limit]
