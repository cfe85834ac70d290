"""``/api/…/reliability``, ``/api/corridors/…``: how long roads, corridors and zones take, and how reliably."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec
import numpy as np
from aiohttp import web
from msgspec import Meta, Struct

from models.roads.measures import Corridor, RangeReliability, SpeedSurface
from models.timestamps import epoch_us, rfc3339
from trafficapp.administration.zones import places_inside
from trafficapp.analytics.local_hours import UnknownZone, time_zone
from trafficapp.measures import reliability as measures
from trafficapp.measures.filled import filled_speeds
from trafficapp.measures.paces import MeasuredRoad, StepPaces
from trafficapp.measures.surface import step_seconds_of, surface
from trafficapp.stores.roads import corridor_queries
from trafficapp.stores.roads.pace_queries import measured_roads, network_of, step_paces
from trafficapp.stores.roads.report_pages import ReportPages, UnknownCorridor, report_pages
from trafficapp.stores.roads.road_volumes import road_volumes
from web.guards.costs import rows_within
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Name
from web.serving.spans import Span, SpanQuery

DEFAULT_SPAN = timedelta(days=7)
DEFAULT_SURFACE_SPAN = timedelta(hours=24)
MAX_SPAN = timedelta(days=400)
ANSWER_WITHIN_SECONDS = 60.0

#: Share of a zone's roads that must be measured in a step, by their time at free flow.
ZONE_COVERAGE = 0.5

#: To tell a price: observations of a road come about so often; roads of a corridor, and of a zone.
_OBSERVED_EVERY = timedelta(minutes=1)
_CORRIDOR_ROADS, _ZONE_ROADS = 10, 100

_encode = msgspec.json.Encoder().encode


class CorridorId(Struct, frozen=True):
    """Which corridor."""

    id: Annotated[int, Meta(ge=1, le=parameters.LARGEST_ID)]


class NamePath(Struct, frozen=True):
    """Which road, by its id; or which zone, by its id or name."""

    id: Name


class CorridorsQuery(Struct, frozen=True):
    """Which corridors, in order of their ids."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    cursor: str | None = None


class SurfaceQuery(SpanQuery, frozen=True, kw_only=True):
    """``[from, to)``: without ``to`` until now, without ``from`` 24 hours before ``to``."""

    fill: bool = False


class ReliabilityQuery(SpanQuery, frozen=True, kw_only=True):
    """``[from, to)``: without ``to`` until now, without ``from`` 7 days before; ``tz`` is the city's unless given."""

    tz: Name | None = None


async def corridors(request: web.Request, query: CorridorsQuery) -> web.Response:
    """Corridors: named chains of roads."""
    cursor = parameters.cursor(request, parameters.IdCursor)
    after = 0 if cursor is None else cursor.id
    found = await request.app[CONTEXT].database.ask(
        lambda pool: corridor_queries.corridors_page(pool, query.limit + 1, after)
    )
    shown, headers = parameters.page(request, found, query.limit, lambda one: parameters.IdCursor(one.id))
    return json_answer(_encode(shown), headers)


async def of_road(request: web.Request, path: NamePath, query: ReliabilityQuery) -> web.Response:
    """How reliably a road is driven.

    Of measured speeds alone, in quarters of an hour; what was not measured is never filled in. docs/measures.md has
    the formulas and their sources.
    """
    context = request.app[CONTEXT]
    roads = await roads_of(context, [path.id])
    if not roads:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no road {path.id!r}: nothing was ever observed of it")
    return await _answer(context, query, "road", path.id, roads[0].road_name, roads, 1.0)


async def of_corridor(request: web.Request, path: CorridorId, query: ReliabilityQuery) -> web.Response:
    """How reliably a corridor is driven.

    A travel time is the sum of those of its roads in the same quarter of an hour, of quarters in which every one of
    them was measured. docs/measures.md has the formulas and their sources.
    """
    context = request.app[CONTEXT]
    corridor, roads = await corridor_of(context, path.id)
    return await _answer(context, query, "corridor", str(path.id), corridor.name, roads, 1.0)


