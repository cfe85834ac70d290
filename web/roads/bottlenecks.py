"""``/api/analytics/bottlenecks``: where queues begin, and what they cost."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from models.roads.measures import RangeBottlenecks
from trafficapp.measures.bottlenecks import MAX_SPAN, STEP_SECONDS, of_range
from web.guards.costs import rows_within
from web.roads.reliability import paces_of, roads_of, span_of
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.spans import SpanQuery

DEFAULT_SPAN = timedelta(hours=24)
#: What a city's feed may have, to tell the price of a question.
_MANY_ROADS = 1000

_encode = msgspec.json.Encoder().encode


class BottlenecksQuery(SpanQuery, frozen=True, kw_only=True):
    """``[from, to)``: without ``to`` until now, without ``from`` 24 hours before ``to``; 31 days at most."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20


async def ranked(request: web.Request, query: BottlenecksQuery) -> web.Response:
    """Bottlenecks of a range of time, those first that cost most.

    A road at which a queue begins: it is slow, below the share of free flow from which roads count as jammed, in 5 of 7
    steps of five minutes, and no road that it leads to is. With duration, extent and an estimate of the delay.
    docs/measures.md has the rule and its source.
    """
    context = request.app[CONTEXT]
    jams = context.settings.jams
    span = span_of(query, DEFAULT_SPAN)
    if span.until - span.since > MAX_SPAN:
        raise ProblemError(400, f"from from to to may be {MAX_SPAN.days} days at most")
    paces = await paces_of(context, await roads_of(context, None), span, STEP_SECONDS)
    found = await asyncio.to_thread(
        of_range, paces, span.since, span.until, jams.jam_share, jams.jam_vehicles_per_km, query.limit
    )
    return json_answer(_encode(found))


def _price(context: WebContext, query: BottlenecksQuery) -> float:
    span = query.span(DEFAULT_SPAN)
    return rows_within(span.since, span.until, timedelta(minutes=1), _MANY_ROADS)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/analytics/bottlenecks",
            ranked,
            Tag.ANALYTICS,
            RangeBottlenecks,
            errors=(503,),
            price=_price,
            apart=True,
        )
    ]
