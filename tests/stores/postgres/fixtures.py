"""A migrated database for each module, and connections and sinks that are closed at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import asyncpg
import pytest

from trafficapp.settings import Settings, load_settings
from trafficapp.stores.cameras.events_sink import HistoryEventsSink
from trafficapp.stores.cameras.windows_sink import HistoryMetricsSink
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
MakeSink: TypeAlias = Callable[..., Any]


@pytest.fixture(scope="module")
async def history_url(database_url: str) -> str:
    await asyncio.to_thread(migrate, database_url)
    return database_url


@pytest.fixture
def settings(history_url: str) -> Settings:
    return load_settings(postgres={"url": history_url})


@pytest.fixture
async def database(history_url: str) -> AsyncIterator[Connection]:
    """A connection beside the sink's, to an emptied database."""
    connection = await asyncpg.connect(history_url)
    await connection.execute(
        "TRUNCATE traffic_events, traffic_metrics, metrics_1m, metrics_1h, lane_sums_1m, lane_sums_1h,"
        " lane_sums_pending, sink_offsets, cameras"
    )
    yield connection
    await connection.close()


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with create_pool(settings.postgres) as pool:
        yield pool


@pytest.fixture
async def events_sink(database: Connection, settings: Settings) -> AsyncIterator[MakeSink]:
    """Make sinks of raw events; each is as another process."""
    async with AsyncExitStack() as stack:

        def make(**overrides: Any) -> HistoryEventsSink:
            sink = HistoryEventsSink(overrides.pop("settings", settings), **overrides)
            stack.push_async_callback(sink.close)
            return sink

        yield make


@pytest.fixture
async def metrics_sink(database: Connection, settings: Settings) -> AsyncIterator[MakeSink]:
    """Make sinks of finished windows; each is as another process."""
    async with AsyncExitStack() as stack:

        def make(**overrides: Any) -> HistoryMetricsSink:
            sink = HistoryMetricsSink(overrides.pop("settings", settings), **overrides)
            stack.push_async_callback(sink.close)
            return sink

        yield make
