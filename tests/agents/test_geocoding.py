"""Rows of area counters get their addresses: from Postgres, Redis and a service on this machine."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import asyncpg
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from agents.geocoding import Geocoding
from tests.geocoding.nominatim_server import NominatimServer, hanoi, nominatim_server
from tests.stores.redis.redis_server import RedisServer
from trafficapp.engine.history_telemetry import GeocodingTelemetry
from trafficapp.geocoding.nominatim import NominatimClient
from trafficapp.settings import PostgresSettings
from trafficapp.settings.geocoding import GeocodingSettings
from trafficapp.stores.geocoding.turns import Turns
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.stores.redis.connection import connect

HANOI = (21.0278, 105.8342)
AT_SEA = (15.0, 112.5)

#: What the feed of area counters makes.
TABLE = """
    CREATE TABLE IF NOT EXISTS traffic_data (
        stream_id uuid PRIMARY KEY, timestamp timestamptz NOT NULL,
        longitude double precision, latitude double precision, total_in_area bigint,
        fulladdress text, city text, province text, address_source text, address_distance_m double precision
    )
"""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Make = Callable[..., Any]


@pytest.fixture(scope="module")
async def counters_url(database_url: str) -> str:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute(TABLE)
    await connection.close()
    return database_url


@pytest.fixture
async def pool(counters_url: str) -> AsyncIterator[Pool]:
    async with create_pool(PostgresSettings(url=counters_url)) as pool:
        await pool.execute("TRUNCATE traffic_data, geocodes, geocoding_turns")
        yield pool


@pytest.fixture(scope="module")
def redis_server() -> Any:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = connect(redis_server.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def server() -> AsyncIterator[NominatimServer]:
    async with nominatim_server() as server:
        yield server


@pytest.fixture
async def make(pool: Pool, client: Redis) -> AsyncIterator[Make]:
    """Make what names places, as another worker has it."""
    async with AsyncExitStack() as stack:

        async def make(url: str | None = None, client: Redis = client, **settings: Any) -> Geocoding:
            pause_seconds = settings.pop("pause_seconds", 0.02)
            chosen = GeocodingSettings(url=url, **{"look_seconds": 0.05, "first_retry_seconds": 0.1} | settings)
            # less than a setting may say, so that nobody waits for tests
            chosen = chosen.model_copy(update={"pause_seconds": pause_seconds})
            service = None if url is None else await stack.enter_async_context(NominatimClient(chosen))
            return Geocoding(chosen, pool, client, service, GeocodingTelemetry(CollectorRegistry()))

        yield make


async def put(pool: Pool, *places: tuple[float | None, float | None], **more: Any) -> list[uuid.UUID]:
    """Rows of counters at places, as the feed writes them."""
    ids = [uuid.uuid4() for _ in places]
    columns = ["stream_id", "timestamp", "latitude", "longitude", *more]
    marks = ", ".join(["$1", "now()", *(f"${number}" for number in range(2, len(columns)))])
    await pool.executemany(
        f"INSERT INTO traffic_data ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608 - names of columns
        [(one, *place, *more.values()) for one, place in zip(ids, places, strict=True)],
    )
    return ids


async def addresses(pool: Pool, ids: list[uuid.UUID]) -> list[tuple[Any, ...]]:
    """City, province and source of rows."""
    rows = await pool.fetch("SELECT stream_id, city, province, address_source FROM traffic_data")
    by_id = {row["stream_id"]: tuple(row)[1:] for row in rows}
    return [by_id[one] for one in ids]


async def turns_until(geocoding: Geocoding, done: Callable[[], Any], seconds: float = 120) -> None:
    """Let it look again and again until something is so."""
    end = time.monotonic() + seconds
    while True:
        await geocoding.turn()
        is_done = done()
        if await is_done if asyncio.iscoroutine(is_done) else is_done:
            return
        assert time.monotonic() < end


def by_service(pool: Pool, count: int) -> Callable[[], Any]:
    async def is_so() -> bool:
        query = "SELECT count(*) FROM traffic_data WHERE address_source = 'nominatim'"
        return bool(await pool.fetchval(query) == count)

    return is_so


# ---------------------------------------------------------------------- without asking


async def test_without_a_service_places_are_named_by_what_ships(pool: Pool, make: Make) -> None:
    ids = await put(pool, HANOI, (44.494, 11.343), AT_SEA, (None, None), (float("nan"), 10.0), (91.0, 10.0))
    geocoding = await make()
    await geocoding.turn()
    assert await addresses(pool, ids) == [
        ("Hanoi", "Hanoi", "offline"),
        ("Bologna", "Emilia-Romagna", "offline"),
        (None, None, "unknown"),
        (None, None, None),
        (None, None, None),
        (None, None, None),
    ]
    far = await pool.fetchrow("SELECT * FROM traffic_data WHERE stream_id = $1", ids[2])
    assert far is not None
    assert far["fulladdress"] is None
    assert far["address_distance_m"] > 30_000
    near = await pool.fetchrow("SELECT * FROM traffic_data WHERE stream_id = $1", ids[0])
    assert near is not None
    assert (near["fulladdress"], round(near["address_distance_m"])) == ("Hanoi", 811)
    assert await pool.fetchval("SELECT count(*) FROM geocodes") == 0


async def test_what_is_named_once_is_left_alone(pool: Pool, make: Make, server: NominatimServer) -> None:
    own = await put(pool, HANOI, city="Named by the counter", address_source="counter")
    done = await put(pool, HANOI, city="Named before", address_source="nominatim")
    geocoding = await make(server.url)
    await geocoding.turn()
    assert await addresses(pool, own + done) == [
        ("Named by the counter", None, "counter"),
        ("Named before", None, "nominatim"),
    ]
    assert not server.asked


# ---------------------------------------------------------------------- asking


async def test_a_thousand_rows_at_one_place_are_one_request(pool: Pool, make: Make, server: NominatimServer) -> None:
    """Whatever number of workers looks, and whatever the last digits of the coordinates."""
    lat, lon = HANOI
    ids = await put(pool, *((lat + number * 4e-8, lon - number * 4e-8) for number in range(1000)))
    workers = [await make(server.url) for _ in range(3)]
    await asyncio.gather(*(turns_until(worker, by_service(pool, 1000)) for worker in workers))
    more = await put(pool, *[HANOI] * 1500)
    for worker in workers:
        await turns_until(worker, by_service(pool, 2500))
    assert server.asked == [HANOI]
    assert set(await addresses(pool, ids + more)) == {("Hà Nội", "Hà Nội", "nominatim")}
    assert await pool.fetchval("SELECT max(address_distance_m) FROM traffic_data") < 20


async def test_each_place_gets_its_own_address(pool: Pool, make: Make, server: NominatimServer) -> None:
    """Also when some are not answered: nobody takes a neighbour's."""
    places = [(21.01 + number / 100, 105.83) for number in range(4)]

    def answer(latitude: float, longitude: float) -> Any:
        if round(latitude, 2) == 21.02:
            return web.Response(status=500, text="out of order")
        if round(latitude, 2) == 21.03:
            return {"error": "Unable to geocode"}
        return hanoi(latitude, longitude)

    server.answer = answer
    ids = await put(pool, *places)
    geocoding = await make(server.url, offline_fallback=False)
    await turns_until(geocoding, by_service(pool, 2))
    await turns_until(geocoding, lambda: len(set(server.asked)) == 4)
    rows = await pool.fetch("SELECT stream_id, latitude, fulladdress FROM traffic_data")
    told = {row["stream_id"]: row["fulladdress"] for row in rows}
    assert [told[one] and told[one].split(",")[0] for one in ids] == [
        "Ngõ 21.0100 105.8300", None, None, "Ngõ 21.0400 105.8300",
    ]  # fmt: skip
    # what the service has nothing for is not asked for again, and what it fails at is not soon
    asked = len(server.asked)
    for _ in range(40):
        await geocoding.turn()
    assert len(server.asked) == asked


