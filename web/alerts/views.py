"""``/api/alerts``: open alerts and those of a span of time."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Literal, get_args

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, Meta, Struct

from models.alerts import ALERT_TYPES, SEVERITIES, AlertEvent, AlertRow, AlertType, Severity
from models.cameras.window_rows import Level
from models.timestamps import epoch_us, from_epoch_us
from trafficapp.alarms.withholding import on_delay
from trafficapp.stores.alarms.withheld import withholding
from trafficapp.stores.alerts.current import CurrentAlerts
from trafficapp.stores.alerts.queries import AlertFilter, Position
from trafficapp.stores.alerts.queries import alert as stored_alert
from trafficapp.stores.alerts.queries import alerts as stored_alerts
from trafficapp.stores.alerts.queries import id_of_number as stored_id
from trafficapp.stores.postgres.reading import made_of
from web.alerts.open_alerts import open_alerts, withheld_now
from web.serving import parameters
from web.serving.answers import MAY_BE_FROM_POSTGRES, NEXT_PAGE, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import AlertKey, Moment, Name
from web.serving.spans import Span, span_between

DEFAULT_SPAN = timedelta(hours=24)
DEFAULT_ALERTS = 500
MAX_ALERTS = 5000

#: A span ends before its end.
_BEHIND = timedelta(microseconds=1)

#: Levels that a severity filter may name.
_LEVELS = tuple(level for level in get_args(Level) if level != "UNKNOWN")

encode = msgspec.json.Encoder().encode


#: A word that is compared with ours; an empty one asks for nothing, as forms send it.
Word = Annotated[str, Meta(max_length=64)]


class AlertId(Struct, frozen=True):
    """Which alert, by its id or its number."""

    id: AlertKey


class AlertQuery(Struct, frozen=True, kw_only=True):
    """Which alerts; words in any case, and no alerts for a word that none has.

    Attributes:
        severity: WARNING, CRITICAL or EMERGENCY; or a level, LOW, MODERATE, HIGH or SEVERE: of open alerts the present
            one, of ended ones also the one that raised them.
        alert_type, type: the same: congestion, stopped_traffic, incident, manual or camera_silent.
        zone: id or name of a zone.
        include: `quality` for those about the data as well: silent cameras, which are else left out unless their type
            is asked for.
    """

    severity: Word | None = None
    alert_type: Word | None = None
    type: Word | None = None
    include: Literal["quality"] | None = None
    camera_id: Name | None = None
    road_segment: Name | None = None
    zone: Name | None = None


class OpenQuery(AlertQuery, frozen=True, kw_only=True):
    """Open alerts: all of them without a limit."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ALERTS)] | None = None
    cursor: str | None = None


class SpanQuery(AlertQuery, frozen=True, kw_only=True):
    """Which alerts by ``from <= triggered_at < to``: without ``to`` now, without ``from`` 24 hours before ``to``."""

    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None


