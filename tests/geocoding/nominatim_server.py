"""The world outside: a server on this machine that speaks Nominatim's API and counts who asks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


def hanoi(latitude: float, longitude: float) -> dict[str, Any]:
    """What a server says of places in Hanoi; every place has a street of its own."""
    return {
        "lat": f"{latitude + 0.0001}",
        "lon": f"{longitude}",
        "display_name": f"Ngõ {latitude:.4f} {longitude:.4f}, Phường Ba Đình, Hà Nội, 11114, Việt Nam",
        "address": {"suburb": "Phường Ba Đình", "city": "Hà Nội", "country": "Việt Nam", "postcode": "11114",
                    "ISO3166-2-lvl4": "VN-HN"},
    }  # fmt: skip


class NominatimServer:
    """Answers ``/reverse``.

    Attributes:
        asked: coordinates that were asked for.
        times: when requests came and when they had been answered, seconds.
        queries: parameters of each.
        headers: of each.
        answer: what is said of a place: a JSON value, or a whole response.
        away: while true, connections are cut.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []
        self.times: list[tuple[float, float]] = []
        self.queries: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[float, float], Any] = hanoi
        self.away = False
        self.url = ""

    async def reverse(self, request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        if self.away:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        self.queries.append(dict(request.query))
        self.headers.append(dict(request.headers))
        place = float(request.query["lat"]), float(request.query["lon"])
        self.asked.append(place)
        said = self.answer(*place)
        self.times.append((began, time.monotonic()))
        return said if isinstance(said, web.StreamResponse) else web.json_response(said)


@asynccontextmanager
async def nominatim_server() -> AsyncIterator[NominatimServer]:
    """A server while the block lasts."""
    server = NominatimServer()
    app = web.Application()
    app.router.add_get("/reverse", server.reverse)
    app.router.add_get("/v1/reverse", server.reverse)
    async with TestServer(app) as listening:
        server.url = str(listening.make_url("")).rstrip("/")
        yield server