async def test_requests_of_all_workers_are_apart(pool: Pool, make: Make, server: NominatimServer) -> None:
    await put(pool, *((21.0 + number / 100, 105.8) for number in range(6)))
    workers = [await make(server.url, pause_seconds=0.3, look_seconds=0.4) for _ in range(3)]
    await asyncio.gather(*(turns_until(worker, by_service(pool, 6)) for worker in workers))
    assert len(server.asked) == len(set(server.asked)) == 6
    times = sorted(server.times)
    assert all(later - end >= 0.3 for (_, end), (later, _) in itertools.pairwise(times))


async def test_a_counter_that_moves_while_it_is_asked_for_keeps_no_old_address(
    pool: Pool, make: Make, server: NominatimServer
) -> None:
    [moving] = await put(pool, HANOI)
    moved = asyncio.Event()

    async def move() -> None:
        await pool.execute("UPDATE traffic_data SET latitude = 10.7769, longitude = 106.7009, address_source = NULL")
        moved.set()

    tasks = []

    def answer(latitude: float, longitude: float) -> Any:
        if not tasks:
            tasks.append(asyncio.get_running_loop().create_task(move()))
        return hanoi(latitude, longitude)

    server.answer = answer
    geocoding = await make(server.url, offline_fallback=False)
    original = geocoding._answers.put

    async def put_late(*arguments: Any) -> None:
        # the answer is on its way until the row has moved
        await moved.wait()
        await original(*arguments)

    geocoding._answers.put = put_late  # type: ignore[method-assign]
    await geocoding.turn()
    assert await addresses(pool, [moving]) == [(None, None, None)]
    await turns_until(geocoding, by_service(pool, 1))
    told = await pool.fetchval("SELECT fulladdress FROM traffic_data")
    assert told.startswith("Ngõ 10.7769 106.7009")


# ---------------------------------------------------------------------- outages


