"""``GET /analytics/trends``: how roads were over a range of time."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from aiohttp import web

from models.roads.trends import RoadTrends, encode_road_trends
from trafficapp.analytics.local_hours import slot_minutes, time_zone
from trafficapp.analytics.road_trends import (
    by_local_hour,
    congested_road,
    hourly_speeds,
    rush_hour_patterns,
)
from trafficapp.stores.roads.trend_queries import road_trends
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Name
from web.serving.spans import SpanQuery

DEFAULT_SPAN = timedelta(hours=24)
MAX_SPAN = timedelta(days=400)
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
        minutes = slot_minutes(zone, span.since, span.until)
        found = await context.database.ask(
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


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation("GET /analytics/trends", trends, Tag.ANALYTICS, RoadTrends, errors=(503,)),
    ]
