"""What vehicles did, from Postgres: trips, events at zones, events of driving, and figures of the fleet.

All of it says where people live and when they are out: where this worker knows tokens, an operator's is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.fleet.drives import (
    DrivingEvent,
    DrivingEventType,
    FleetSummary,
    GeofenceEvent,
    GeofenceStep,
    VehicleTrip,
)
from models.timestamps import epoch_us
from trafficapp.stores.fleet import driven
from trafficapp.stores.fleet.driven import Wanted
from web.auth.access import Access, authorise_private
from web.guards.costs import rows_within
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.shapes import Moment, Name
from web.serving.spans import SpanQuery

DEFAULT_ROWS, MAX_ROWS = 100, 1000
DEFAULT_SPAN = timedelta(days=1)
#: Vehicles that end a trip in a minute, to tell the price of a question.
_MANY_VEHICLES = 20

_encode = msgspec.json.Encoder().encode
_Row = TypeVar("_Row", bound=Struct)


class SummaryQuery(SpanQuery, frozen=True, kw_only=True):
    """Which trips and events: times in ``[from, to)``, by the vehicles' clocks.

    Attributes:
        vehicle_id: of one vehicle.
        zone: id or name of a zone.
    """

    vehicle_id: Name | None = None
    zone: Name | None = None


class TripsQuery(SummaryQuery, frozen=True, kw_only=True):
    """Likewise, page by page."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ROWS)] = DEFAULT_ROWS
    cursor: str | None = None


class GeofenceQuery(TripsQuery, frozen=True, kw_only=True):
    """Likewise; ``event`` is one of the steps."""

    event: GeofenceStep | None = None


class DrivingQuery(TripsQuery, frozen=True, kw_only=True):
    """Likewise; ``event`` is one of the kinds."""

    event: DrivingEventType | None = None


class _TripCursor(Struct, array_like=True):
    time_us: int
    vehicle_id: str


class _DrivingCursor(Struct, array_like=True):
    time_us: int
    vehicle_id: str
    event: DrivingEventType


class _GeofenceCursor(Struct, array_like=True):
    time_us: int
    vehicle_id: str
    zone_id: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    event: GeofenceStep


async def trips(request: web.Request, query: TripsQuery) -> web.Response:
    """Trips of vehicles that are over, the newest first.

    Those that ended in `[from, to)`, by the vehicles' own clocks, which may run ahead; with `zone` those that began or
    ended in it. A trip ends when the vehicle stands for long, is not heard for long, or jumps; `ended_by` says why.
    """
    database, wanted = request.app[CONTEXT].database, await _wanted(request, query)
    place = parameters.cursor(request, _TripCursor)
    after = None if place is None else (parameters.cursor_time(place.time_us), _kept(place.vehicle_id))
    found = await database.ask(lambda pool: driven.trips(pool, wanted, query.limit + 1, after))
    return _page(request, found, query.limit, lambda one: _TripCursor(epoch_us(one.ended_at), one.vehicle_id))


async def geofence_events(request: web.Request, query: GeofenceQuery) -> web.Response:
    """Vehicles at zones, the newest first: `enter`, `dwell` when one has been there for long, and `leave`.

    `zone` takes the id of a zone or the name that it had then, also of one that was deleted.
    """
    wanted = Wanted(query.vehicle_id, *_span(query))
    place = parameters.cursor(request, _GeofenceCursor)
    after = None
    if place is not None:
        after = parameters.cursor_time(place.time_us), _kept(place.vehicle_id), place.zone_id, place.event
    found = await request.app[CONTEXT].database.ask(
        lambda pool: driven.geofence_events(pool, wanted, query.zone, query.event, query.limit + 1, after)
    )
    return _page(
        request,
        found,
        query.limit,
        lambda one: _GeofenceCursor(epoch_us(one.timestamp), one.vehicle_id, one.zone_id, one.event),
    )


async def driving_events(request: web.Request, query: DrivingQuery) -> web.Response:
    """Harsh braking, and speeding against the limit of the road, the newest first.

    With `zone` what happened in it: of speeding the place where it was worst.
    """
    database, wanted = request.app[CONTEXT].database, await _wanted(request, query)
    place = parameters.cursor(request, _DrivingCursor)
    after = None if place is None else (parameters.cursor_time(place.time_us), _kept(place.vehicle_id), place.event)
    found = await database.ask(lambda pool: driven.driving_events(pool, wanted, query.event, query.limit + 1, after))
    return _page(
        request, found, query.limit, lambda one: _DrivingCursor(epoch_us(one.ended_at), one.vehicle_id, one.event)
    )


async def summary(request: web.Request, query: SummaryQuery) -> web.Response:
    """Figures of the fleet, or of one vehicle.

    Of what ended in `[from, to)`, by the vehicles' own clocks: without `from` a day back from `to` or now; without `to`
    up to the newest, also where a clock runs ahead. With `zone`: trips that began or ended in it, events in it.
    """
    wanted = await _wanted(request, query)
    if wanted.since is None:
        until = datetime.now(UTC) if wanted.until is None else wanted.until
        wanted = Wanted(wanted.vehicle_id, until - DEFAULT_SPAN, wanted.until, wanted.ring)
    found = await request.app[CONTEXT].costly.ask(lambda pool: driven.summary(pool, wanted))
    return json_answer(_encode(found))


async def _wanted(request: web.Request, query: SummaryQuery) -> Wanted:
    ring = None if query.zone is None else await request.app[CONTEXT].registry.ring_of(query.zone)
    return Wanted(query.vehicle_id, *_span(query), ring)


def _span(query: SummaryQuery) -> tuple[datetime | None, datetime | None]:
    """Both ends, each as it was asked for.

    Raises:
        ProblemError: 400, the span is empty.
    """
    if query.from_ is not None and query.to is not None:
        query.span(DEFAULT_SPAN)
    return _time(query.from_), _time(query.to)


def _time(moment: Moment | None) -> datetime | None:
    return None if moment is None else moment.time


def _kept(vehicle_id: str) -> str:
    """An id in a cursor, as Postgres can keep it."""
    return vehicle_id.replace("\0", "")


def _page(request: web.Request, found: Sequence[_Row], limit: int, place: Callable[[_Row], object]) -> web.Response:
    shown, headers = parameters.page(request, found, limit, place)
    response = json_answer(_encode(shown))
    if hdrs.LINK in headers:
        response.headers[hdrs.LINK] = headers[hdrs.LINK]
    return response


def _price(context: WebContext, query: SummaryQuery) -> float:
    """Trips and events of a span: one a minute of many vehicles, within what is kept."""
    since, until = _span(query)
    until = until or datetime.now(UTC)
    kept = timedelta(days=context.settings.fleet.drives_days)
    since = max(until - DEFAULT_SPAN if since is None else since, datetime.now(UTC) - kept)
    return rows_within(since, until, timedelta(minutes=1), 1 if query.vehicle_id is not None else _MANY_VEHICLES)


def operations() -> list[Operation]:
    """What this module answers."""
    private = partial(Operation, tag=Tag.HISTORY, access=Access.OPERATE, authorise=authorise_private, errors=(404, 503))
    listed = partial(private, headers=(NEXT_PAGE,))
    return [
        private("GET /api/fleet/summary", summary, answer=FleetSummary, price=_price, apart=True),
        listed("GET /api/fleet/trips", trips, answer=list[VehicleTrip]),
        listed("GET /api/fleet/geofences/events", geofence_events, answer=list[GeofenceEvent]),
        listed("GET /api/fleet/events", driving_events, answer=list[DrivingEvent]),
    ]