@pytest.mark.parametrize("offline_fallback", [True, False])
async def test_rows_are_completed_when_the_network_is_back(
    pool: Pool, make: Make, server: NominatimServer, offline_fallback: bool
) -> None:
    server.away = True
    ids = await put(pool, *[HANOI] * 3)
    geocoding = await make(server.url, offline_fallback=offline_fallback)
    for _ in range(3):
        await geocoding.turn()
    meanwhile = ("Hanoi", "Hanoi", "offline") if offline_fallback else (None, None, None)
    assert await addresses(pool, ids) == [meanwhile] * 3
    server.away = False
    await turns_until(geocoding, by_service(pool, 3))
    assert await addresses(pool, ids) == [("Hà Nội", "Hà Nội", "nominatim")] * 3
    assert len(server.asked) == 1


async def test_a_service_that_fails_is_asked_less_and_less_often_by_all_workers(
    pool: Pool, make: Make, server: NominatimServer
) -> None:
    settings = {"first_retry_seconds": 2.0, "longest_retry_seconds": 60.0}
    waits = []
    for _ in range(8):
        # each as a worker that was started anew
        turns = Turns(pool, "nominatim", 1.0, 2.0, 60.0)
        assert await turns.take(10) is None
        await turns.failed(None)
        waits.append(await turns.take(10))
        await pool.execute("UPDATE geocoding_turns SET free_at = now()")
    assert [round(wait or 0) for wait in waits] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert await turns.take(10) is None
    await turns.failed(600.0)
    assert round(await turns.take(10) or 0) == 600
    geocoding = await make(server.url, **settings)
    await put(pool, HANOI)
    await geocoding.turn()
    assert not server.asked
    await pool.execute("UPDATE geocoding_turns SET free_at = now()")
    await turns_until(geocoding, by_service(pool, 1))
    assert await pool.fetchval("SELECT failures FROM geocoding_turns") == 0


async def test_a_turn_ends_with_its_holder(pool: Pool) -> None:
    killed, other = (Turns(pool, "nominatim", 1.0, 2.0, 60.0) for _ in range(2))
    assert await killed.take(0.3) is None
    assert 0 < (await other.take(0.3) or 0) <= 0.3
    await asyncio.sleep(0.35)
    assert await other.take(30) is None
    # who wakes up late gives back nothing that is another's
    await killed.done()
    await killed.failed(None)
    assert (await killed.take(30) or 0) > 25
    # a clock that went back holds up nobody
    await pool.execute("UPDATE geocoding_turns SET free_at = now() + interval '1 day'")
    assert await killed.take(30) is None


async def test_redis_is_missed_by_nobody(pool: Pool, make: Make, server: NominatimServer) -> None:
    away = connect("redis://127.0.0.1:9")
    ids = await put(pool, HANOI)
    await turns_until(await make(server.url, client=away), by_service(pool, 1))
    await away.aclose()
    ids += await put(pool, HANOI)
    await turns_until(await make(server.url), by_service(pool, 2))
    assert len(server.asked) == 1


async def test_answers_are_in_both_stores_and_are_asked_for_again_when_they_are_old(
    pool: Pool, make: Make, server: NominatimServer, client: Redis
) -> None:
    await put(pool, HANOI)
    await turns_until(await make(server.url), by_service(pool, 1))
    [key] = await client.keys("geocode:*")
    assert key == b"geocode:nominatim:21.0278,105.8342"
    assert 0 < await client.ttl(key) <= 90 * 86_400
    # Redis alone, and Postgres alone
    await pool.execute("DELETE FROM geocodes")
    await put(pool, HANOI)
    await turns_until(await make(server.url), by_service(pool, 2))
    assert len(server.asked) == 1
    await pool.execute("TRUNCATE geocoding_turns")
    await client.flushall()
    await put(pool, HANOI)
    await turns_until(await make(server.url), by_service(pool, 3))
    assert len(server.asked) == 2
    await client.flushall()
    await put(pool, HANOI)
    await turns_until(await make(server.url), by_service(pool, 4))
    assert len(server.asked) == 2
    assert await client.keys("geocode:*") == [key]
    # what is too old is asked for again, and forgotten
    await client.flushall()
    await pool.execute("UPDATE geocodes SET answered_at = now() - interval '91 days'")
    await pool.execute("TRUNCATE geocoding_turns")
    await put(pool, HANOI)
    await turns_until(await make(server.url), by_service(pool, 5))
    assert len(server.asked) == 3
    await pool.execute("UPDATE geocodes SET answered_at = now() - interval '91 days'")
    await (await make())._answers.forget_old()
    assert await pool.fetchval("SELECT count(*) FROM geocodes") == 0


async def test_garbage_in_redis_is_no_answer(pool: Pool, make: Make, server: NominatimServer, client: Redis) -> None:
    await client.set("geocode:nominatim:21.0278,105.8342", b"{")
    await put(pool, HANOI)
    await turns_until(await make(server.url), by_service(pool, 1))
    assert len(server.asked) == 1


async def test_many_rows_are_gone_through_page_by_page(pool: Pool, make: Make) -> None:
    await put(pool, *((10 + number * 1e-4, 106.0) for number in range(2500)))
    await (await make()).turn()
    assert await pool.fetchval("SELECT count(*) FROM traffic_data WHERE address_source IS NULL") == 0
