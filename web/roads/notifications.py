"""Notifications about roads: ``/ws/notifications`` as they are raised, ``/api/notifications`` of a span of time."""

from __future__ import annotations

import uuid
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.roads.notifications import NotificationType, RoadNotification
from models.timestamps import epoch_us, from_epoch_us
from trafficapp.engine.telemetry import Telemetry
from trafficapp.roads.feeds import NOTIFICATION_LOG
from trafficapp.settings import Settings
from trafficapp.stores.roads.notification_queries import NotificationFilter, Position, notifications
from web.serving import parameters
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError, unavailable
from web.serving.shapes import Moment, Name
from web.serving.spans import span_between
from web.sockets.clients import SocketClient, SocketClients
from web.sockets.notification_feed import NotificationFeed
from web.sockets.windows import SOCKET_ERRORS

DEFAULT_SPAN = timedelta(hours=24)
DEFAULT_NOTIFICATIONS = 500
MAX_NOTIFICATIONS = 5000

#: A worker that has just started hears of Redis in this time, or Redis is away.
_KNOWN_WITHIN_SECONDS = 2.0

_DESCRIPTION = """
Each message is a record of `traffic-notifications`: once, whatever is restarted. With `recent`, so many of the newest
ones of before come first, the oldest of them first. After an interruption between worker and Redis the missed ones
follow. A worker that never heard Redis refuses clients with 503. When a client's token ends, the connection is closed
with 4401. A client that reads too slowly or answers no pings is cut with 1013.
"""

_encode = msgspec.json.Encoder().encode


class RecentQuery(Struct, frozen=True, kw_only=True):
    """How many of the newest notifications come first."""

    recent: Annotated[int, Meta(ge=0, le=NOTIFICATION_LOG.kept)] = 0


class HistoryQuery(Struct, frozen=True, kw_only=True):
    """Which ones by ``from <= timestamp < to``: without ``to`` now, without ``from`` 24 hours before ``to``."""

    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    road_id: Name | None = None
    alert_type: NotificationType | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_NOTIFICATIONS)] = DEFAULT_NOTIFICATIONS
    cursor: str | None = None


class Cursor(Struct, array_like=True):
    """Where a page ended."""

    notified_at_us: int
    event_id: uuid.UUID


class NotificationViews:
    """The socket, its clients and the feed behind them; and the history."""

    def __init__(self, feed: NotificationFeed, settings: Settings, telemetry: Telemetry) -> None:
        self._feed = feed
        self.clients = SocketClients("/ws/notifications", settings, telemetry)

    async def live(self, request: web.Request, query: RecentQuery) -> web.StreamResponse:
        """``/ws/notifications``."""
        if not await self._feed.knows_within(_KNOWN_WITHIN_SECONDS):
            raise unavailable("Redis, which this worker has never heard,")

        async def attend(client: SocketClient) -> None:
            await self._feed.join(client, query.recent)

        return await self.clients.serve(request, attend, self._feed.leave)

    async def history(self, request: web.Request, query: HistoryQuery) -> web.Response:
        """``GET /api/notifications``."""
        span = span_between(query.from_, query.to, DEFAULT_SPAN)
        wanted = NotificationFilter(span.since, span.until, query.road_id, query.alert_type)
        after = _position(request)
        page = await request.app[CONTEXT].database.ask(lambda pool: notifications(pool, wanted, query.limit, after))
        headers = {}
        if page.next_position is not None:
            place = Cursor(epoch_us(page.next_position[0]), page.next_position[1])
            headers[hdrs.LINK] = parameters.next_link(request, place, span.pinned())
        return web.Response(body=_encode(page.rows), content_type="application/json", headers=headers)

    def operations(self) -> list[Operation]:
        """What these views answer."""
        return [
            Operation(
                method="GET",
                path="/api/notifications",
                view=self.history,
                summary="Notifications about roads of a span of time, newest first",
                description="Every one with `from <= timestamp < to`; by default of the last 24 hours.",
                tag=Tag.ALERTS,
                query_shape=HistoryQuery,
                answer=list[RoadNotification],
                errors=(HTTPStatus.SERVICE_UNAVAILABLE,),
                headers=(("Link", 'the next page: `<...>; rel="next"`'),),
            ),
            Operation(
                method="GET",
                path=self.clients.route,
                view=self.live,
                summary="Notifications about roads as they are raised",
                description=_DESCRIPTION.strip(),
                tag=Tag.LIVE,
                query_shape=RecentQuery,
                answer=RoadNotification,
                errors=SOCKET_ERRORS,
                websocket=True,
            ),
        ]


def _position(request: web.Request) -> Position | None:
    cursor = parameters.cursor(request, Cursor)
    if cursor is None:
        return None
    try:
        return from_epoch_us(cursor.notified_at_us), cursor.event_id
    except OverflowError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "cursor is none that an earlier answer gave") from None
