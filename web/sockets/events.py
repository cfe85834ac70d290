"""WebSocket view ``/ws/events``."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta, Struct

from models.events import CONNECTION_EVENTS, Envelope
from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import Settings
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError, unavailable
from web.serving.shapes import Name
from web.sockets.clients import SocketClient, SocketClients
from web.sockets.event_feed import EventFeed
from web.sockets.event_filter import EVENT_NAMES, EventFilter
from web.sockets.windows import SOCKET_ERRORS

#: A worker that has just started hears of Redis in this time, or Redis is away.
_KNOWN_WITHIN_SECONDS = 2.0


class EventsQuery(Struct, frozen=True, kw_only=True):
    """What a client wants to hear."""

    types: str | None = None
    resume_after: Annotated[int, Meta(ge=0, lt=1 << 53)] | None = None
    zone: Name | None = None
    include: Literal["quality"] | None = None


class EventSockets:
    """The route, its clients and the feed behind them."""

    def __init__(self, feed: EventFeed, settings: Settings, telemetry: Telemetry) -> None:
        self._feed = feed
        self.clients = SocketClients("/ws/events", settings, telemetry)

    async def events(self, request: web.Request, query: EventsQuery) -> web.StreamResponse:
        """Alerts, updates and broadcasts as they happen.

        Each message is an envelope `{seq, event, ts, data}`. The first is a `snapshot`: the open alerts, the newest
        `traffic_metrics_update` and the newest `heatmap_update`. `traffic_metrics_update` (every 5 s) has the newest
        rows of all cameras, and beside `data` an `overview` of the city; `heatmap_update` (every 10 s) has the points
        of `/api/map/heatmap`. `new_alert` tells an alert when it opens and when its severity rises, with the level as
        its `severity` and ours as `alert_severity`; a rise is told as `alert_updated`, too. With `resume_after`, the
        `seq` of the last envelope seen before, the missed events come instead, in order and once; when they are no
        longer known, a `resync` and a `snapshot`. A `heartbeat` tells from time to time that the connection lives;
        while the worker hears nothing of Redis, and so cannot know of events, its data is `{"stale_since": "..."}`,
        else empty. A worker that never heard Redis refuses clients with 503. When a client's token ends, the connection
        is closed with 4401. `types` are names of events, separated by commas: nothing else is told then, no `snapshot`
        and no `heartbeat` unless they are named (a `resync` comes with `snapshot`, and to whoever resumes); all without
        it. `zone` is the id or name of a zone. Silent cameras are told with `include=quality`. A client that reads too
        slowly or answers no pings is cut with 1013.
        """
        types, says = _types(query.types)
        wanted = EventFilter(types, query.zone, says, query.include == "quality")
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
                f"GET {self.clients.route}",
                self.events,
                Tag.LIVE,
                Envelope,
                errors=(*SOCKET_ERRORS, 404),
                websocket=True,
            )
        ]


def _types(names: str | None) -> tuple[frozenset[str], frozenset[str]]:
    """The events that a client named, and what its connection may say of itself."""
    if names is None:
        return EventFilter().types, EventFilter().says
    wanted = frozenset(name.strip() for name in names.split(","))
    known = (*EVENT_NAMES, *sorted(CONNECTION_EVENTS))
    unknown = sorted(wanted.difference(known))
    if unknown:
        raise ProblemError(400, f"types: {unknown[0][:64]!r} is none of {', '.join(known)}")
    says = wanted & CONNECTION_EVENTS
    return wanted - CONNECTION_EVENTS, says | {"resync"} if "snapshot" in says else says
