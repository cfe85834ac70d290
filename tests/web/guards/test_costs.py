"""One who asks for much beside others, on real servers: by counts and statuses.

A question is held up in Postgres by a lock, so that it lasts as long as the test wants.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import asyncpg
import msgspec
import pytest

from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import ADMIN, Worker, serving, settings_of
from trafficapp.reports.report import Report
from trafficapp.settings import load_settings
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.reading import ROWS_AT_ONCE, made_of
from web.cameras import analytics
from web.serving.operations import OPERATIONS

HOSTILE, HONEST, ANOTHER = "192.0.2.66", "192.0.2.1", "192.0.2.2"
LONG = "start=2025-11-01T00:00:00Z&end=2026-11-25T00:00:00Z&tz=Asia/Kathmandu"


@pytest.fixture(scope="module")
async def migrated(database_url: str) -> str:
    await asyncio.to_thread(migrate, database_url)
    return database_url


@pytest.fixture
async def busy_worker(redis_server: RedisServer, migrated: str, kafka_bootstrap: str) -> AsyncIterator[Worker]:
    """A worker to which anything of more than a few rows is costly, with a proxy that tells clients apart."""
    settings = settings_of(redis_server, kafka_bootstrap, migrated).model_dump()
    settings["limits"] |= {"costly_rows": 1000, "costly_wait_seconds": 60, "trusted_proxies": ["127.0.0.1"]}
    settings["limits"] |= {"streams_per_client": 2}
    async with serving(load_settings(**settings), redis_server) as worker:
        await worker.context.registry.refresh()
        yield worker


@contextlib.asynccontextmanager
async def locked(database_url: str, *tables: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Hold tables so that whoever reads them waits; gives how many do."""
    holding, looking = await asyncpg.connect(database_url), await asyncpg.connect(database_url)

    async def held_up() -> int:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(await looking.fetchval(waiting))

    transaction = holding.transaction()
    await transaction.start()
    try:
        await holding.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        yield held_up
    finally:
        await transaction.rollback()
        await holding.close()
        await looking.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(180):
        while not await condition():  # noqa: ASYNC110 - it is another process that is waited for
            await asyncio.sleep(0.02)


class Clients:
    """Asks as somebody."""

    def __init__(self, worker: Worker, session: aiohttp.ClientSession) -> None:
        self._worker, self._session = worker, session

    async def status(self, address: str, path: str, method: str = "GET", **arguments: Any) -> int:
        headers = {"X-Forwarded-For": address, **arguments.pop("headers", {})}
        url = str(self._worker.client.make_url("/")).rstrip("/") + path
        async with self._session.request(method, url, headers=headers, **arguments) as response:
            await response.read()
            assert response.status != 429 or int(response.headers["Retry-After"]) >= 1
            return response.status

    def ask(self, address: str, path: str, times: int) -> list[asyncio.Task[int]]:
        return [asyncio.create_task(self.status(address, path)) for _ in range(times)]


@pytest.fixture
async def clients(busy_worker: Worker) -> AsyncIterator[Clients]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Clients(busy_worker, session)


async def test_one_who_asks_for_years_holds_up_nobody(busy_worker: Worker, clients: Clients, migrated: str) -> None:
    costly = busy_worker.context.costs.costly
    async with locked(migrated, "metrics_1h", "metrics_1m", "metrics_changes") as held_up:
        hostile = clients.ask(HOSTILE, f"/api/analytics/metrics?{LONG}", 40)
        # one runs, four wait, what else he asks is refused or waits for these
        await until(lambda: _is((costly.running, costly.waiting), (1, 4)))
        await until(lambda: _at_least(sum(task.done() for task in hostile), 5))
        assert {task.result() for task in hostile if task.done()} == {429}
        # others are answered meanwhile: administration, health, what is light
        zone = {
            "name": "centre",
            "coordinates": [{"lat": 44, "lon": 11}, {"lat": 45, "lon": 11}, {"lat": 45, "lon": 12}],
        }
        assert await clients.status(HONEST, "/api/admin/zones", "POST", json=zone, headers=ADMIN) == 201
        assert await clients.status(HONEST, "/api/admin/audit", headers=ADMIN) == 200
        health = await busy_worker.client.get("/health")
        assert (await health.json())["postgres"] == "ok"
        assert await clients.status(HONEST, "/api/alerts/history") == 200
        assert await clients.status(HONEST, "/api/notifications") == 200
        # a costly question of another client has its turn beside his
        honest = clients.ask(HONEST, f"/api/analytics/metrics?{LONG}", 1)
        await until(lambda: _is(costly.running, 2))
        another = clients.ask(ANOTHER, f"/api/analytics/trends?{LONG}", 1)
        await until(lambda: _is(costly.waiting, 5))
        assert 0 < await held_up() <= 2
    assert [await honest[0], await another[0]] == [200, 200]
    counts = Counter(await asyncio.gather(*hostile))
    assert set(counts) == {200, 429}
    assert counts[200] >= 5
    assert (costly.running, costly.waiting) == (0, 0)


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("/metrics/history?camera_id=a&from=2026-01-01T00:00:00Z", "traffic_metrics"),
        (f"/api/analytics/metrics?{LONG}", "metrics_changes"),
        ("/analytics/trends?from=2026-01-01T00:00:00Z", "road_days"),
        ("/api/alerts/export", "alerts"),
        ("/api/alerts/history", "alerts"),
    ],
)
async def test_a_question_whose_asker_left_is_stopped(
    busy_worker: Worker, clients: Clients, migrated: str, path: str, table: str
) -> None:
    async with locked(migrated, table) as held_up:
        asking = clients.ask(HOSTILE, path, 1)[0]
        await until(lambda: _at_least_of(held_up, 1))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        # the lock is still held: it is not that the question was answered
        await until(lambda: _none_of(held_up))
    costs = busy_worker.context.costs
    await until(lambda: _is(costs.asking.running + costs.costly.running + costs.streams.running, 0))
    # nor that it took too long, which is answered with 503
    route = path.partition("?")[0]
    statuses = busy_worker.context.telemetry.api_requests
    assert statuses.labels("GET", route, route, "499")._value.get() == 1


