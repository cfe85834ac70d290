"""``/api/alerts``: open alerts and those of a span of time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.alerts import AlertEvent, AlertRow, AlertType, Severity
from models.timestamps import epoch_us, from_epoch_us
from trafficapp.stores.alert_queries import AlertFilter, Position
from trafficapp.stores.alert_queries import alert as stored_alert
from trafficapp.stores.alert_queries import alerts as stored_alerts
from trafficapp.stores.current_alerts import CurrentAlerts
from trafficapp.stores.redis import UNAVAILABLE
from web import parameters
from web.context import CONTEXT, WebContext
from web.open_alerts import ANSWER_WITHIN_SECONDS, open_alerts
from web.operations import Operation, Tag
from web.problems import ProblemError
from web.shapes import Moment, Name
from web.spans import Span, span_between

DEFAULT_SPAN = timedelta(hours=24)
DEFAULT_ALERTS = 500
MAX_ALERTS = 5000

encode = msgspec.json.Encoder().encode


class AlertId(Struct, frozen=True):
    """Which alert."""

    id: uuid.UUID


class AlertQuery(Struct, frozen=True, kw_only=True):
    """Which alerts; ``type`` is another word for ``alert_type``, ``zone`` is the id or name of a zone."""

    severity: Severity | None = None
    alert_type: AlertType | None = None
    type: AlertType | None = None
    camera_id: Name | None = None
    road_segment: Name | None = None
    zone: Name | None = None


class SpanQuery(AlertQuery, frozen=True, kw_only=True):
    """Which alerts by ``from <= triggered_at < to``: without ``to`` now, without ``from`` 24 hours before ``to``."""

    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None


class HistoryQuery(SpanQuery, frozen=True, kw_only=True):
    """A page of the alerts of a span."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ALERTS)] = DEFAULT_ALERTS
    cursor: str | None = None


class Cursor(Struct, array_like=True):
    """Where a page ended."""

    triggered_at_us: int
    id: uuid.UUID


async def alert_filter(context: WebContext, query: AlertQuery) -> AlertFilter:
    """The filter that a query asks for.

    Raises:
        ProblemError: 400, the query contradicts itself; 404, there is no such zone.
    """
    if query.alert_type is not None and query.type is not None and query.alert_type != query.type:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "alert_type and type mean the same and may not differ")
    return AlertFilter(
        severity=query.severity,
        alert_type=query.alert_type or query.type,
        camera_id=query.camera_id,
        camera_ids=await context.registry.choose(query.zone),
        road_segment=query.road_segment,
    )


async def span_filter(context: WebContext, query: SpanQuery) -> AlertFilter:
    """The filter with the span of time that a query asks for.

    Raises:
        ProblemError: 400 or 404, as `alert_filter`, or the span is empty.
    """
    span = span_between(query.from_, query.to, DEFAULT_SPAN)
    return replace(await alert_filter(context, query), since=span.since, until=span.until)


async def current(request: web.Request, query: AlertQuery) -> web.Response:
    """``GET /api/alerts/current``: open alerts, newest first."""
    context = request.app[CONTEXT]
    wanted = await alert_filter(context, query)
    found = await open_alerts(context)
    return _answer(found.matching(wanted), found.headers)


async def history(request: web.Request, query: HistoryQuery) -> web.Response:
    """``GET /api/alerts/history``: alerts of a span of time, newest first, ended or not."""
    context = request.app[CONTEXT]
    wanted = await span_filter(context, query)
    after = position(request)
    page = await context.database.ask(lambda pool: stored_alerts(pool, wanted, query.limit, after))
    return _answer(page.rows, link(request, wanted, page.next_position))


async def one(request: web.Request, path: AlertId) -> web.Response:
    """``GET /api/alerts/{id}``: everything about an alert, so that it explains itself."""
    context = request.app[CONTEXT]
    alert = await live_alert(context, path.id)
    if alert is None:
        alert = await context.database.ask(lambda pool: stored_alert(pool, path.id))
    if alert is None:
        raise unknown_alert(path.id)
    if alert.road_segment is None:
        alert = msgspec.structs.replace(alert, road_segment=context.registry.segment(alert.camera_id))
    return _answer(alert)


async def live_alert(context: WebContext, alert_id: uuid.UUID) -> AlertEvent | None:
    """An open alert as Redis knows it; None when it is not open, or Redis is away."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            return await CurrentAlerts(context.redis).one(str(alert_id))
    except UNAVAILABLE:
        return None


def unknown_alert(alert_id: uuid.UUID) -> ProblemError:
    """404: there is no alert of this id."""
    return ProblemError(HTTPStatus.NOT_FOUND, f"there is no alert {alert_id}")


def _answer(body: object, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=encode(body), content_type="application/json", headers=headers)


def position(request: web.Request) -> Position | None:
    """Where the page before ended, as the request says.

    Raises:
        ProblemError: 400, no answer of ours said so.
    """
    cursor = parameters.cursor(request, Cursor)
    if cursor is None:
        return None
    try:
        return from_epoch_us(cursor.triggered_at_us), cursor.id
    except OverflowError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "cursor is none that an earlier answer gave") from None


def link(request: web.Request, wanted: AlertFilter, end: Position | None) -> dict[str, str]:
    """The header that leads to the page behind ``end``; none when there is no such page."""
    if end is None or wanted.since is None or wanted.until is None:
        return {}
    triggered_at, alert_id = end
    pinned = Span(wanted.since, wanted.until).pinned()
    return {hdrs.LINK: parameters.next_link(request, Cursor(epoch_us(triggered_at), alert_id), pinned)}


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            method="GET",
            path="/api/alerts/current",
            view=current,
            summary="Open alerts, newest first",
            description="From Redis; while it is away from Postgres, with the header `X-Data-Source: postgres`.",
            tag=Tag.ALERTS,
            query_shape=AlertQuery,
            answer=list[AlertRow],
            errors=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
            headers=(("X-Data-Source", "`postgres` while Redis is away"),),
        ),
        Operation(
            method="GET",
            path="/api/alerts/history",
            view=history,
            summary="Alerts of a span of time, newest first",
            description="Every alert with `from <= triggered_at < to`, ended or not; by default of the last 24 hours.",
            tag=Tag.ALERTS,
            query_shape=HistoryQuery,
            answer=list[AlertRow],
            errors=(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
            headers=(("Link", 'the next page: `<...>; rel="next"`'),),
        ),
        Operation(
            method="GET",
            path="/api/alerts/{id}",
            view=one,
            summary="An alert with the rule that raised it and what the rule saw",
            tag=Tag.ALERTS,
            path_shape=AlertId,
            answer=AlertEvent,
            errors=(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
        ),
    ]
