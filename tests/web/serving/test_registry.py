"""The registry in a worker's memory: what it knows, how it hears of changes, what it does in outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from tests.stores.postgres.proxy import Proxy
from tests.stores.redis.redis_server import RedisServer
from trafficapp.settings import load_settings
from trafficapp.stores.cameras.registry_queries import REGISTRY_CHANNEL
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import connect
from web.serving.database import Database
from web.serving.problems import ProblemError
from web.serving.registry import Place, Registry

RING = "[[11, 44], [12, 44], [12, 45], [11, 44]]"


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE cameras, monitoring_zones RESTART IDENTITY")
    await connection.execute(
        "INSERT INTO cameras (camera_id, name, latitude, longitude, road_segment) VALUES "
        "('in', 'Porta', 44.5, 11.9, 'A1'), ('corner', 'c', 44, 11, NULL), ('out', 'o', 44.9, 11.1, NULL), "
        "('nowhere', 'n', NULL, NULL, 'A2'), ('only reports', NULL, NULL, NULL, NULL)"
    )
    await connection.execute("INSERT INTO monitoring_zones (name, polygon) VALUES ('Centro', $1)", RING)
    await connection.close()
    async with Proxy(database_url).listening() as proxy:
        yield proxy


@pytest.fixture
async def registry(proxy: Proxy, redis_server: RedisServer) -> AsyncIterator[Registry]:
    database = Database(load_settings(postgres={"url": proxy.url}).postgres)
    registry = Registry(database, lambda: connect(redis_server.url, retries=0))
    yield registry
    await registry.stop()
    await database.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(180):
        while not condition():  # noqa: ASYNC110 - whatever the condition looks at tells nobody
            await asyncio.sleep(0.02)


async def test_it_knows_cameras_and_which_stand_in_a_zone(registry: Registry) -> None:
    assert await registry.choose(None) is None
    assert not registry.loaded
    assert registry.cameras_in("Centro") is None
    assert await registry.choose("Centro") == await registry.choose("1") == {"in", "corner"}
    assert registry.cameras.keys() == {"in", "corner", "out", "nowhere"}
    assert registry.place("in") == Place(44.5, 11.9)
    assert (registry.place("nowhere"), registry.place("only reports"), registry.place("unheard")) == (None,) * 3
    assert (registry.segment("nowhere"), registry.segment("out"), registry.segment(None)) == ("A2", None, None)
    with pytest.raises(ProblemError) as fault:
        await registry.choose("2")
    assert fault.value.status == 404


async def test_it_hears_of_changes_and_looks_again_after_it_could_not_hear(
    registry: Registry, redis_server: RedisServer, database_url: str
) -> None:
    registry.start()
    await until(lambda: registry.loaded)
    connection = await asyncpg.connect(database_url)
    async with connect(redis_server.url) as redis:
        while not await redis.publish(REGISTRY_CHANNEL, b""):  # noqa: ASYNC110 - until somebody listens
            await asyncio.sleep(0.02)
        await connection.execute("UPDATE cameras SET road_segment = 'A3' WHERE camera_id = 'in'")
        await redis.publish(REGISTRY_CHANNEL, b"")
        await until(lambda: registry.segment("in") == "A3")
    redis_server.kill()
    await connection.execute("UPDATE cameras SET road_segment = 'A4' WHERE camera_id = 'in'")
    redis_server.start()
    await until(lambda: registry.segment("in") == "A4")
    await connection.close()


async def test_what_was_known_stays_while_postgres_is_away(registry: Registry, proxy: Proxy) -> None:
    proxy.refusing = True
    with pytest.raises(ProblemError) as fault:
        await registry.choose("Centro")
    assert fault.value.status == 503
    proxy.refusing = False
    assert await registry.choose("Centro") == {"in", "corner"}
    proxy.refusing = True
    proxy.cut()
    assert not await registry.refresh()
    assert await registry.choose("Centro") == {"in", "corner"}


async def test_many_that_ask_at_once_share_one_reading(registry: Registry, proxy: Proxy) -> None:
    await registry.need()
    loads = 0
    ask = registry._database.ask

    async def counted(*arguments: object) -> object:
        nonlocal loads
        loads += 1
        return await ask(*arguments)  # type: ignore[arg-type]

    registry._database.ask = counted  # type: ignore[assignment]
    assert all(await asyncio.gather(*(registry.refresh() for _ in range(50))))
    assert loads <= 2
