"""What runs on behalf of clients ends with them, and with the worker."""

from __future__ import annotations

import asyncio

from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import serving
from trafficapp.settings import Settings

_ROUTES = ("/ws", "/ws/metrics", "/ws/events", "/ws/congestion/events", "/ws/quality")
_QUESTIONS = (
    "/health",
    "/metrics/current",
    "/api/dashboard/summary",
    "/api/map/heatmap",
    "/api/roads",
    "/api/alerts/current",
)


async def test_nothing_goes_on_once_a_worker_has_stopped(redis_server: RedisServer, settings: Settings) -> None:
    before = asyncio.all_tasks()
    async with serving(settings, redis_server) as worker:
        for path in _QUESTIONS:
            await (await worker.client.get(path)).read()
        sockets = [await worker.client.ws_connect(route) for route in _ROUTES]
        handlers = {task for task in asyncio.all_tasks() - before if "RequestHandler.start" in repr(task)}
        assert len(handlers) >= len(sockets)
        # as the server does when a worker stops: what ends already is cancelled once more
        for handler in handlers:
            handler.cancel()
        for turns in range(3):
            for handler in handlers:
                await asyncio.sleep(0)
                handler.cancel(f"once more, {turns}")
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert not left, left
