"""A local server that answers as HERE Traffic v7 does, and as badly as it is told to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from models.timestamps import rfc3339
from tests.roads.feed_messages import line_of
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings

KEY = "the-key-of-the-tests"


def result(edge: str = "a10", *, closed: bool = False, **flow: Any) -> dict[str, Any]:
    """A road of Bologna in HERE's shape; a value of ``...`` leaves a field out."""
    line = line_of(city_graph(RoadSettings()), edge)
    middle = len(line) // 2
    links = [line[: middle + 1], line[middle:]] if middle else [line]
    current = {
        "speed": 5.0,
        "speedUncapped": 5.5,
        "freeFlow": 13.888889,
        "jamFactor": 6.4,
        "confidence": 0.98,
        "traversability": "closed" if closed else "open",
    } | flow
    return {
        "location": {
            "description": f"Via {edge}",
            "length": 120.0,
            "shape": {
                "links": [{"points": [{"lat": lat, "lng": lon} for lon, lat in link], "length": 60.0} for link in links]
            },
        },
        "currentFlow": {name: value for name, value in current.items() if value is not ...},
    }


def flow(*results: Any, seconds_ago: float = 30) -> dict[str, Any]:
    """An answer of some time ago."""
    return {"sourceUpdated": rfc3339(time.time_ns() // 1000 - round(seconds_ago * 1e6)), "results": list(results)}


@dataclass
class HereServer:
    """Gives its answers in turn, the last again and again.

    Attributes:
        answers: made by `web.Response` or the like when they are asked for.
        asked: query and headers of every request.
    """

    url: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    answers: deque[Any] = field(default_factory=deque)
    asked: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)

    def will(self, *answers: Any) -> None:
        """Answer with an object as JSON with a tag, bytes as they are, (status, headers, body), or after seconds."""
        self.answers = deque(answers)

    async def flow(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((dict(request.query), dict(request.headers)))
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, tuple):
            status, headers, *body = answer
            return web.json_response(*body, status=status, headers=headers)
        if isinstance(answer, bytes):
            return web.Response(body=answer, content_type="application/json")
        if isinstance(answer, float):
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), answer)
            return web.Response()
        response = web.json_response(answer)
        tag = f'"{hash(repr(answer)):x}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        response.headers["ETag"] = tag
        response.enable_compression()
        return response


@contextmanager
def here_server() -> Iterator[HereServer]:
    """A server in a thread of its own, so that what asks it may block."""
    server, ready = HereServer(), threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        application = web.Application()
        application.router.add_get("/v7/flow", server.flow)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await server.ended.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(server.ended.set)
        thread.join(10)
        loop.close()
