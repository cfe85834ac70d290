"""Who goes on asking although he is refused, by counts; how long a refusal waits is told, not timed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import Worker, serving
from trafficapp.settings import LimitSettings, Settings, load_settings
from web.guards import refusals
from web.guards.refusals import ACCEPTED_AT_ONCE, HELD_AT_ONCE, MOST_CLIENTS, PROMPT_REFUSALS, REFUSALS, Refusals

HOSTILE, NEIGHBOUR = "192.0.2.66", "192.0.2.1"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_few_refusals_are_told_at_once_and_further_ones_wait_longer_and_longer() -> None:
    clock = Clock()
    seen = Refusals(LimitSettings(refused_wait_seconds=4), clock)
    assert [seen.refuse("a") for _ in range(PROMPT_REFUSALS)] == [0.0] * PROMPT_REFUSALS
    waits = [seen.refuse("a") for _ in range(100)]
    assert waits == sorted(waits)
    assert waits[0] > 0
    assert waits[-1] == 4
    assert seen.refuse("b") == 0
    clock.now = 600
    assert seen.refuse("a") == 0


def test_nobody_waits_where_a_setting_says_so() -> None:
    seen = Refusals(LimitSettings(refused_wait_seconds=0))
    assert {seen.refuse("a") for _ in range(100)} == {0.0}
    assert not any(seen.is_heard_later("a") for _ in range(100))


def test_new_connections_of_who_waits_are_heard_later_when_there_are_many() -> None:
    clock = Clock()
    seen = Refusals(LimitSettings(), clock)
    assert not any(seen.is_heard_later("a") for _ in range(100))
    for _ in range(100):
        seen.refuse("a")
    heard_later = [seen.is_heard_later("a") for _ in range(ACCEPTED_AT_ONCE + 30)]
    assert heard_later == [False] * ACCEPTED_AT_ONCE + [True] * 30
    assert not seen.is_heard_later("b")
    clock.now = 10
    assert not seen.is_heard_later("a")


def test_clients_are_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Refusals(LimitSettings())
    monkeypatch.setattr(refusals, "MOST_CLIENTS", 5)
    for number in range(20):
        seen.refuse(str(number))
    assert len(seen._known) == 5
    assert MOST_CLIENTS > 1000


async def test_who_leaves_before_he_is_told_counts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    seen = Refusals(LimitSettings(), clock)
    for _ in range(PROMPT_REFUSALS):
        await seen.hold("a")
    leaving = [asyncio.create_task(seen.hold("a")) for _ in range(3)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    stayed = [seen.refuse("b") for _ in range(PROMPT_REFUSALS + 6)][-1]
    assert seen.refuse("a") > stayed


async def test_so_many_refusals_of_one_client_wait_and_further_ones_are_told_at_once() -> None:
    seen = Refusals(LimitSettings(refused_wait_seconds=60))
    for _ in range(1000):
        seen.refuse("a")
    held = [asyncio.create_task(seen.hold("a")) for _ in range(HELD_AT_ONCE)]
    await asyncio.sleep(0)
    assert await seen.hold("a") is False
    assert await seen.hold("b") is True
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    assert not seen._held


@pytest.fixture
async def strict_worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    """One that refuses nearly everything, and lets refusals wait longer than any test takes."""
    limits = {"requests_per_second": 0.001, "burst": 1, "refused_wait_seconds": 60, "trusted_proxies": ["127.0.0.1"]}
    changed = {"limits": {**settings.limits.model_dump(), **limits}}
    async with serving(load_settings(**{**settings.model_dump(), **changed}), redis_server) as worker:
        yield worker


async def test_a_refusal_waits_and_others_on_the_same_connection_of_a_proxy_are_answered(strict_worker: Worker) -> None:
    known = strict_worker.client.app[REFUSALS]
    for _ in range(2000):
        known.refuse(HOSTILE)
    url = strict_worker.client.make_url("/health/live")

    async def status(session: aiohttp.ClientSession, address: str) -> int:
        async with session.get(url, headers={"X-Forwarded-For": address}) as answer:
            return answer.status

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        # what is not refused is answered at once, also of one whose refusals wait
        assert await status(session, HOSTILE) == 200
        refused = [asyncio.create_task(status(session, HOSTILE)) for _ in range(HELD_AT_ONCE)]
        async with asyncio.timeout(180):
            while known._held[HOSTILE] < HELD_AT_ONCE:  # noqa: ASYNC110 - it is the worker that is waited for
                await asyncio.sleep(0.01)
        # counted already, although it has not been told
        exposition = strict_worker.context.telemetry.exposition().decode()
        line = next(
            line for line in exposition.splitlines() if "api_requests_total{" in line and 'status="429"' in line
        )
        assert float(line.rpartition(" ")[2]) == HELD_AT_ONCE
        assert await status(session, NEIGHBOUR) == 200
        assert not any(task.done() for task in refused)
        # one more is told at once; the connection is a proxy's and goes on
        assert await status(session, HOSTILE) == 429
        for task in refused:
            task.cancel()
        await asyncio.gather(*refused, return_exceptions=True)
        async with asyncio.timeout(180):
            while known._held[HOSTILE]:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)


async def test_a_connection_that_is_heard_later_is_heard(
    strict_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.guards.connections.UNHEARD_SECONDS", 0.05)
    asked: list[str] = []

    def is_heard_later(_: object, address: str) -> bool:
        asked.append(address)
        return True

    monkeypatch.setattr("web.guards.connections.Bounds.is_heard_later", is_heard_later)
    async with strict_worker.client.get("/health/live") as answer:
        assert answer.status == 200
    assert asked == ["127.0.0.1"]
