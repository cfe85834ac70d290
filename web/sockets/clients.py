"""WebSocket clients of a worker: who may connect, a bounded queue for each, and cutting those that sleep.

A client is cut with 1013 ("try again later") when its queue is full or when it has not answered a ping by
the time of the next one. The close frame follows what the connection has taken before; it arrives whenever
the client begins to read again, unless not even that much fits into the buffers of the system.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import Settings
from web.auth.access import SOCKET_PROTOCOLS
from web.auth.callers import Caller, caller_of
from web.serving.limits import LIMITER
from web.serving.problems import ProblemError
from web.sockets.broadcast import CLIENTS_PER_TURN

logger = logging.getLogger(__name__)

#: How long a client may take to answer a close, and how long after that unsent bytes are kept for it.
CLOSE_WITHIN_SECONDS = 4.0
_STOP_WITHIN_SECONDS = 2.0

#: What was cancelled and goes on is cancelled again.
_CANCEL_AGAIN_SECONDS = 0.5

#: A close code of ours (4000 to 4999 are free): the token has ended, connect again with another one.
TOKEN_EXPIRED = 4401

_RETRY_AFTER: dict[str, str] = {hdrs.RETRY_AFTER: "10"}

#: One place in so many is kept for callers with a token.
_RESERVED_ONE_IN = 10

_MAX_INCOMING_BYTES = 4096

#: Open files of a worker besides its clients: log segments of its tables, servers, requests.
_OTHER_FILES = 1024

#: What the connection itself may hold unsent; what is beyond waits in the queue.
_UNSENT_BYTES = 32 * 1024


#: Takes a message of a client, text or bytes; the next one is read when it returns.
Hear: TypeAlias = "Callable[[SocketClient, str | bytes], Awaitable[None]]"


def allow_connections(connections: int) -> None:
    """Raise this process's limit of open files so far that so many clients can connect, as far as it may."""
    wanted = connections + _OTHER_FILES
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now == resource.RLIM_INFINITY or now >= wanted:
        return
    allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    if allowed < wanted:
        logger.warning("only %d files may be open here, which is too few for %d clients", allowed, connections)


