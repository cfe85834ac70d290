"""WebSocket views ``/ws/metrics`` and ``/ws/metrics/lanes``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from aiohttp import web
from msgspec import Struct

from models.window_rows import WindowRow
from trafficapp.settings import Settings
from trafficapp.telemetry import Telemetry
from web.feed import LiveFeed, Room
from web.operations import Operation, Tag
from web.shapes import Name
from web.socket_clients import SocketClient, SocketClients

SOCKET_ERRORS = (HTTPStatus.UPGRADE_REQUIRED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE)


class MetricsQuery(Struct, frozen=True, kw_only=True):
    """Rows of one camera, or of all; the role changes nothing, dashboards send it."""

    camera_id: Name | None = None
    role: Literal["viewer", "operator"] = "viewer"


class MetricsSockets:
    """The two routes, their clients and the feed behind them."""

    def __init__(self, feed: LiveFeed, settings: Settings, telemetry: Telemetry) -> None:
        self._feed = feed
        self.clients = {
            lanes: SocketClients(route, settings, telemetry)
            for lanes, route in ((False, "/ws/metrics"), (True, "/ws/metrics/lanes"))
        }

    async def metrics(self, request: web.Request, query: MetricsQuery) -> web.StreamResponse:
        """``/ws/metrics``: camera-wide rows."""
        return await self._serve(request, Room(False, query.camera_id))

    async def lanes(self, request: web.Request, query: MetricsQuery) -> web.StreamResponse:
        """``/ws/metrics/lanes``: lane rows."""
        return await self._serve(request, Room(True, query.camera_id))

    async def _serve(self, request: web.Request, room: Room) -> web.StreamResponse:
        async def attend(client: SocketClient) -> None:
            await self._feed.join(room, client)

        def leave(client: SocketClient) -> None:
            self._feed.leave(room, client)

        return await self.clients[room.lanes].serve(request, attend, leave)

    def operations(self) -> list[Operation]:
        """What these views answer."""
        return [
            Operation(
                method="GET",
                path=self.clients[lanes].route,
                view=view,
                summary=summary,
                description=(
                    "Arrays of window rows: the newest ones at once, then each as it is finished, and the newest ones "
                    "again after 5 seconds without any."
                ),
                tag=Tag.LIVE,
                query_shape=MetricsQuery,
                answer=list[WindowRow],
                errors=SOCKET_ERRORS,
                websocket=True,
            )
            for lanes, view, summary in (
                (False, self.metrics, "Camera-wide windows as they finish"),
                (True, self.lanes, "Lane windows as they finish"),
            )
        ]
