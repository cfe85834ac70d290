"""An empty Postgres filled from files: what stood there before, and where workers go on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import psycopg
import pytest

from tests.feeds.parking_bays import TABLE
from tests.stores.lake.fixtures import FEED, Make, bays, make, owned, settings, storage_of, write
from trafficapp.engine.state_rows import SourceLog
from trafficapp.history_sinks import history_sink
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.lake.restore import restore
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool

__all__ = ["make", "settings"]

LOG = SourceLog("/G3Zk0bJQ2/7+UO4yW8c1A", 2)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Pool[Any]]:
    await asyncio.to_thread(migrate, database_url)
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute("DROP TABLE IF EXISTS parking_bays")
        server.execute(TABLE)
        server.execute("TRUNCATE sink_offsets")
    async with create_pool(load_settings(postgres={"url": database_url}).postgres) as pool:
        yield pool


async def rows(database: asyncpg.Pool[Any]) -> list[tuple[Any, ...]]:
    found = await database.fetch("SELECT * FROM parking_bays ORDER BY bay_id")
    return [tuple(row) for row in found]


async def offsets(database: asyncpg.Pool[Any]) -> list[tuple[Any, ...]]:
    found = await database.fetch(
        "SELECT topic, partition, next_offset, log_id FROM sink_offsets ORDER BY topic, partition"
    )
    return [tuple(row) for row in found]


async def test_a_restored_database_is_what_it_was(
    make: Make, settings: Settings, database_url: str, database: asyncpg.Pool[Any]
) -> None:
    settings = load_settings(app_id=settings.app_id, lake=settings.lake, postgres={"url": database_url})
    lake, history = make(), history_sink(FEED, settings)
    await lake.load([0, 1], LOG)
    await history.load([0, 1], LOG)
    chance = random.Random(3)
    for partition in (0, 1):
        first = 0
        while first < 200:
            end = min(first + chance.randrange(1, 60), 200)
            run = bays(range(first, end), partition, lambda offset: offset % 3)
            await history.apply(partition, run, owned)
            await write(lake, partition, run)
            first = end
    before, reached = await rows(database), await offsets(database)
    assert len(before) == 400
    await history.close()
    await database.execute("TRUNCATE parking_bays, sink_offsets")

    class Stopped(Exception):
        pass

    def stop(_: int) -> None:
        raise Stopped

    broken = history_sink(FEED, settings)
    with pytest.raises(Stopped):
        await restore(storage_of(settings), broken, stop)
    await broken.close()
    again = history_sink(FEED, settings)
    count = await restore(storage_of(settings), again)
    assert 0 < count < 400
    assert await rows(database) == before
    assert await offsets(database) == reached
    assert await restore(storage_of(settings), again) == 0
    # a worker goes on behind it
    await again.load([0, 1], LOG)
    await again.apply(0, bays(range(200, 210)), owned)
    assert len(await rows(database)) == 410
    await again.close()