class SocketClient:
    """One connection with its queue: whoever reads slowly fills only that.

    Args:
        request: the handshake.
        socket: prepared.
        queue_messages, queue_bytes: what waits at most; one message always fits.
    """

    def __init__(
        self, request: web.Request, socket: web.WebSocketResponse, queue_messages: int, queue_bytes: int
    ) -> None:
        self.socket = socket
        self.cut_because: str | None = None
        self._transport = request.transport
        self._queue_messages = queue_messages
        self._queue_bytes = queue_bytes
        self._queue: deque[tuple[WSMsgType, bytes]] = deque()
        self._queued_bytes = 0
        self._more = asyncio.Event()
        self._less = asyncio.Event()
        self._ping_unanswered = False
        self._answers_only = False
        self._writing = False
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=_UNSENT_BYTES)
        self._writer = asyncio.create_task(self._write())

    def offer(self, message: bytes, frame: bytes | None = None) -> bool:
        """Send or queue a message that everybody is told; False when there is no room.

        A client that is being cut takes no more, nor does one that wants answers only.
        """
        if self._closed or self._answers_only:
            return True
        if frame is not None and self._transport is not None and self._is_idle(self._transport):
            # spares the writer's turn, which costs more than the rest
            self._transport.write(frame)
            return True
        if not self._has_room(len(message)):
            return False
        self._put(WSMsgType.TEXT, message)
        return True

    async def put(self, message: bytes) -> None:
        """Queue a message, waiting for room: for what a client asked for, not for what everybody is told."""
        while not self._has_room(len(message)) and not self._closed:
            self._less.clear()
            await self._less.wait()
        if not self._closed:
            self._put(WSMsgType.TEXT, message)

    async def drained(self) -> bool:
        """Wait until nothing waits for the client any more; whether that took any time."""
        waited = False
        while self._queue and not self._closed:
            waited = True
            self._less.clear()
            await self._less.wait()
        return waited

    def want_answers_only(self) -> None:
        """From now on tell it only what is put for it; what it was to be told before and waits is dropped."""
        self._answers_only = True
        self._queue = deque(waiting for waiting in self._queue if waiting[0] is not WSMsgType.TEXT)
        self._queued_bytes = 0
        self._less.set()

    def ping(self) -> bool:
        """Ask whether the client still reads; False when it has not answered the time before."""
        if self._closed:
            return True
        if self._ping_unanswered:
            return False
        self._ping_unanswered = True
        self._put(WSMsgType.PING, b"")
        return True

    def answered(self) -> None:
        """The client answered a ping."""
        self._ping_unanswered = False

    def cut(self, reason: str) -> None:
        """End the connection with 1013, "try again later"."""
        if not self._closed:
            self.cut_because = reason
            self._end(WSCloseCode.TRY_AGAIN_LATER, reason)

    def expire(self) -> None:
        """End the connection with 4401: what its caller was let in for has ended."""
        if not self._closed:
            self._end(TOKEN_EXPIRED, "the token has expired")

    async def close(self, code: int, reason: str, within_seconds: float = CLOSE_WITHIN_SECONDS) -> None:
        """Close the connection, politely at first, then by force."""
        # the writer is not cancelled: if it waits for the connection, that wait is the connection's and not its own
        self._take_no_more()
        with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError):
            async with asyncio.timeout(within_seconds):
                await self.socket.close(code=code, message=reason.encode(), drain=False)
        if self._transport is not None:
            # an orderly close waits for the unsent rest, and that for ever when nobody reads it
            asyncio.get_running_loop().call_later(within_seconds, self._transport.abort)

    async def finish(self) -> None:
        """The connection has ended: wait for what runs on its behalf."""
        self._take_no_more()
        self._writer.cancel()
        await asyncio.gather(self._writer, *filter(None, [self._closing]), return_exceptions=True)

    def _take_no_more(self) -> None:
        """Nothing is sent any more; who waits for room, or until all is sent, waits for nothing."""
        self._queue.clear()
        self._queued_bytes = 0
        self._closed = True
        self._less.set()

    def _end(self, code: int, reason: str) -> None:
        self._closed = True
        self._closing = asyncio.create_task(self.close(code, reason))

    def _is_idle(self, transport: asyncio.Transport) -> bool:
        """Whether nothing waits before what comes now."""
        busy = self._queue or self._writing or transport.is_closing()
        return not busy and transport.get_write_buffer_size() == 0

    def _has_room(self, size: int) -> bool:
        if not self._queue:
            return True
        return len(self._queue) < self._queue_messages and self._queued_bytes + size <= self._queue_bytes

    def _put(self, kind: WSMsgType, message: bytes) -> None:
        self._queue.append((kind, message))
        self._queued_bytes += len(message)
        self._more.set()

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                while self._queue:
                    kind, message = self._queue.popleft()
                    self._queued_bytes -= len(message)
                    self._less.set()
                    self._writing = True
                    await self.socket.send_frame(message, kind)
                    self._writing = False
                self._more.clear()
                await self._more.wait()


