"""One application for the tests of a module, and one browser of each kind for a whole run."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser

from models.alerts import AlertEvent
from models.timestamps import rfc3339
from tests.stores.alerts.alert_messages import alert_event, store
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import window_rows
from tests.web.administration.conftest import TABLES, Call, Connection, caller, migrated
from tests.web.conftest import Worker, serving, settings_of
from tests.web.dashboard.chromium import MARKUP, browser
from tests.web.sockets.test_events import step
from trafficapp.engine.kafka import create_topics
from trafficapp.fleet.feeds import CARS, FLEET
from trafficapp.topics import ALERTS, declared_topics

__all__ = ["migrated"]


@pytest.fixture(scope="session")
async def plain() -> AsyncIterator[Browser]:
    """A browser that draws no maps."""
    async with browser(draws_maps=False) as running:
        yield running


@pytest.fixture(scope="session")
async def drawing() -> AsyncIterator[Browser]:
    """A browser that draws maps."""
    async with browser(draws_maps=True) as running:
        yield running


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
async def history_worker(redis_server: RedisServer, database_url: str, kafka_bootstrap: str) -> AsyncIterator[Worker]:
    """A worker behind which everything is there."""
    async with serving(settings_of(redis_server, kafka_bootstrap, database_url), redis_server) as worker:
        yield worker


@pytest.fixture(scope="module")
async def tables(migrated: str) -> AsyncIterator[Connection]:
    """A connection to tables that were empty when the module began."""
    connection = await asyncpg.connect(migrated)
    await connection.execute(f"TRUNCATE {TABLES} RESTART IDENTITY")
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def call(tables: Connection, history_worker: Worker) -> Call:
    """Call the worker as an administrator."""
    return caller(history_worker)


@pytest.fixture(scope="module")
async def base(history_worker: Worker, call: Call) -> str:
    """The address of a worker whose Kafka takes what people do; it has a camera and a zone, named with markup."""
    settings = history_worker.context.settings
    needed = {ALERTS, FLEET.topic_in(settings)}
    await create_topics(settings, [topic for topic in declared_topics(settings, [CARS]) if topic.name in needed])
    place = {"latitude": 44.4971, "longitude": 11.3274}
    await call("POST", "/api/admin/cameras", {"camera_id": "cam_01", "name": f"One {MARKUP}", **place}, 201)
    ring = [{"lat": 44.49, "lon": 11.31}, {"lat": 44.49, "lon": 11.34}, {"lat": 44.5, "lon": 11.34}]
    await call("POST", "/api/admin/zones", {"name": f"zone {MARKUP}", "coordinates": ring}, 201)
    return str(history_worker.client.make_url("/"))


@pytest.fixture
async def alert(history_worker: Worker, base: str, tables: Connection) -> AlertEvent:
    """The only open alert, with markup in what people may write; two cameras have windows of just now."""
    await history_worker.put(*window_rows("cam_01", 12), *window_rows("cam_02", 3))
    now = rfc3339(time.time_ns() // 1000)
    times: dict[str, Any] = {"since": now, "triggered_at": now, "updated_at": now}
    made = alert_event("lorry", "cam_01", title=f"Lorry {MARKUP}", message=MARKUP, **times)
    await tables.execute("TRUNCATE alerts, alert_acknowledgements, alert_comments")
    await store(tables, made)
    await step(history_worker, made)
    return made
