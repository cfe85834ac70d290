"""Costly questions are answered by a process of their own, as the worker would answer them. On real servers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import asyncpg
import psutil
import pytest

from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import Worker, offline, serving, settings_of
from tests.web.guards.test_costs import locked, until
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.cameras.rollups import SUMS
from trafficapp.stores.migrations import migrate
from web.costly.answering import UNASKED_SECONDS, Answering
from web.costly.application import operations
from web.serving.operations import OPERATIONS

_SPAN = "start=2026-11-01T00:00:00Z&end=2026-11-03T00:00:00Z"
_FROM = "from=2026-11-01T00:00:00Z&to=2026-11-03T00:00:00Z"
#: Each of them is costly where one row is, or is sent in pieces.
ASKED = (
    f"/api/analytics/metrics?{_SPAN}&tz=Asia/Kathmandu",
    f"/api/analytics/trends?{_SPAN}",
    f"/api/analytics/trends?{_SPAN}&zone=nowhere",
    "/api/analytics/compare?start_a=2026-11-01T00:00:00Z&end_a=2026-11-02T00:00:00Z"
    "&start_b=2026-11-02T00:00:00Z&end_b=2026-11-03T00:00:00Z",
    f"/api/analytics/lanes?{_FROM}",
    f"/api/alerts/history?{_FROM}&limit=2000",
    f"/api/alerts/history?{_FROM}&limit=2000&cursor=none-of-ours",
    f"/api/alerts/export?{_FROM}",
    f"/api/alerts/export?{_FROM}&limit=7",
    f"/api/alerts/export?{_FROM}&zone=nowhere",
    f"/metrics/history?camera_id=cam_001&{_FROM}",
    f"/metrics/history?camera_id=cam_001&{_FROM}&step=5s&lanes=true",
    f"/metrics/history?camera_id={quote('Brücke 7')}&{_FROM}&limit=3",
    f"/analytics/trends?{_FROM}",
    f"/api/replay?{_FROM}",
)
_ALERTS = """
    INSERT INTO alerts (id, revision, severity, alert_type, camera_id, title, message, rule, since, triggered_at,
                        updated_at)
    SELECT gen_random_uuid(), 1, 'WARNING', 'congestion', 'cam_00' || n % 3, '=1+1 – Stau', E'zwei\nZeilen', '', at, at,
           at
    FROM generate_series(1, 1200) AS n, LATERAL (SELECT '2026-11-01Z'::timestamptz + n * interval '20 s' AS at) AS t
"""
_WINDOWS = f"""
    INSERT INTO metrics_1h (bucket_start, camera_id, {", ".join(SUMS)})
    SELECT '2026-11-01'::timestamptz + n * interval '1 hour', 'cam_001', {", ".join(["720"] * len(SUMS))}
    FROM generate_series(0, 30) AS n