class SocketClients:
    """The clients of one route.

    Args:
        route: its path.
        settings: how many clients, how much may wait for each, how often they are pinged.
        telemetry: counts them.
        incoming_bytes: a client that sends a longer message is closed with 1009.
        stop_code: clients are closed with when the worker stops.
    """

    def __init__(
        self,
        route: str,
        settings: Settings,
        telemetry: Telemetry,
        incoming_bytes: int = _MAX_INCOMING_BYTES,
        stop_code: int = WSCloseCode.GOING_AWAY,
    ) -> None:
        self.route, self.stop_code = route, stop_code
        self._incoming_bytes = incoming_bytes
        self._settings = settings
        self._clients: set[SocketClient] = set()
        #: places taken: by each client, by all, by those without a token
        self._places: Counter[str] = Counter()
        self._taken = self._strangers = 0
        self._count = telemetry.websocket_clients.labels(route)
        self._cut_count = telemetry.websocket_clients_cut.labels(route)

    @property
    def count(self) -> int:
        """How many there are now."""
        return len(self._clients)

    async def serve(
        self,
        request: web.Request,
        attend: Callable[[SocketClient], Awaitable[None]],
        leave: Callable[[SocketClient], None],
        hear: Hear | None = None,
    ) -> web.StreamResponse:
        """Accept a client and keep its connection until it ends.

        Args:
            request: the handshake.
            attend: makes the client one of those who are told; may send it something first, and take its time.
            leave: the client is gone.
            hear: takes what the client says, one message at a time; without it nobody listens.

        Raises:
            ProblemError: 426, it is no handshake; 429, 503, there are too many clients of this caller, of all.
        """
        socket = _handshake(request, self._incoming_bytes)
        with self._place(request):
            return await self._serve(request, socket, attend, leave, hear)

    async def _serve(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        attend: Callable[[SocketClient], Awaitable[None]],
        leave: Callable[[SocketClient], None],
        hear: Hear | None,
    ) -> web.StreamResponse:
        await socket.prepare(request)
        web_settings = self._settings.web
        client = SocketClient(request, socket, web_settings.client_queue_messages, web_settings.client_queue_bytes)
        self._clients.add(client)
        self._count.set(len(self._clients))
        attending = asyncio.create_task(self._attend(client, attend))
        expiry = _expire_with(caller_of(request), client)
        try:
            await self._hear(client, hear)
        finally:
            if expiry is not None:
                expiry.cancel()
            self._clients.discard(client)
            self._count.set(len(self._clients))
            if client.cut_because is not None:
                self._cut_count.inc()
                logger.info("cut %s on %s: %s", request.remote, self.route, client.cut_because)
            # at once: a worker that stops may cancel what waits below, too
            attending.cancel()
            try:
                await client.finish()
            finally:
                try:
                    await _ended(attending)
                finally:
                    leave(client)
        return socket

    async def keep_awake(self) -> None:
        """Ping every client in turn, and cut those who do not answer, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.events.heartbeat_seconds)
            for number, client in enumerate(list(self._clients), 1):
                if not client.ping():
                    client.cut("no answer to a ping")
                if number % CLIENTS_PER_TURN == 0:
                    await asyncio.sleep(0)

    async def close_all(self) -> None:
        """Tell every client that the worker stops."""
        await asyncio.gather(
            *(client.close(self.stop_code, "the worker stops", _STOP_WITHIN_SECONDS) for client in list(self._clients))
        )

    @contextlib.contextmanager
    def _place(self, request: web.Request) -> Iterator[None]:
        """A place for a client, taken before the handshake is answered: a rush takes no more than there are."""
        most = self._settings.web.max_connections_per_socket_route
        most_each = self._settings.web.max_connections_per_client
        caller = caller_of(request)
        who = request.config_dict[LIMITER].client(request, caller)
        if self._places[who] >= most_each:
            detail = f"{most_each} connections to {self.route} are all that one client gets on a worker"
            raise ProblemError(429, detail, _RETRY_AFTER)
        if self._taken >= most:
            raise ProblemError(503, "this worker has all the clients it takes", _RETRY_AFTER)
        if not caller.authenticated and self._strangers >= most - most // _RESERVED_ONE_IN:
            raise ProblemError(503, "the places left on this worker are for callers with a token", _RETRY_AFTER)
        self._places[who] += 1
        self._taken += 1
        self._strangers += not caller.authenticated
        try:
            yield
        finally:
            self._strangers -= not caller.authenticated
            self._taken -= 1
            self._places[who] -= 1
            if not self._places[who]:
                del self._places[who]

    async def _attend(self, client: SocketClient, attend: Callable[[SocketClient], Awaitable[None]]) -> None:
        try:
            await attend(client)
        except Exception:
            logger.exception("a client of %s cannot be served", self.route)
            await client.close(WSCloseCode.INTERNAL_ERROR, "the fault is ours")

    async def _hear(self, client: SocketClient, hear: Hear | None) -> None:
        """Most clients have nothing to say but pings and pongs; aiohttp answers the close."""
        message: Any
        async for message in client.socket:
            if message.type is WSMsgType.PONG:
                client.answered()
            elif message.type is WSMsgType.PING:
                with contextlib.suppress(ConnectionError):
                    await client.socket.pong(message.data)
            elif hear is not None and message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                # its pong may wait behind much that it sent
                client.answered()
                await hear(client, message.data)


def _handshake(request: web.Request, incoming_bytes: int) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(
        protocols=SOCKET_PROTOCOLS,
        timeout=CLOSE_WITHIN_SECONDS,
        autoping=False,
        compress=False,  # the same bytes for everybody
        max_msg_size=incoming_bytes,
        writer_limit=_UNSENT_BYTES // 2,
    )
    if not socket.can_prepare(request).ok:
        raise ProblemError(426, "this address speaks WebSocket only", {hdrs.UPGRADE: "websocket"})
    return socket


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended: a client library may take a cancellation for a failure of its own, and go on.

    Else a client that has gone would be waited for until the worker stops, and the worker for it.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_AGAIN_SECONDS)
    if not task.cancelled():
        task.exception()


def _expire_with(caller: Caller, client: SocketClient) -> asyncio.TimerHandle | None:
    """End a client's connection when its token ends."""
    if caller.expires_at is None:
        return None
    return asyncio.get_running_loop().call_later(max(0.0, caller.expires_at - time.time()), client.expire)
