"""Connections to a worker: how many an address has, how long they may take, and what who speaks no HTTP is told.

aiohttp bounds idle connections; the rest is added here, to its protocol class, of which a few private parts are used:
``tests/web/guards/test_connections.py`` fails when they change.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from aiohttp import hdrs, web
from aiohttp.web_protocol import RequestHandler
from prometheus_client import Counter as Metric

from trafficapp.settings import LimitSettings
from web.guards.refusals import REFUSALS, UNHEARD_SECONDS, Refusals

#: What a client takes at least of an answer that waits for it, in `LimitSettings.stalled_seconds`.
LEAST_TAKEN_BYTES = 32 * 1024

SERVER = "trafficapp"

_READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


class Bounds:
    """What connections are held to, and how many each address has.

    Args:
        limits: of the settings.
        refused: counts connections that were closed, by reason: ``too_many``, ``slow_head``, ``stalled``.
        refusals: knows who goes on asking although he is refused.
    """

    def __init__(self, limits: LimitSettings, refused: Metric | None = None, refusals: Refusals | None = None) -> None:
        self.limits = limits
        self._refusals = refusals
        self._refused = refused
        self._proxies: list[IPv4Network | IPv6Network] = [ip_network(p, strict=False) for p in limits.trusted_proxies]
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Take a place for an address; False when it has all that one gets. Proxies have many clients."""
        if self._open[address] >= self.limits.connections_per_address and not self._is_proxy(address):
            return False
        self._open[address] += 1
        return True

    def is_heard_later(self, address: str) -> bool:
        """Count a new connection; whether it waits, as its address has so many although its questions are refused."""
        if self._refusals is None or self._is_proxy(address):
            return False
        return self._refusals.is_heard_later(address)

    def leave(self, address: str) -> None:
        """Give the place back."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]

    def count(self, reason: str) -> None:
        """A connection was closed."""
        if self._refused is not None:
            self._refused.labels(reason).inc()

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ip_network(address)
        except ValueError:
            return False
        return any(found.version == proxy.version and found.subnet_of(proxy) for proxy in self._proxies)  # type: ignore[arg-type]


class Connection(RequestHandler):
    """One connection of a client.

    Whoever asks for something and leaves is not answered any more: what reads is stopped, what writes is finished.
    """

    def __init__(self, *args: Any, bounds: Bounds, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bounds = bounds
        self._address: str | None = None
        self._heard = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._hear_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or say that there is none."""
        address = _address_of(transport)
        if not self._bounds.enter(address):
            self._bounds.count("too_many")
            assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a server
            transport.write(_bare(HTTPStatus.TOO_MANY_REQUESTS, "Retry-After: 10\r\n"))
            transport.close()
            return
        self._address = address
        super().connection_made(transport)
        if self._bounds.is_heard_later(address):
            assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a server
            transport.pause_reading()
            self._hear_timer = self._loop.call_later(UNHEARD_SECONDS, self._hear)
        else:
            self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop what somebody asked for who has gone."""
        for timer in (self._head_timer, self._stall_timer, self._hear_timer):
            if timer is not None:
                timer.cancel()
        if self._address is not None:
            self._bounds.leave(self._address)
            self._address = None
        asked, answering = self._current_request, self._task_handler
        is_reading = asked is not None and asked.method in _READING and not self._upgraded
        super().connection_lost(exc)
        if is_reading and answering is not None:
            answering.cancel()

    def data_received(self, data: bytes) -> None:
        """Note when a head begins, and when it is whole."""
        self._heard = True
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None and data and self._is_idle():
            self._await_head()

    def pause_writing(self) -> None:
        """Look after a client that does not take what it asked for; sockets have their own way."""
        super().pause_writing()
        if not self._upgraded:
            self._await_taking()

    def resume_writing(self) -> None:
        """It has taken it."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, with nothing of what was in it and nothing about us."""
        super().handle_error(request, status, exc, message)
        answer = web.Response(status=status, headers={hdrs.SERVER: SERVER, hdrs.CACHE_CONTROL: "no-store"})
        answer.force_close()
        return answer

    def _is_idle(self) -> bool:
        """Whether no request is being answered, nor waits for that."""
        return self._waiter is not None and not self._waiter.done() and not self._messages

    def _hear(self) -> None:
        self._hear_timer = None
        if self.transport is not None:
            self.transport.resume_reading()
            self._await_head()

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(self._bounds.limits.head_seconds, self._end_slow_head)

    def _end_slow_head(self) -> None:
        self._head_timer = None
        if not self._is_idle() or self.transport is None:
            return
        self._bounds.count("slow_head")
        if self._heard:
            self.transport.write(_bare(HTTPStatus.REQUEST_TIMEOUT))
        self.force_close()

    def _await_taking(self) -> None:
        if self.transport is not None:
            waiting = self.transport.get_write_buffer_size()
            seconds = self._bounds.limits.stalled_seconds
            self._stall_timer = self._loop.call_later(seconds, self._end_stalled, waiting)

    def _end_stalled(self, waiting_before: int) -> None:
        self._stall_timer = None
        if self.transport is None or self._upgraded:
            return
        if self.transport.get_write_buffer_size() > waiting_before - LEAST_TAKEN_BYTES:
            self._bounds.count("stalled")
            self.transport.abort()
        else:
            self._await_taking()


class BoundedRunner(web.AppRunner):
    """Runs an application with `Connection`.

    Args:
        app: the application.
        limits: of connections.
        refused: see `Bounds`.
        options: further ones of aiohttp's protocol.
    """

    def __init__(
        self, app: web.Application, limits: LimitSettings, refused: Metric | None = None, **options: Any
    ) -> None:
        super().__init__(app, access_log=None, keepalive_timeout=limits.keep_alive_seconds, **options)
        self._limits, self._refused = limits, refused

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _BoundedServer(made, Bounds(self._limits, self._refused, self.app.get(REFUSALS)))


class _BoundedServer(web.Server):
    """Makes a `Connection` for each client."""

    def __init__(self, made: web.Server, bounds: Bounds) -> None:
        super().__init__(made.request_handler, request_factory=made.request_factory, **made._kwargs)  # noqa: SLF001
        self._bounds = bounds

    def __call__(self) -> Connection:
        """One more."""
        return Connection(self, loop=self._loop, bounds=self._bounds, **self._kwargs)


def _address_of(transport: asyncio.BaseTransport) -> str:
    """Whose places are counted together: those of an address, of IPv6 those of its network."""
    peer = transport.get_extra_info("peername")
    host = str(peer[0]) if isinstance(peer, tuple | list) and peer else "unknown"
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(IPv6Network((address, 64), strict=False)) if address.version == 6 else host


def _bare(status: HTTPStatus, headers: str = "") -> bytes:
    """An answer outside of any request."""
    line = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
    return f"{line}Server: {SERVER}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
