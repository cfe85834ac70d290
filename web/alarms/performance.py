"""``/api/alarms/performance``: how bearable the alarms of a span were."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from http import HTTPStatus

import msgspec
from aiohttp import web
from msgspec import Struct

from models.alarms import AlarmPerformance
from trafficapp.stores.alarms.performance import performance_of
from web.guards.costs import rows_within
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Moment
from web.serving.spans import Span, span_between

DEFAULT_SPAN = timedelta(hours=24)
LEAST_SPAN, LONGEST_SPAN = timedelta(minutes=10), timedelta(days=92)

#: What a city in flood tells.
_ALARMS_OF_A_MINUTE = 3


class PerformanceQuery(Struct, frozen=True, kw_only=True):
    """Which span: ``since <= raised < until``; without ``until`` now, without ``since`` 24 hours before it."""

    since: Moment | None = None
    until: Moment | None = None


async def alarm_performance(request: web.Request, query: PerformanceQuery) -> web.Response:
    """How bearable the alarms of a span were.

    Alarms are alerts of cameras and people, notifications about roads and congestion, and alerts of the city's other
    feeds. By the definitions of ANSI/ISA-18.2 and EEMUA 191: load in windows of ten minutes (about 1 per operator is
    acceptable, 2 is the most that can be managed, 10 the most at the peak), floods (from more than 10 until fewer than
    5; less than 1 % of the time), chattering and stale alarms, the ten most frequent (5 % of the load at most),
    priorities (about 80 / 15 / 5 %), and how long people take to acknowledge. What was shelved, suppressed or folded
    when it was raised is counted by itself and is no load. A span has ten minutes at least, 92 days at most.
    """
    context = request.app[CONTEXT]
    span = _span(query)
    alarms = context.settings.alarms
    found = await context.costly.ask(lambda pool: performance_of(pool, span.since, span.until, alarms))
    return json_answer(await asyncio.to_thread(msgspec.json.encode, found))


def _span(query: PerformanceQuery) -> Span:
    try:
        span = span_between(query.since, query.until, DEFAULT_SPAN)
    except ProblemError as error:
        # its words are those of other lists
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, error.detail.replace("from (", "since (").replace("to (", "until (")
        ) from None
    if not LEAST_SPAN <= span.until - span.since <= LONGEST_SPAN:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "between since and until must be ten minutes to 92 days")
    return span


def _price(context: WebContext, query: PerformanceQuery) -> float:
    span = _span(query)
    return rows_within(span.since, span.until, timedelta(minutes=1), _ALARMS_OF_A_MINUTE)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/alarms/performance",
            alarm_performance,
            Tag.ALERTS,
            AlarmPerformance,
            errors=(400, 503),
            price=_price,
            apart=True,
        )
    ]
