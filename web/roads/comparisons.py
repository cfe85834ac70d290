"""Before and after on a corridor or road, and the delay of works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import msgspec
from aiohttp import web

from models.roads.measures import TravelTimeComparison, WorkZoneDelay
from trafficapp.analytics.local_hours import time_zone
from trafficapp.measures.comparison import compare, daily_means
from trafficapp.measures.paces import MeasuredRoad
from trafficapp.measures.reliability import STEP_SECONDS, travel_seconds
from trafficapp.measures.work_zones import USUAL_DAYS, usual_seconds, work_zone_delay
from web.guards.costs import rows_within
from web.roads.reliability import (
    DEFAULT_SPAN,
    CorridorId,
    NamePath,
    corridor_of,
    paces_of,
    roads_of,
    span_of,
    volume_of,
)
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Moment
from web.serving.spans import Span, SpanQuery, span_between

#: Roads of a corridor, to tell a price.
_ROADS = 10
_A_DAY = timedelta(days=1)

_encode = msgspec.json.Encoder().encode


class WorksQuery(SpanQuery, frozen=True, kw_only=True):
    """``[from, to)``, when there were works: without ``to`` until now, without ``from`` 7 days before ``to``."""


class ComparisonQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Two spans of whole days or more."""

    before_from: Moment
    before_to: Moment
    after_from: Moment
    after_to: Moment

    def spans(self) -> tuple[Span, Span]:
        """Both.

        Raises:
            ProblemError: 400, one of them is empty.
        """
        return span_between(self.before_from, self.before_to, _A_DAY), span_between(
            self.after_from, self.after_to, _A_DAY
        )


async def corridor_comparison(request: web.Request, path: CorridorId, query: ComparisonQuery) -> web.Response:
    """Travel times of a corridor after a change beside those before, with a confidence interval.

    By daily means, with Welch's interval: see docs/measures.md.
    """
    _, roads = await corridor_of(request.app[CONTEXT], path.id)
    return await _comparison(request.app[CONTEXT], roads, query)


async def road_comparison(request: web.Request, path: NamePath, query: ComparisonQuery) -> web.Response:
    """Travel times of a road after a change beside those before, with a confidence interval.

    By daily means, with Welch's interval: see docs/measures.md.
    """
    return await _comparison(request.app[CONTEXT], await _road(request.app[CONTEXT], path.id), query)


async def corridor_works(request: web.Request, path: CorridorId, query: WorksQuery) -> web.Response:
    """The delay of works on a corridor.

    Its travel times beside the usual ones of such times in the four weeks before.
    """
    _, roads = await corridor_of(request.app[CONTEXT], path.id)
    return await _works(request.app[CONTEXT], roads, query)


async def road_works(request: web.Request, path: NamePath, query: WorksQuery) -> web.Response:
    """The delay of works on a road.

    Its travel times beside the usual ones of such times in the four weeks before.
    """
    return await _works(request.app[CONTEXT], await _road(request.app[CONTEXT], path.id), query)


async def _road(context: WebContext, road_id: str) -> list[MeasuredRoad]:
    found = await roads_of(context, [road_id])
    if not found:
        raise ProblemError(404, f"there is no road {road_id!r}: nothing was ever observed of it")
    return found


async def _comparison(context: WebContext, roads: Sequence[MeasuredRoad], query: ComparisonQuery) -> web.Response:
    clock = time_zone(context.settings.roads.zone)
    days = []
    for span in query.spans():
        paces = await paces_of(context, roads, span, STEP_SECONDS)
        days.append(await asyncio.to_thread(daily_means, travel_seconds(paces), paces.starts, clock))
    return json_answer(_encode(await asyncio.to_thread(compare, *days)))


async def _works(context: WebContext, roads: Sequence[MeasuredRoad], query: WorksQuery) -> web.Response:
    clock = time_zone(context.settings.roads.zone)
    span = span_of(query, DEFAULT_SPAN)
    try:
        before = Span(span.since - timedelta(days=USUAL_DAYS), span.since)
    except OverflowError:
        raise ProblemError(400, "from lies before the first time that can be asked for") from None
    earlier = await paces_of(context, roads, before, STEP_SECONDS)
    paces = await paces_of(context, roads, span, STEP_SECONDS)
    usual = await asyncio.to_thread(usual_seconds, travel_seconds(earlier), earlier.starts, paces.starts, clock)
    volume = await volume_of(context, roads, span)
    return json_answer(_encode(work_zone_delay(travel_seconds(paces), usual, volume, STEP_SECONDS)))


def _price_of_works(context: WebContext, query: WorksQuery) -> float:
    span = query.span(DEFAULT_SPAN)
    return rows_within(span.since - timedelta(days=USUAL_DAYS), span.until, timedelta(minutes=1), _ROADS)


def _price_of_both(context: WebContext, query: ComparisonQuery) -> float:
    return sum(rows_within(span.since, span.until, timedelta(minutes=1), _ROADS) for span in query.spans())


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        *(
            Operation(
                call, view, Tag.ANALYTICS, TravelTimeComparison, errors=(404, 503), price=_price_of_both, apart=True
            )
            for call, view in (
                ("GET /api/corridors/{id}/comparison", corridor_comparison),
                ("GET /api/roads/{id}/comparison", road_comparison),
            )
        ),
        *(
            Operation(call, view, Tag.ANALYTICS, WorkZoneDelay, errors=(404, 503), price=_price_of_works, apart=True)
            for call, view in (
                ("GET /api/corridors/{id}/works", corridor_works),
                ("GET /api/roads/{id}/works", road_works),
            )
        ),
    ]