async def test_what_writes_is_finished_although_its_asker_left(clients: Clients, migrated: str) -> None:
    zone = {"name": "kept", "coordinates": [{"lat": 44, "lon": 11}, {"lat": 45, "lon": 11}, {"lat": 45, "lon": 12}]}
    async with locked(migrated, "audit_logs") as held_up:
        asking = asyncio.create_task(clients.status(HONEST, "/api/admin/zones", "POST", json=zone, headers=ADMIN))
        await until(lambda: _at_least_of(held_up, 1))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    async def is_there() -> bool:
        return await clients.status(HONEST, "/api/admin/zones", "POST", json=zone, headers=ADMIN) == 409

    assert await is_there()


async def test_files_are_sent_to_one_client_so_many_at_a_time(
    busy_worker: Worker, clients: Clients, migrated: str
) -> None:
    streams = busy_worker.context.costs.streams
    async with locked(migrated, "alerts"):
        held = clients.ask(HOSTILE, "/api/alerts/export", 2)
        await until(lambda: _is(streams.running, 2))
        assert await clients.status(HOSTILE, "/api/alerts/export") == 429
        honest = clients.ask(HONEST, "/api/alerts/export", 1)
        await until(lambda: _is(streams.running, 3))
    assert await asyncio.gather(*held, *honest) == [200] * 3


async def test_reports_of_one_client_wait_for_one_another(
    busy_worker: Worker, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed, go_on = [], asyncio.Event()

    async def render(report: Report) -> bytes:
        printed.append(report.tz)
        await go_on.wait()
        return b"%PDF"

    monkeypatch.setattr(analytics, "render", render)
    reports = busy_worker.context.costs.reports
    hostile = clients.ask(HOSTILE, "/api/analytics/report/pdf?tz=Asia/Tokyo", 22)
    await until(lambda: _is((reports.running, reports.waiting), (1, 2)))
    await until(lambda: _at_least(sum(task.done() for task in hostile), 10))
    honest = clients.ask(HONEST, "/api/analytics/report/pdf?tz=Europe/Rome", 1)
    await until(lambda: _is(reports.waiting, 3))
    go_on.set()
    assert await honest[0] == 200
    counts = Counter(await asyncio.gather(*hostile))
    assert set(counts) == {200, 429}
    # who had none comes before those who wait for their second
    assert printed[:2] == ["Asia/Tokyo", "Europe/Rome"]


async def test_every_question_that_takes_a_span_and_no_limit_has_a_price(worker: Worker) -> None:
    #: Answered from few rows of their own, whatever span is asked for.
    few = {"GET /api/simulated-spans"}
    without = set()
    for operation in worker.client.app[OPERATIONS]:
        shape = operation.query_shape
        if shape is None or operation.method != "GET" or operation.websocket:
            continue
        fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
        spans = any("Moment" in str(field.type) for field in fields.values())
        if spans and "limit" not in fields and operation.price is None:
            without.add(operation.call)
        limit = getattr(fields.get("limit"), "type", None)
        if "500000" in str(limit):
            assert operation.streamed, operation.call
    assert without <= few


async def _is(value: object, wanted: object) -> bool:
    return value == wanted


async def _at_least(value: int, wanted: int) -> bool:
    return value >= wanted


async def _at_least_of(count: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await count() >= wanted


async def _none_of(count: Callable[[], Awaitable[int]]) -> bool:
    return await count() == 0


async def test_a_long_list_has_a_turn_and_is_made_in_parts(
    busy_worker: Worker, clients: Clients, migrated: str
) -> None:
    costly = busy_worker.context.costs.costly
    async with locked(migrated, "alerts") as held_up:
        hostile = clients.ask(HOSTILE, "/api/alerts/history?limit=5000", 2)
        await until(lambda: _is((costly.running, costly.waiting), (1, 1)))
        usual = clients.ask(HONEST, "/api/alerts/history?limit=100", 1)
        await until(lambda: _at_least_of(held_up, 2))
        assert (costly.running, costly.waiting) == (1, 1)
    assert [await task for task in (*hostile, *usual)] == [200] * 3

    turns: list[int] = []
    made: list[int] = []

    async def others() -> None:
        while len(made) < 1000:
            turns.append(len(made))
            await asyncio.sleep(0)

    def make(number: int) -> int:
        made.append(number)
        return number

    beside = asyncio.create_task(others())
    await asyncio.sleep(0)
    assert await made_of(range(1000), make) == list(range(1000))
    await beside
    assert set(turns) >= set(range(0, 1000, ROWS_AT_ONCE))


async def test_costly_questions_take_one_core_of_postgres(busy_worker: Worker) -> None:
    # whatever the server is set to
    asked = "SELECT setting || ' by the ' || source FROM pg_settings WHERE name = 'max_parallel_workers_per_gather'"
    assert await busy_worker.context.costly.ask(lambda pool: pool.fetchval(asked)) == "0 by the client"
    assert "client" not in await busy_worker.context.database.ask(lambda pool: pool.fetchval(asked))
