"""Slow and many connections, on raw sockets; the time that is given is a short setting, and nothing is timed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import Worker, serving
from trafficapp.settings import LimitSettings, Settings, load_settings
from web.guards.connections import Bounds
from web.serving import limits as limits_module

WHOLE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
SOON = {"head_seconds": 1.0, "keep_alive_seconds": 2.0, "stalled_seconds": 0.3}


@contextlib.asynccontextmanager
async def limited(settings: Settings, redis_server: RedisServer, **limits: float) -> AsyncIterator[Worker]:
    changed = {"limits": {**settings.limits.model_dump(), **limits}}
    async with serving(load_settings(**{**settings.model_dump(), **changed}), redis_server) as worker:
        yield worker


@pytest.fixture
async def quick_worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    async with limited(settings, redis_server, **SOON) as worker:
        yield worker


@pytest.fixture
async def worker_of_eight(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    # no quick times: eight connections are opened and asked one after the other, however slow the machine is
    async with limited(settings, redis_server, connections_per_address=8) as worker:
        yield worker


class Raw:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> bytes:
        """An answer with its body."""
        head = await self.head()
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return head + await self.reader.readexactly(int(length.partition(b":")[2]))

    async def rest(self) -> bytes:
        """What comes until the other side closes."""
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
            return b""


@contextlib.asynccontextmanager
async def connected(worker: Worker) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", worker.client.port, limit=1 << 18)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def closed(worker: Worker, reason: str) -> float:
    text = await (await worker.client.get("/metrics")).text()
    name = f'b2_connections_closed_total{{reason="{reason}"}} '
    return next((float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name)), 0.0)


async def test_a_head_that_comes_letter_by_letter(quick_worker: Worker) -> None:
    async with connected(quick_worker) as raw:

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                await raw.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: ")
                while True:
                    await raw.send(b"x")
                    await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        # what is sent on after the end may take the answer away with it
        assert (await raw.rest())[:13] in (b"HTTP/1.1 408 ", b"")
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
    assert await closed(quick_worker, "slow_head") == 1


async def test_the_second_head_of_a_connection_is_no_slower(quick_worker: Worker) -> None:
    async with connected(quick_worker) as raw:
        await raw.send(WHOLE)
        assert (await raw.answer()).startswith(b"HTTP/1.1 200 ")
        await raw.send(WHOLE[:20])
        assert (await raw.rest()).startswith(b"HTTP/1.1 408 ")
    assert await closed(quick_worker, "slow_head") == 1


async def test_who_says_nothing_is_closed_without_a_word(quick_worker: Worker) -> None:
    async with connected(quick_worker) as raw:
        assert await raw.rest() == b""
    async with connected(quick_worker) as raw:
        await raw.send(WHOLE)
        await raw.answer()
        # kept alive for a while, then closed; no head has begun
        assert await raw.rest() == b""
    assert await closed(quick_worker, "slow_head") == 1


async def test_a_slow_answer_is_no_slow_head(quick_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "BODY_WITHIN_SECONDS", 0.9)
    async with connected(quick_worker) as raw:
        await raw.send(
            b"POST /route/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        # the head was whole; it is the body that does not come
        assert b'"status":408' in await raw.answer()
    assert await closed(quick_worker, "slow_head") == 0


async def test_who_does_not_take_his_answer_is_cut(quick_worker: Worker) -> None:
    async def large(_: web.Request) -> web.Response:
        return web.Response(body=bytes(64 << 20))

    quick_worker.client.app.router._frozen = False
    quick_worker.client.app.router.add_get("/large", large)
    async with connected(quick_worker) as raw:
        await raw.send(WHOLE.replace(b"/health/live", b"/large"))
        while not await closed(quick_worker, "stalled"):  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.05)
        # nothing was read until here: beyond what buffers hold, nothing came
        assert len(await raw.rest()) < 64 << 20


async def test_an_address_has_so_many_connections(worker_of_eight: Worker) -> None:
    await worker_of_eight.client.session.close()
    async with contextlib.AsyncExitStack() as held:
        raws = [await held.enter_async_context(connected(worker_of_eight)) for _ in range(8)]
        for raw in raws:
            await raw.send(WHOLE)
            assert (await raw.answer()).startswith(b"HTTP/1.1 200 ")
        async with connected(worker_of_eight) as one_more:
            refused = await one_more.rest()
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b"Retry-After: 10\r\n" in refused
        raws[0].writer.close()
        while True:
            async with connected(worker_of_eight) as again:
                await again.send(WHOLE)
                if (await again.head()).startswith(b"HTTP/1.1 200 "):
                    break


def test_proxies_have_any_number() -> None:
    bounds = Bounds(LimitSettings(connections_per_address=1, trusted_proxies=("10.0.0.0/24", "2001:db8::/32")))
    assert [bounds.enter("10.0.0.7") for _ in range(3)] == [True] * 3
    assert [bounds.enter("2001:db8:0:1::/64") for _ in range(3)] == [True] * 3
    assert [bounds.enter("192.0.2.7"), bounds.enter("192.0.2.7"), bounds.enter("192.0.2.8")] == [True, False, True]
    bounds.leave("192.0.2.7")
    assert bounds.enter("192.0.2.7")


NO_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"G ET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 10_000 + b"\r\n\r\n",
    b"GET /" + b"y" * 30_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
)


async def test_what_is_no_http_gets_a_bare_400_and_the_connection_ends(quick_worker: Worker) -> None:
    for sent in NO_HTTP:
        async with connected(quick_worker) as raw:
            await raw.send(sent)
            head, _, body = (await raw.rest()).partition(b"\r\n\r\n")
        assert head.split(b"\r\n")[0].split(b" ")[1] == b"400", sent[:40]
        assert body == b""
        for word in (b"python", b"aiohttp", b"yyy"):
            assert word not in head.lower()


async def test_no_answer_names_a_version(quick_worker: Worker) -> None:
    odd = b"POST /route/recommend HTTP/1.1\r\nHost: localhost\r\nExpect: much\r\nContent-Length: 2\r\n\r\n{}"
    for sent in (WHOLE, WHOLE.replace(b"GET", b"BREW"), WHOLE.replace(b"/health/live", b"/no/such"), odd):
        async with connected(quick_worker) as raw:
            await raw.send(sent)
            answer = (await raw.answer()).lower()
        assert b"server: trafficapp\r\n" in answer
        assert b"python" not in answer
        assert b"aiohttp" not in answer


def test_the_private_parts_that_are_used_are_there() -> None:
    used = {"_request_count", "_waiter", "_messages", "_current_request", "_task_handler"}
    assert used <= set(RequestHandler.__slots__)
    assert {"_upgraded"} <= {name for base in RequestHandler.__mro__ for name in getattr(base, "__slots__", ())}