class HistoryQuery(SpanQuery, frozen=True, kw_only=True):
    """A page of the alerts of a span."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ALERTS)] = DEFAULT_ALERTS
    cursor: str | None = None


async def alert_filter(context: WebContext, query: AlertQuery) -> AlertFilter:
    """The filter that a query asks for.

    Raises:
        ProblemError: 400, the query contradicts itself; 404, there is no such zone.
    """
    kinds = {kind.lower() for kind in (query.alert_type, query.type) if kind}
    if len(kinds) > 1:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "alert_type and type mean the same and may not differ")
    kind = next(iter(kinds), None)
    chosen = AlertFilter(
        alert_type=msgspec.convert(kind, AlertType) if kind in ALERT_TYPES else None,
        camera_id=query.camera_id,
        camera_ids=await context.registry.choose(query.zone),
        road_segment=query.road_segment,
        quality=query.include == "quality" or kind == "camera_silent",
        nothing=kind is not None and kind not in ALERT_TYPES,
    )
    return with_severity(chosen, query.severity) if query.severity else chosen


def with_severity(chosen: AlertFilter, word: str) -> AlertFilter:
    """The filter for a severity or a level, in any case; a word that is neither lets nothing through."""
    upper = word.upper()
    if upper in SEVERITIES:
        return replace(chosen, severity=msgspec.convert(upper, Severity))
    if upper in _LEVELS:
        return replace(chosen, level=msgspec.convert(upper, Level))
    return replace(chosen, nothing=True)


async def span_filter(context: WebContext, query: SpanQuery) -> AlertFilter:
    """The filter with the span of time that a query asks for.

    Raises:
        ProblemError: 400 or 404, as `alert_filter`, or the span is empty.
    """
    span = span_between(query.from_, query.to, DEFAULT_SPAN)
    return replace(await alert_filter(context, query), since=span.since, until=span.until)


async def current(request: web.Request, query: OpenQuery) -> web.Response:
    """Open alerts, newest first.

    From Redis; while it is away from Postgres, with the header `X-Data-Source: postgres`.
    """
    context = request.app[CONTEXT]
    return await _open(request, query, await alert_filter(context, query))


async def active(request: web.Request, query: OpenQuery) -> web.Response:
    """Open alerts that nobody has taken on, newest first.

    As `/api/alerts/current`, without those that are acknowledged.
    """
    context = request.app[CONTEXT]
    return await _open(request, query, replace(await alert_filter(context, query), unacknowledged_only=True))


async def _open(request: web.Request, query: OpenQuery, wanted: AlertFilter) -> web.Response:
    after = parameters.time_cursor(request)
    found = await open_alerts(request.app[CONTEXT])
    rows = found.matching(wanted)
    if after is not None:
        rows = [row for row in rows if _place(row) < after]
    shown = rows if query.limit is None else rows[: query.limit]
    headers = dict(found.headers)
    if len(shown) < len(rows):
        headers |= parameters.link_behind(request, _place(shown[-1]))
    return _answer(shown, headers)


def _place(row: AlertRow) -> Position:
    return from_epoch_us(epoch_us(row.triggered_at)), uuid.UUID(row.id)


async def history(request: web.Request, query: HistoryQuery) -> web.Response:
    """Alerts of a span of time, newest first.

    Every alert with `from <= triggered_at < to`, ended or not; by default of the last 24 hours.
    """
    context = request.app[CONTEXT]
    wanted = await span_filter(context, query)
    after = parameters.time_cursor(request)
    page = await context.database.ask(lambda pool: stored_alerts(pool, wanted, query.limit, after))
    return _answer(await _with_withheld(context, page.rows), link(request, wanted, page.next_position))


async def _with_withheld(context: WebContext, rows: list[AlertRow]) -> list[AlertRow]:
    """Alerts, each with why people were not told of it when it was raised."""
    if not rows:
        return rows
    alarms = context.settings.alarms
    raised = [epoch_us(row.alarm_at or row.triggered_at) for row in rows]
    since, until = from_epoch_us(min(raised)), from_epoch_us(max(raised))
    known = await context.database.ask(lambda pool: withholding(pool, since, until + _BEHIND, alarms))

    def marked(row: AlertRow) -> AlertRow:
        why = known.of_alert(row, epoch_us(row.alarm_at or row.triggered_at))
        return row if why is None else msgspec.structs.replace(row, withheld=why)

    return await made_of(rows, marked)


async def one(request: web.Request, path: AlertId) -> web.Response:
    """An alert with the rule that raised it and what the rule saw."""
    context = request.app[CONTEXT]
    alert_id = await id_of(context, path.id)
    alert = await live_alert(context, alert_id)
    if alert is None:
        alert = await context.database.ask(lambda pool: stored_alert(pool, alert_id))
    if alert is None:
        raise unknown_alert(alert_id)
    if alert.road_segment is None:
        alert = msgspec.structs.replace(alert, road_segment=context.registry.segment(alert.camera_id))
    return _answer(await _one_with_withheld(context, alert))


async def _one_with_withheld(context: WebContext, alert: AlertEvent) -> AlertEvent:
    """An alert with why people are not told of it, now while it is open."""
    known = await withheld_now(context)
    if known is None or alert.resolved_at is not None:
        return alert if alert.withheld else msgspec.structs.replace(alert, withheld=on_delay(alert) or UNSET)
    why = known.of_alert(alert, epoch_us(datetime.now(UTC)))
    return msgspec.structs.replace(alert, withheld=why or UNSET)


async def id_of(context: WebContext, key: AlertKey) -> uuid.UUID:
    """The id of the alert that a path names.

    Raises:
        ProblemError: 404, no alert has this number; 503, Postgres does not answer.
    """
    if key.id is not None:
        return key.id
    number = key.number or 0
    try:
        known = await from_redis(CurrentAlerts(context.redis).id_of_number(number))
    except RedisAway:
        known = None
    if known is not None:
        return uuid.UUID(known)
    found = await context.database.ask(lambda pool: stored_id(pool, number))
    if found is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no alert {number}")
    return found


async def live_alert(context: WebContext, alert_id: uuid.UUID) -> AlertEvent | None:
    """An open alert as Redis knows it; None when it is not open, or Redis is away."""
    try:
        return await from_redis(CurrentAlerts(context.redis).one(str(alert_id)))
    except RedisAway:
        return None


def unknown_alert(alert_id: uuid.UUID) -> ProblemError:
    """404: there is no alert of this id."""
    return ProblemError(HTTPStatus.NOT_FOUND, f"there is no alert {alert_id}")


def _answer(body: object, headers: Mapping[str, str] | None = None) -> web.Response:
    return json_answer(encode(body), headers)


def link(request: web.Request, wanted: AlertFilter, end: Position | None) -> dict[str, str]:
    """The header that leads to the page behind ``end``; none when there is no such page."""
    if wanted.since is None or wanted.until is None:
        return {}
    return parameters.link_behind(request, end, Span(wanted.since, wanted.until).pinned())


_OPEN_HEADERS = (
    MAY_BE_FROM_POSTGRES,
    (hdrs.LINK, 'the next page when there is a `limit`: `<...>; rel="next"`'),
)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/alerts/current",
            current,
            Tag.ALERTS,
            list[AlertRow],
            errors=(400, 404, 503),
            headers=_OPEN_HEADERS,
        ),
        Operation(
            "GET /api/alerts/active", active, Tag.ALERTS, list[AlertRow], errors=(400, 404, 503), headers=_OPEN_HEADERS
        ),
        Operation(
            "GET /api/alerts/history",
            history,
            Tag.ALERTS,
            list[AlertRow],
            errors=(404, 503),
            headers=(NEXT_PAGE,),
            apart=True,
        ),
        Operation("GET /api/alerts/{id}", one, Tag.ALERTS, AlertEvent, errors=(404, 503)),
    ]
