"""Servers are looked after beside those who ask for them, so that a slow one keeps nobody waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from trafficapp.engine.telemetry import Telemetry
from web.serving import health as module
from web.serving.health import HealthCheck


class Server:
    """A server that answers when it is let."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = self.told = 0

    async def probe(self) -> bool:
        self.asked += 1
        await self.answers.wait()
        self.told += 1
        return True


Checked = tuple[HealthCheck, Server]


@pytest.fixture
async def checked() -> AsyncIterator[Checked]:
    server, others = Server(), Server()
    check = HealthCheck({"kafka": server.probe, "postgres": others.probe, "redis": others.probe}, Telemetry())
    yield check, server
    await check.stop()


async def until_asked(server: Server, times: int) -> None:
    async with asyncio.timeout(180):
        while server.asked < times:  # noqa: ASYNC110 - whoever asks it tells nobody
            await asyncio.sleep(0.01)


async def test_a_server_is_looked_after_before_anybody_asks_again(checked: Checked) -> None:
    check, server = checked
    told = await asyncio.gather(*(check.health() for _ in range(20)))
    assert {one.status for one in told} == {"ok"}
    assert server.asked == 1
    await until_asked(server, 3)
    server.answers.clear()
    await until_asked(server, 4)
    # it is being asked, and has not answered yet
    assert (await check.health()).status == "ok"
    assert server.told == 3


async def test_one_that_stays_away_is_told_and_so_is_its_return(checked: Checked) -> None:
    check, server = checked
    assert (await check.health()).kafka == "ok"
    server.answers.clear()
    async with asyncio.timeout(180):
        while (found := await check.health()).kafka == "ok":  # noqa: ASYNC110 - this is how it is told
            await asyncio.sleep(0.01)
    assert (found.status, found.kafka, found.postgres) == ("degraded", "unreachable", "ok")
    server.answers.set()
    async with asyncio.timeout(180):
        while (await check.health()).kafka != "ok":  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_nobody_is_looked_after_for_nobody(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    check, server = checked
    monkeypatch.setattr(module, "UNASKED_SECONDS", 0.0)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(module, "CACHE_SECONDS", 1000.0)
    await check.health()
    asked = server.asked
    await asyncio.sleep(0.1)
    assert server.asked == asked
    # and again for the next who asks for what is too old by then
    check._known = None
    await check.health()
    assert server.asked == asked + 1
