"""WebSocket views ``/ws/metrics`` and ``/ws/metrics/lanes``."""

from __future__ import annotations

from typing import Literal

from aiohttp import web
from msgspec import Struct

from models.cameras.window_rows import WindowRow
from models.events import Envelope
from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import Settings
from web.serving.operations import Operation, Tag
from web.serving.shapes import Name
from web.sockets.clients import SocketClient, SocketClients
from web.sockets.event_feed import EventFeed
from web.sockets.event_filter import EventFilter
from web.sockets.window_feed import LiveFeed, Room

SOCKET_ERRORS = (426, 403, 503)


#: What an operator hears beside rows: broadcasts, in the envelope of ``/ws/events``, and nothing about the connection.
_BROADCASTS = EventFilter(types=frozenset({"admin_broadcast"}), says=frozenset())


class MetricsQuery(Struct, frozen=True, kw_only=True):
    """Rows of one camera, or of all.

    Attributes:
        role: an operator also gets broadcasts.
        changes: rows as they become final, instead of all of the newest every 5 seconds.
    """

    camera_id: Name | None = None
    role: Literal["viewer", "operator"] = "viewer"
    changes: bool = False


class MetricsSockets:
    """The two routes, their clients and the feeds behind them."""

    def __init__(self, feed: LiveFeed, events: EventFeed, settings: Settings, telemetry: Telemetry) -> None:
        self._feed = feed
        self._events = events
        self.clients = {
            lanes: SocketClients(route, settings, telemetry)
            for lanes, route in ((False, "/ws/metrics"), (True, "/ws/metrics/lanes"))
        }

    async def metrics(self, request: web.Request, query: MetricsQuery) -> web.StreamResponse:
        """The newest window of every camera."""
        return await self._serve(request, Room(False, query.camera_id, query.changes), query.role)

    async def lanes(self, request: web.Request, query: MetricsQuery) -> web.StreamResponse:
        """The newest window of every lane."""
        return await self._serve(request, Room(True, query.camera_id, query.changes), query.role)

    async def _serve(self, request: web.Request, room: Room, role: str) -> web.StreamResponse:
        async def attend(client: SocketClient) -> None:
            await self._feed.join(room, client)
            if role == "operator":
                await self._events.join(client, _BROADCASTS, None)

        def leave(client: SocketClient) -> None:
            self._feed.leave(room, client)
            self._events.leave(client, _BROADCASTS)

        return await self.clients[room.lanes].serve(request, attend, leave)

    def operations(self) -> list[Operation]:
        """What these views answer."""
        about = (
            "Arrays of window rows: at once and then every 5 seconds the newest one of every camera (lane), to "
            "be shown instead of those before. With `changes=true` the newest ones at once, then each as it is "
            "finished, and the newest ones again after 5 seconds without any. With `role=operator` also "
            "broadcasts: objects, enveloped as on `/ws/events`."
        )
        return [
            Operation(
                f"GET {self.clients[lanes].route}",
                view,
                Tag.LIVE,
                list[WindowRow] | Envelope,
                words=f"{view.__doc__}\n\n{about}",
                errors=SOCKET_ERRORS,
                websocket=True,
            )
            for lanes, view in ((False, self.metrics), (True, self.lanes))
        ]