"""  # noqa: S608 - put together from constants


@pytest.fixture(scope="module")
async def filled(database_url: str) -> str:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE alerts DISABLE TRIGGER USER")
    for statement in ("TRUNCATE alerts", _ALERTS, "DROP TABLE IF EXISTS metrics_1h_here"):
        await connection.execute(statement)
    await connection.execute(
        "CREATE TABLE metrics_1h_here PARTITION OF metrics_1h FOR VALUES FROM ('2026-11-01') TO ('2026-11-05')"
    )
    await connection.execute(_WINDOWS)
    await connection.close()
    return database_url


@pytest.fixture
async def here(redis_server: RedisServer, filled: str) -> AsyncIterator[Worker]:
    """A worker that answers everything itself."""
    async with serving(_settings(redis_server, filled, apart=False), redis_server) as worker:
        yield worker


@pytest.fixture
async def apart(redis_server: RedisServer, filled: str) -> AsyncIterator[Worker]:
    """One that has a process for costly questions."""
    async with serving(_settings(redis_server, filled, apart=True), redis_server) as worker:
        yield worker


def _settings(server: RedisServer, database_url: str, *, apart: bool) -> Settings:
    settings = settings_of(server, database_url=database_url).model_dump()
    settings["limits"] |= {"costly_rows": 1, "costly_wait_seconds": 60, "costly_apart": apart}
    return load_settings(**settings)


async def _asked(worker: Worker, path: str, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    async with worker.client.request(method, path) as response:
        body = await response.read()
        changing = {"Date", "Age", "RateLimit-Remaining", "RateLimit-Reset"}
        return response.status, body, {name: value for name, value in response.headers.items() if name not in changing}


async def test_answers_are_those_of_the_worker_byte_for_byte(here: Worker, apart: Worker) -> None:
    assert await apart.context.registry.refresh()
    assert await here.context.registry.refresh()
    statuses = set()
    for path in ASKED:
        for method in ("GET", "HEAD"):
            one, other = await _asked(here, path, method), await _asked(apart, path, method)
            assert one == other, (method, path)
            statuses.add(other[0])
    assert statuses == {200, 400, 404}
    assert here.context.costly_process.pid is None
    assert apart.context.costly_process.pid is not None
    status, body, headers = await _asked(apart, f"/api/analytics/report/pdf?{_SPAN}")
    assert (status, body[:4], headers["Content-Type"]) == (200, b"%PDF", "application/pdf")


async def test_it_ends_with_the_worker_and_comes_anew_when_it_dies(
    redis_server: RedisServer, filled: str, apart: Worker
) -> None:
    process = apart.context.costly_process
    async with locked(filled, "alerts") as held_up:
        asked = asyncio.create_task(_asked(apart, f"/api/alerts/export?{_FROM}"))
        await until(lambda: _is_held(held_up, 1))
        first = process.pid
        assert first is not None
        # who leaves is not answered there, either
        asked.cancel()
        await until(lambda: _is_held(held_up, 0))
        assert process.pid == first

        asked = asyncio.create_task(_asked(apart, f"/api/alerts/export?{_FROM}"))
        await until(lambda: _is_held(held_up, 1))
        os.kill(first, signal.SIGKILL)
        await until(lambda: _is_another(process, first))
    status, body, _ = await asked
    assert (status, body.count(b"\r\n")) == (200, 1201)
    second = process.pid
    assert second is not None
    # as the input ends when a worker is killed
    running = process._running
    assert running is not None
    assert running.process.stdin is not None
    running.process.stdin.close()
    await asyncio.wait_for(running.process.wait(), 30)
    assert running.process.returncode == 0
    assert (await _asked(apart, f"/api/alerts/export?{_FROM}"))[0] == 200
    third = process.pid
    assert third not in (None, first, second)
    await apart.context.close()
    assert process.pid is None
    assert not psutil.pid_exists(third or 0)
    status, _, headers = await _asked(apart, f"/api/alerts/export?{_FROM}")
    assert (status, headers["Content-Type"]) == (503, "application/problem+json")


async def _is_held(held_up: Any, wanted: int) -> bool:
    return bool(await held_up() == wanted)


async def _is_another(process: Any, pid: int) -> bool:
    return process.pid not in (None, pid)


async def test_what_is_declared_for_it_is_served_there() -> None:
    application = offline()
    assert {one.call for one in application[OPERATIONS] if one.apart} == {one.call for one in operations()}
    assert all(one.price is not None or one.streamed or one.call.endswith("history") for one in operations())


def test_it_ends_when_it_is_idle_or_has_too_much_memory() -> None:
    now, taken = [0.0], [100]
    answering = Answering(200, lambda: taken[0], lambda: now[0])
    assert not answering.may_end()
    now[0] = UNASKED_SECONDS + 1
    with answering.question():
        assert not answering.may_end()
        taken[0] = 300
        assert not answering.may_end()
        taken[0] = 401
        assert answering.may_end()
        taken[0] = 300
    assert answering.may_end()
    taken[0] = 100
    # somebody was answered a moment ago
    assert not answering.may_end()
    now[0] += UNASKED_SECONDS + 1
    assert answering.may_end()
