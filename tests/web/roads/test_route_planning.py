from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.stores.redis.redis_server import RedisServer
from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import load_settings
from trafficapp.stores.redis.connection import connect
from web.roads.route_planning import RoutePlanning
from web.sockets.subscription import Subscription


async def test_nobody_listens_any_more_when_it_has_stopped(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the client's first answer to being cancelled is to go on, as ``asyncio.wait_for`` does up to 3.11."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def run(_: Subscription) -> None:
        began.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(Subscription, "run", run)
    settings, redis = load_settings(), connect(redis_server.url)
    planning = RoutePlanning(
        settings.roads, Telemetry("streams", "test"), redis, lambda: connect(redis_server.url), settings.weather
    )
    planning.start()
    async with asyncio.timeout(180):
        await began.wait()
        await planning.stop()
    assert ended.is_set()
    await redis.aclose()
