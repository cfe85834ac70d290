from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from models.cameras.window_rows import WindowRow
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import records
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.cameras.live_sink import LiveSink
from trafficapp.stores.redis.connection import connect
from web.application import setup
from web.guards.connections import BoundedRunner
from web.serving.context import LocalCurrent, WebContext
from web.serving.database import Database
from web.serving.health import kafka_answers

Client = TestClient[web.Request, web.Application]

ADMIN_KEY = "the-administrators-key-of-the-tests"
ADMIN = {"X-Admin-Token": ADMIN_KEY}


@dataclass
class Worker:
    """A worker's web side against a Redis of its own, and the sink that feeds it; the client is an administrator."""

    redis_server: RedisServer
    client: Client
    context: WebContext
    sink: LiveSink
    next_offset: int = 100

    async def put(self, *rows: WindowRow) -> None:
        """Let rows take the way they take in production, from the sink on."""
        await self.sink.apply(0, records([*rows], self.next_offset), lambda: True)
        self.next_offset += len(rows)


class Server(TestServer):
    """An application as a worker runs it, on a port of its own."""

    def __init__(self, application: web.Application, settings: Settings, telemetry: Telemetry) -> None:
        super().__init__(application, host="127.0.0.1")
        self._settings, self._telemetry = settings, telemetry

    async def _make_runner(self, **_: Any) -> BoundedRunner:
        return BoundedRunner(self.app, self._settings.limits, self._telemetry.connections_closed)


async def _serve(
    settings: Settings,
    server: RedisServer,
    local: LocalCurrent | None = None,
    channels_url: str | None = None,
    feeds: Sequence[Feed[Any]] = FEEDS,
) -> AsyncIterator[Worker]:
    context = WebContext(
        settings=settings,
        telemetry=Telemetry("streams", "test"),
        redis=connect(server.url),
        database=Database(settings.postgres),
        kafka_up=kafka_answers(settings.kafka),
        local_current=local,
        feeds=feeds,
    )
    application = web.Application()
    setup(application, context, lambda: connect(channels_url or server.url, retries=0))
    sink_client: Redis = connect(server.url)
    sink = LiveSink(sink_client, an_hour_back)
    await sink.load([0])
    async with TestClient(Server(application, settings, context.telemetry), headers=ADMIN) as client:
        yield Worker(server, client, context, sink)
    sink.release([0])
    await sink_client.aclose()


serving = asynccontextmanager(_serve)


def offline() -> web.Application:
    """Everything that a worker serves, with no server behind it: to look at, not to ask."""
    settings = load_settings(
        redis={"url": "redis://127.0.0.1:9"},
        kafka={"bootstrap_servers": "127.0.0.1:9"},
        postgres={"url": "postgresql://127.0.0.1:9/nowhere"},
    )
    context = WebContext(
        settings=settings,
        telemetry=Telemetry("streams", "test"),
        redis=connect(settings.redis.url.get_secret_value()),
        database=Database(settings.postgres),
        kafka_up=kafka_answers(settings.kafka),
    )
    application = web.Application()
    setup(application, context, lambda: connect("redis://127.0.0.1:9", retries=0))
    return application


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


def settings_of(
    server: RedisServer, kafka: str = "127.0.0.1:9", database_url: str = "postgresql://127.0.0.1:9/nowhere"
) -> Settings:
    """Settings of a worker, whose Kafka and Postgres are not there unless they are named."""
    return load_settings(
        redis={"url": server.url},
        kafka={"bootstrap_servers": kafka},
        postgres={"url": database_url},
        web={"client_queue_messages": 8, "max_connections_per_socket_route": 4},
        # nobody is cut because the machine is busy with other tests
        events={"heartbeat_seconds": 60},
        admin={"api_key": ADMIN_KEY},
        # a process for each test would take longer than the test; tests/web/costly has some
        limits={"requests_per_second": 10_000, "burst": 10_000, "costly_apart": False},
        # who generates requests tries what wrong keys do; how guesses are held up is tried by itself
        auth={"wrong_keys_per_minute": 1e6, "wrong_keys_per_minute_in_all": 1e6},
    )


@pytest.fixture
def settings(redis_server: RedisServer) -> Settings:
    """Settings whose Kafka and Postgres are not there."""
    return settings_of(redis_server)


@pytest.fixture
async def worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    async for worker in _serve(settings, redis_server):
        yield worker


@pytest.fixture
async def history_worker(redis_server: RedisServer, database_url: str, kafka_bootstrap: str) -> AsyncIterator[Worker]:
    """A worker behind which everything is there."""
    async for worker in _serve(settings_of(redis_server, kafka_bootstrap, database_url), redis_server):
        yield worker


@pytest.fixture
async def local_rows() -> list[WindowRow]:
    """What the worker of `local_worker` has in its own tables."""
    return []


@pytest.fixture
async def local_worker(
    settings: Settings, redis_server: RedisServer, local_rows: list[WindowRow]
) -> AsyncIterator[Worker]:
    def local_current(camera_id: str | None) -> list[WindowRow]:
        return [row for row in local_rows if camera_id in (None, row.camera_id)]

    async for worker in _serve(settings, redis_server, local_current):
        yield worker
