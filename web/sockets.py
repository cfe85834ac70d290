"""WebSocket views ``/ws/metrics`` and ``/ws/metrics/lanes``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from trafficapp.telemetry import Telemetry
from web import parameters
from web.feed import LiveFeed, Room
from web.problems import ProblemError

logger = logging.getLogger(__name__)

ROLES = ("viewer", "operator")
HEARTBEAT_SECONDS = 20.0
CLOSE_WITHIN_SECONDS = 2.0
_MAX_INCOMING_BYTES = 4096
_UNSENT_BYTES = 64 * 1024


class SocketClient:
    """One connection with its queue: whoever reads slowly fills only that."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, queue_messages: int) -> None:
        self.socket = socket
        self.was_cut = False
        self._request = request
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(queue_messages)
        self._writer = asyncio.create_task(self._write())
        self._closing: asyncio.Task[None] | None = None

    def offer(self, message: bytes) -> bool:
        """Queue a message; False when the queue is full."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            return False
        return True

    def cut(self) -> None:
        """End the connection with 1013, "try again later"."""
        self.was_cut = True
        self._closing = asyncio.create_task(self.close(WSCloseCode.TRY_AGAIN_LATER, b"reading too slowly"))

    async def close(self, code: int, reason: bytes) -> None:
        """Close the connection, politely for two seconds, then by force."""
        self._writer.cancel()
        transport = self._request.transport
        with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError):
            async with asyncio.timeout(CLOSE_WITHIN_SECONDS):
                await self.socket.close(code=code, message=reason, drain=False)
                await asyncio.sleep(0)
        if transport is not None:
            # an orderly close waits for the unsent rest, and that for ever when nobody reads it
            asyncio.get_running_loop().call_later(CLOSE_WITHIN_SECONDS, transport.abort)

    async def finish(self) -> None:
        """The connection has ended: wait for what runs on its behalf."""
        self._writer.cancel()
        await asyncio.gather(self._writer, *filter(None, [self._closing]), return_exceptions=True)

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self.socket.send_frame(await self._queue.get(), WSMsgType.TEXT)


class MetricsSockets:
    """The two routes, their clients and the feed behind them."""

    def __init__(self, feed: LiveFeed, telemetry: Telemetry, max_clients: int, queue_messages: int) -> None:
        self._feed = feed
        self._telemetry = telemetry
        self._max_clients = max_clients
        self._queue_messages = queue_messages
        self._clients: dict[bool, set[SocketClient]] = {False: set(), True: set()}

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """``/ws/metrics``: camera-wide rows."""
        return await self._serve(request, lanes=False)

    async def lanes(self, request: web.Request) -> web.StreamResponse:
        """``/ws/metrics/lanes``: lane rows."""
        return await self._serve(request, lanes=True)

    async def close_all(self) -> None:
        """Tell every client that the worker stops."""
        clients = [client for group in self._clients.values() for client in group]
        await asyncio.gather(*(client.close(WSCloseCode.GOING_AWAY, b"the worker stops") for client in clients))

    async def _serve(self, request: web.Request, lanes: bool) -> web.StreamResponse:
        room = Room(lanes, parameters.camera_id(request))
        role = parameters.one(request, "role") or "viewer"
        if role not in ROLES:
            raise ProblemError(400, f"role must be one of {', '.join(ROLES)}")
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_SECONDS,
            timeout=CLOSE_WITHIN_SECONDS,
            compress=False,  # the same bytes for everybody
            max_msg_size=_MAX_INCOMING_BYTES,
            writer_limit=_UNSENT_BYTES,
        )
        if not socket.can_prepare(request).ok:
            raise ProblemError(426, "this address speaks WebSocket only", {hdrs.UPGRADE: "websocket"})
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and urlsplit(origin).netloc != request.host:
            # else any page in an operator's browser could read along
            raise ProblemError(403, f"pages of {origin} may not read this worker's sockets")
        clients = self._clients[lanes]
        if len(clients) >= self._max_clients:
            raise ProblemError(503, "this worker has all the clients it takes", {hdrs.RETRY_AFTER: "10"})
        await socket.prepare(request)
        route = request.path
        client = SocketClient(request, socket, self._queue_messages)
        clients.add(client)
        self._telemetry.websocket_clients.labels(route).set(len(clients))
        try:
            self._feed.join(room, client)
            async for _ in socket:
                pass  # clients have nothing to say; pings and the close are answered by aiohttp
        finally:
            self._feed.leave(room, client)
            clients.discard(client)
            self._telemetry.websocket_clients.labels(route).set(len(clients))
            if client.was_cut:
                self._telemetry.websocket_clients_cut.labels(route).inc()
                logger.info("cut %s on %s: it read too slowly", request.remote, route)
            await client.finish()
        return socket
