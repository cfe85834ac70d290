"""WebSocket view ``/ws/events``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from models.events import Envelope
from trafficapp.settings import Settings
from trafficapp.telemetry import Telemetry
from web.context import CONTEXT
from web.event_feed import EventFeed
from web.event_filter import EVENT_NAMES, EventFilter
from web.operations import Operation, Tag
from web.problems import ProblemError, unavailable
from web.shapes import Name
from web.socket_clients import SocketClient, SocketClients
from web.sockets import SOCKET_ERRORS

#: A worker that has just started hears of Redis in this time, or Redis is away.
_KNOWN_WITHIN_SECONDS = 2.0

DESCRIPTION = """
Each message is an envelope `{seq, event, ts, data}`. The first is a `snapshot`: the open alerts, the newest
`traffic_metrics_update` and the newest `heatmap_update`. With `resume_after`, the `seq` of the last envelope seen
before, the missed events come instead, in order and once; when they are no longer known, a `resync` and a `snapshot`.
A `heartbeat` tells from time to time that the connection lives; while the worker hears nothing of Redis, and so cannot
know of events, its data is `{"stale_since": "..."}`, else empty. A worker that never heard Redis refuses clients with
503. When a client's token ends, the connection is closed with 4401. `types` are names of events, separated by commas,
all without it; `zone` is the id or name of a zone. A client that reads too slowly or answers no pings is cut with 1013.
"""


class EventsQuery(Struct, frozen=True, kw_only=True):
    """What a client wants to hear."""

    types: str | None = None
    resume_after: Annotated[int, Meta(ge=0, lt=1 << 53)] | None = None
    zone: Name | None = None


class EventSockets:
    """The route, its clients and the feed behind them."""

    def __init__(self, feed: EventFeed, settings: Settings, telemetry: Telemetry) -> None:
        self._feed = feed
        self.clients = SocketClients("/ws/events", settings, telemetry)

    async def events(self, request: web.Request, query: EventsQuery) -> web.StreamResponse:
        """``/ws/events``."""
        wanted = EventFilter(_types(query.types), query.zone)
        await request.app[CONTEXT].registry.choose(query.zone)
        if not await self._feed.knows_within(_KNOWN_WITHIN_SECONDS):
            raise unavailable("Redis, whose events this worker has never heard,")

        async def attend(client: SocketClient) -> None:
            await self._feed.join(client, wanted, query.resume_after)

        def leave(client: SocketClient) -> None:
            self._feed.leave(client, wanted)

        return await self.clients.serve(request, attend, leave)

    def operations(self) -> list[Operation]:
        """What this view answers."""
        return [
            Operation(
                method="GET",
                path=self.clients.route,
                view=self.events,
                summary="Alerts, updates and broadcasts as they happen",
                description=DESCRIPTION.strip(),
                tag=Tag.LIVE,
                query_shape=EventsQuery,
                answer=Envelope,
                errors=(*SOCKET_ERRORS, HTTPStatus.NOT_FOUND),
                websocket=True,
            )
        ]


def _types(names: str | None) -> frozenset[str]:
    if names is None:
        return EventFilter().types
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in EVENT_NAMES]
    if unknown:
        raise ProblemError(400, f"types: {unknown[0][:64]!r} is none of {', '.join(EVENT_NAMES)}")
    return frozenset(wanted)