async def of_zone(request: web.Request, path: NamePath, query: ReliabilityQuery) -> web.Response:
    """How reliably the roads of a zone are driven.

    Those whose middle lies in it, each driven once, in quarters of an hour in which at least half of them was measured;
    the measured ones stand for the others. docs/measures.md has the formulas and their sources.
    """
    context = request.app[CONTEXT]
    ring = await context.registry.ring_of(path.id)
    roads = await roads_of(context, None)
    if roads:
        middles = np.array([road.coordinates[len(road.coordinates) // 2] for road in roads])
        inside = await asyncio.to_thread(places_inside, ring, middles)
        roads = [road for road, is_inside in zip(roads, inside.tolist(), strict=True) if is_inside]
    return await _answer(context, query, "zone", path.id, path.id, roads, ZONE_COVERAGE)


async def surface_of(request: web.Request, path: CorridorId, query: SurfaceQuery) -> web.Response:
    """Speeds of a corridor over time and distance.

    Steps are of 5 minutes, or longer where the range is longer than 25 hours. Null where nothing was measured. With
    `fill=true` the list `filled` has what may be assumed there, each value with the method that made it; it is never
    stored, and in no measure.
    """
    context = request.app[CONTEXT]
    corridor, roads = await corridor_of(context, path.id)
    span = span_of(query, DEFAULT_SURFACE_SPAN)
    step_seconds = step_seconds_of((span.until - span.since).total_seconds())
    paces = await paces_of(context, roads, span, step_seconds)
    found = await asyncio.to_thread(surface, paces, corridor.id, corridor.name)
    if query.fill:
        found = msgspec.structs.replace(found, filled=await asyncio.to_thread(filled_speeds, paces))
    return json_answer(_encode(found))


async def pages_of(
    context: WebContext, since: datetime, until: datetime, tz: str, corridor_id: int | None
) -> ReportPages:
    """What a report says of roads.

    Raises:
        ProblemError: 404, there is no such corridor; 400, the range lies beyond what a calendar holds.
    """
    settings = context.settings
    try:
        return await context.costly.ask(
            lambda pool: report_pages(pool, settings.roads, settings.jams, since, until, tz, corridor_id),
            ANSWER_WITHIN_SECONDS,
        )
    except UnknownCorridor as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, str(error)) from None
    except OverflowError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the range lies beyond what a calendar holds") from None


async def _answer(
    context: WebContext, query: ReliabilityQuery, kind: str, name_id: str, name: str,
    roads: Sequence[MeasuredRoad], least_coverage: float,
) -> web.Response:  # fmt: skip
    tz = query.tz or context.settings.roads.zone
    try:
        clock = time_zone(tz)
    except UnknownZone as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from None
    span = span_of(query, DEFAULT_SPAN)
    paces = await paces_of(context, roads, span, measures.STEP_SECONDS)
    volume = await volume_of(context, roads, span)
    found = await asyncio.to_thread(
        measures.reliability, paces, clock, least_coverage=least_coverage, vehicles_per_hour=volume
    )
    body = RangeReliability(
        kind=kind, id=name_id, name=name, range_start=rfc3339(epoch_us(span.since)),
        range_end=rfc3339(epoch_us(span.until)), tz=tz, reliability=found,
    )  # fmt: skip
    return json_answer(_encode(body))


async def roads_of(context: WebContext, road_ids: Sequence[str] | None) -> list[MeasuredRoad]:
    """Roads of the speed feed, in this order; those that are not known are left out. None for all."""
    network = await network_of(context.settings.roads)
    known = await context.database.ask(lambda pool: measured_roads(pool, network, road_ids))
    return list(known.values()) if road_ids is None else [known[name] for name in road_ids if name in known]


async def corridor_of(context: WebContext, corridor_id: int) -> tuple[Corridor, list[MeasuredRoad]]:
    """A corridor and its roads.

    Raises:
        ProblemError: 404, there is no such corridor.
    """
    corridor = await context.database.ask(lambda pool: corridor_queries.corridor(pool, corridor_id))
    if corridor is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no corridor {corridor_id}")
    return corridor, await roads_of(context, corridor.road_ids)


async def paces_of(context: WebContext, roads: Sequence[MeasuredRoad], span: Span, step_seconds: int) -> StepPaces:
    """What was measured of roads.

    Raises:
        ProblemError: 400, the span lies beyond what a calendar holds; 503, Postgres does not answer.
    """
    try:
        return await context.costly.ask(
            lambda pool: step_paces(pool, roads, span.since, span.until, step_seconds), ANSWER_WITHIN_SECONDS
        )
    except OverflowError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the range lies beyond what a calendar holds") from None


async def volume_of(context: WebContext, roads: Sequence[MeasuredRoad], span: Span) -> float | None:
    """Vehicles per hour on roads, where cameras are registered on them: the mean of the roads that have some."""
    await context.registry.need()
    names = {name: road.road_id for road in roads for name in (road.road_id, road.road_name)}
    segments = {
        camera_id: names[segment]
        for camera_id in context.registry.cameras
        if (segment := context.registry.segment(camera_id)) in names
    }
    found = await context.costly.ask(
        lambda pool: road_volumes(pool, segments, span.since, span.until), ANSWER_WITHIN_SECONDS
    )
    return sum(found.values()) / len(found) if found else None


def span_of(query: SpanQuery, default: timedelta) -> Span:
    """The span of a query.

    Raises:
        ProblemError: 400, it is empty, or longer than `MAX_SPAN`.
    """
    span = query.span(default)
    if span.until - span.since > MAX_SPAN:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"from from to to may be {MAX_SPAN.days} days at most")
    return span


def _price_of_road(context: WebContext, query: ReliabilityQuery) -> float:
    span = query.span(DEFAULT_SPAN)
    return rows_within(span.since, span.until, _OBSERVED_EVERY, 1)


def _price_of_corridor(context: WebContext, query: ReliabilityQuery) -> float:
    return _price_of_road(context, query) * _CORRIDOR_ROADS


def _price_of_zone(context: WebContext, query: ReliabilityQuery) -> float:
    return _price_of_road(context, query) * _ZONE_ROADS


def _price_of_surface(context: WebContext, query: SurfaceQuery) -> float:
    span = query.span(DEFAULT_SURFACE_SPAN)
    return rows_within(span.since, span.until, _OBSERVED_EVERY, _CORRIDOR_ROADS)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/corridors", corridors, Tag.ANALYTICS, list[Corridor], errors=(503,), headers=(NEXT_PAGE,)
        ),
        Operation(
            "GET /api/roads/{id}/reliability", of_road, Tag.ANALYTICS, RangeReliability, errors=(404, 503),
            price=_price_of_road, apart=True,
        ),
        Operation(
            "GET /api/corridors/{id}/reliability", of_corridor, Tag.ANALYTICS, RangeReliability, errors=(404, 503),
            price=_price_of_corridor, apart=True,
        ),
        Operation(
            "GET /api/zones/{id}/reliability", of_zone, Tag.ANALYTICS, RangeReliability, errors=(404, 503),
            price=_price_of_zone, apart=True,
        ),
        Operation(
            "GET /api/corridors/{id}/surface", surface_of, Tag.ANALYTICS, SpeedSurface, errors=(404, 503),
            price=_price_of_surface, apart=True,
        ),
    ]  # fmt: skip
