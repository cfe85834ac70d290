"""``GET /analytics/trends``: how roads were over a range of time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from aiohttp import web

from models.roads.trends import RoadTrends, encode_road_trends
from trafficapp.analytics.local_hours import is_between_hours, slot_minutes, time_zone
from trafficapp.analytics.road_trends import (
    by_local_hour,
    congested_road,
    hourly_speeds,
    rush_hour_patterns,
)
from trafficapp.stores.roads.trend_queries import road_trends
from web.guards.costs import rows_within
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Name
from web.serving.spans import Span, SpanQuery

DEFAULT_SPAN = timedelta(hours=24)
MAX_SPAN = timedelta(days=400)
#: Older than any sums of roads.
_KEPT_DAYS = 3660
#: What a city's feed may have, to tell the price of a question.
_MANY_ROADS = 1000
#: Cities between whole hours of UTC are summed up observation by observation, which takes its time.
_ANSWER_WITHIN_SECONDS = 60.0


class TrendsQuery(SpanQuery, frozen=True, kw_only=True):
    """``[from, to)``: without ``to`` now, without ``from`` 24 hours before ``to``."""

    road_id: Name | None = None


async def trends(request: web.Request, query: TrendsQuery) -> web.Response:
    """Speeds by the hour, rush hours and the most congested roads of a range of time.

    Exact for any `[from, to)` of at most 400 days, as far as observations are kept: without `to` until now, without
    `from` 24 hours before `to`. With `road_id` of that road alone. Hours are those of the city's time zone, and every
    observation weighs the same. `hourly_avg_speed` has 24 entries; `speed` is null where nothing was measured.
    `rush_hour_patterns` sets each rush hour of the settings beside the time outside of all of them.
    `top_congested_roads` are the ten roads with the largest mean jam factor.
    """
    context = request.app[CONTEXT]
    roads = context.settings.roads
    span = query.span(DEFAULT_SPAN)
    if span.until - span.since > MAX_SPAN:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"from from to to may be {MAX_SPAN.days} days at most")
    zone = time_zone(roads.zone)
    try:
        minutes = await asyncio.to_thread(_slot_minutes, context, span)
        found = await context.costly.ask(
            lambda pool: road_trends(pool, span.since, span.until, minutes, query.road_id), _ANSWER_WITHIN_SECONDS
        )
        hours = by_local_hour(found.slots, zone)
    except OverflowError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the range lies beyond what a calendar holds") from None
    body = RoadTrends(
        hourly_avg_speed=hourly_speeds(hours),
        rush_hour_patterns=rush_hour_patterns(hours, roads.rush_hours),
        top_congested_roads=[congested_road(*road) for road in found.roads],
    )
    return json_answer(encode_road_trends(body))


def _slot_minutes(context: WebContext, span: Span) -> int:
    """How fine sums must be, where anything can be stored: clocks of long ago were odd."""
    oldest = datetime.now(UTC) - timedelta(days=_KEPT_DAYS)
    zone = time_zone(context.settings.roads.zone)
    return slot_minutes(zone, max(span.since, oldest), span.until) if span.until > oldest else 60


def _price(context: WebContext, query: TrendsQuery) -> float:
    """Rows: a day of each road, or every observation where the city's clock is between the hours."""
    span, roads = query.span(DEFAULT_SPAN), _MANY_ROADS if query.road_id is None else 1
    if not is_between_hours(time_zone(context.settings.roads.zone), span.since, span.until):
        return rows_within(span.since, span.until, timedelta(days=1), roads)
    kept = timedelta(days=context.settings.retention.roads_days)
    return rows_within(max(span.since, span.until - kept), span.until, timedelta(minutes=1), roads)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation("GET /analytics/trends", trends, Tag.ANALYTICS, RoadTrends, errors=(503,), price=_price, apart=True),
    ]
