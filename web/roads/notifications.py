"""Notifications about roads: ``/ws/notifications`` as they are raised, ``/api/notifications`` of a span of time."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from models.roads.notifications import NotificationType, RoadNotification
from models.timestamps import epoch_us
from trafficapp.engine.telemetry import Telemetry
from trafficapp.roads.feeds import NOTIFICATION_LOG
from trafficapp.settings import Settings
from trafficapp.stores.alarms.withheld import withholding
from trafficapp.stores.postgres.reading import made_of
from trafficapp.stores.roads.notification_queries import NotificationFilter, notifications
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import unavailable
from web.serving.shapes import Name
from web.serving.spans import Span, SpanQuery
from web.sockets.clients import SocketClient, SocketClients
from web.sockets.notification_feed import NotificationFeed
from web.sockets.windows import SOCKET_ERRORS

DEFAULT_SPAN = timedelta(hours=24)
DEFAULT_NOTIFICATIONS = 500
MAX_NOTIFICATIONS = 5000

#: A worker that has just started hears of Redis in this time, or Redis is away.
_KNOWN_WITHIN_SECONDS = 2.0

_encode = msgspec.json.Encoder().encode


class RecentQuery(Struct, frozen=True, kw_only=True):
    """How many of the newest notifications come first."""

    recent: Annotated[int, Meta(ge=0, le=NOTIFICATION_LOG.kept)] = 0


class HistoryQuery(SpanQuery, frozen=True, kw_only=True):
    """Which ones by ``from <= timestamp < to``: without ``to`` now, without ``from`` 24 hours before ``to``.

    Attributes:
        grouped: ``true``: congestion events in the place of what their roads raise one by one; ``false``: the single
            roads, and no events.
    """

    road_id: Name | None = None
    alert_type: NotificationType | None = None
    grouped: bool = True
    limit: Annotated[int, Meta(ge=1, le=MAX_NOTIFICATIONS)] = DEFAULT_NOTIFICATIONS
    cursor: str | None = None


class NotificationViews:
    """The socket, its clients and the feed behind them; and the history."""

    def __init__(self, feed: NotificationFeed, settings: Settings, telemetry: Telemetry) -> None:
        self._feed = feed
        self.clients = SocketClients("/ws/notifications", settings, telemetry)

    async def live(self, request: web.Request, query: RecentQuery) -> web.StreamResponse:
        """Notifications about roads as they are raised.

        Each message is a record of `traffic-notifications`: once, whatever is restarted. With `recent`, so many of the
        newest ones of before come first, the oldest of them first. After an interruption between worker and Redis the
        missed ones follow. A worker that never heard Redis refuses clients with 503. When a client's token ends, the
        connection is closed with 4401. A client that reads too slowly or answers no pings is cut with 1013.
        """
        if not await self._feed.knows_within(_KNOWN_WITHIN_SECONDS):
            raise unavailable("Redis, which this worker has never heard,")

        async def attend(client: SocketClient) -> None:
            await self._feed.join(client, query.recent)

        return await self.clients.serve(request, attend, self._feed.leave)

    async def history(self, request: web.Request, query: HistoryQuery) -> web.Response:
        """Notifications about roads of a span of time, newest first.

        Every one with `from <= timestamp < to`; by default of the last 24 hours. Jammed roads that touch each other are
        told as one congestion event (`alert_type` `congestion`, at the road at the head of the queue, with
        `congestion_event_id` and `change`); with `grouped=false` each of them is told by itself instead.
        """
        span = query.span(DEFAULT_SPAN)
        wanted = NotificationFilter(span.since, span.until, query.road_id, query.alert_type, query.grouped)
        after = parameters.time_cursor(request)
        page = await request.app[CONTEXT].database.ask(lambda pool: notifications(pool, wanted, query.limit, after))
        headers = parameters.link_behind(request, page.next_position, span.pinned())
        return json_answer(_encode(await _with_withheld(request.app[CONTEXT], page.rows, span)), headers)

    def operations(self) -> list[Operation]:
        """What these views answer."""
        return [
            Operation(
                "GET /api/notifications",
                self.history,
                Tag.ALERTS,
                list[RoadNotification],
                errors=(503,),
                headers=(NEXT_PAGE,),
            ),
            Operation(
                f"GET {self.clients.route}", self.live, Tag.LIVE, RoadNotification, errors=SOCKET_ERRORS, websocket=True
            ),
        ]


async def _with_withheld(context: WebContext, rows: list[RoadNotification], span: Span) -> list[RoadNotification]:
    """Notifications, each with why people were not told of it."""
    if not rows:
        return rows
    alarms = context.settings.alarms
    known = await context.database.ask(lambda pool: withholding(pool, span.since, span.until, alarms))

    def marked(one: RoadNotification) -> RoadNotification:
        why = known.of("notification", one.event_id, one.alert_type, one.road_id, epoch_us(one.timestamp))
        return one if why is None else msgspec.structs.replace(one, withheld=why)

    return await made_of(rows, marked)
