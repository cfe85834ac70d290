from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from models.cameras.window_rows import WindowRow
from tests.stores.cameras.test_live_sink import flat
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import window_row, window_rows
from tests.web.auth import tokens
from tests.web.conftest import ADMIN, Worker, serving
from trafficapp.settings import Settings, load_settings


async def rows(connection: ClientWebSocketResponse) -> list[dict[str, object]]:
    message = await connection.receive(60)
    assert message.type is WSMsgType.TEXT, message
    body = json.loads(message.data)
    assert isinstance(body, list)
    return body


async def rows_until(connection: ClientWebSocketResponse, wanted: WindowRow) -> None:
    """Read on until a row came; what comes before it may repeat earlier ones."""
    async with asyncio.timeout(180):
        while flat([wanted])[0] not in await rows(connection):
            pass


async def test_snapshot_then_news(worker: Worker) -> None:
    await worker.put(*window_rows("a", 1))
    client = worker.client
    async with (
        client.ws_connect("/ws/metrics?role=operator&changes=true") as cameras,
        client.ws_connect("/ws/metrics/lanes?changes=true") as lanes,
        client.ws_connect("/ws/metrics?camera_id=b&changes=true") as only_b,
        client.ws_connect("/ws/metrics/lanes?camera_id=a&changes=true") as lanes_of_a,
    ):
        assert await rows(cameras) == flat([window_row("a", 1)])
        assert await rows(lanes) == flat(window_rows("a", 1)[1:])
        assert await rows(lanes_of_a) == flat(window_rows("a", 1)[1:])
        assert await rows(only_b) == []
        a, b = window_rows("a", 2), window_rows("b", 2)
        await worker.put(*a, *b)
        assert await rows(cameras) == flat([a[0], b[0]])
        assert await rows(lanes) == flat([*a[1:], *b[1:]])
        assert await rows(only_b) == flat([b[0]])
        assert await rows(lanes_of_a) == flat(a[1:])
        # every window is sent, an overtaken one too
        late = window_row("b", 1)
        await worker.put(late)
        assert await rows(only_b) == flat([late])


async def test_the_current_rows_are_repeated_within_five_seconds(worker: Worker) -> None:
    await worker.put(*window_rows("a", 1))
    async with worker.client.ws_connect("/ws/metrics?changes=true") as connection:
        await rows_until(connection, window_row("a", 1))
        started = time.monotonic()
        assert await rows(connection) == flat([window_row("a", 1)])
        assert await rows(connection) == flat([window_row("a", 1)])
        assert time.monotonic() - started < 10


async def test_no_more_clients_than_agreed(worker: Worker) -> None:
    connections = [await worker.client.ws_connect("/ws/metrics?changes=true") for _ in range(4)]
    with pytest.raises(WSServerHandshakeError) as refused:
        await worker.client.ws_connect("/ws/metrics?changes=true")
    assert refused.value.status == 503
    await connections.pop().close()
    async with await connected_at_last(lambda: worker.client.ws_connect("/ws/metrics?changes=true")) as again:
        assert await rows(again) == []
    for connection in connections:
        await connection.close()


async def connected_at_last(connect: Callable[[], Any]) -> Any:
    """Connect as soon as a place is free: that of a client who closed is, once its worker has heard of that."""
    while True:
        try:
            return await connect()
        except WSServerHandshakeError as refused:
            if refused.status not in (429, 503):
                raise


async def test_one_client_cannot_take_every_place(settings: Settings, redis_server: RedisServer) -> None:
    places = {"max_connections_per_socket_route": 20, "max_connections_per_client": 3}
    complete = {**settings.model_dump(), "web": places, "auth": {"jwt_secret": tokens.SECRET}}
    async with serving(load_settings(**complete), redis_server) as worker, ClientSession() as session:
        url = worker.client.make_url("/ws/metrics")
        anna = tokens.bearer(tokens.hs256(sub="anna"))
        connections = []
        for headers in ({}, anna):
            connections += [await session.ws_connect(url, headers=headers) for _ in range(3)]
            with pytest.raises(WSServerHandshakeError) as refused:
                await session.ws_connect(url, headers=headers)
            assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "10")  # type: ignore[index]
        connections.append(await session.ws_connect(url, headers=ADMIN))
        await connections.pop(0).close()
        async with await connected_at_last(lambda: session.ws_connect(url)) as again:
            assert await rows(again) == []
        for connection in connections:
            await connection.close()


async def test_places_are_kept_for_callers_with_a_token(settings: Settings, redis_server: RedisServer) -> None:
    places = {"max_connections_per_socket_route": 10}
    complete = load_settings(**{**settings.model_dump(), "web": places})
    async with serving(complete, redis_server) as worker, ClientSession() as session:
        url = worker.client.make_url("/ws/metrics")
        rush = await asyncio.gather(*(session.ws_connect(url) for _ in range(12)), return_exceptions=True)
        refused = [one.status for one in rush if isinstance(one, WSServerHandshakeError)]
        assert refused == [503] * 3
        async with session.ws_connect(url, headers=ADMIN) as known:
            assert await rows(known) == []
        for connection in rush:
            if isinstance(connection, ClientWebSocketResponse):
                await connection.close()


async def test_redis_restarted_empty(worker: Worker) -> None:
    await worker.put(*window_rows("a", 1))
    async with worker.client.ws_connect("/ws/metrics?changes=true") as connection:
        await rows_until(connection, window_row("a", 1))
        worker.redis_server.kill()
        putting = asyncio.create_task(worker.put(*window_rows("b", 2)))
        await asyncio.sleep(0.5)
        worker.redis_server.start()
        await putting
        await rows_until(connection, window_row("b", 2))
        await worker.put(*window_rows("a", 3))
        await rows_until(connection, window_row("a", 3))
    response = await worker.client.get("/metrics/current?lanes=true")
    assert await response.json() == flat([*window_rows("a", 3), *window_rows("b", 2)])


async def test_whoever_hears_of_an_emptied_redis_has_all_cameras_again_before_they_send(worker: Worker) -> None:
    """What is filled in again is told: a camera that is quiet just then would be missing until its next window."""
    await worker.put(*window_rows("a", 1))
    async with worker.client.ws_connect("/ws/metrics") as connection:
        assert await rows(connection) == flat([window_row("a", 1)])
        worker.redis_server.kill()
        worker.redis_server.start()
        # the worker has heard of an empty server before anybody fills it
        while await rows(connection):
            pass
        await worker.put(*window_rows("b", 2))
        shown: list[dict[str, object]] = []
        async with asyncio.timeout(180):
            while flat([window_row("b", 2)])[0] not in shown:
                shown = await rows(connection)
        assert shown == flat([window_row("a", 1), window_row("b", 2)])


async def test_a_slow_client_is_cut_and_costs_the_others_nothing(worker: Worker) -> None:
    # a raw socket that shakes hands and then reads nothing
    host, port = worker.client.server.host, worker.client.server.port
    assert port is not None
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(slow, (host, port))
    request = (
        f"GET /ws/metrics?changes=true HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await loop.sock_sendall(slow, request.encode())
    assert (await loop.sock_recv(slow, 12)).startswith(b"HTTP/1.1 101")

    cut = 'b2_websocket_clients_cut_total{route="/ws/metrics"} 1.0'
    slowest = 0.0
    async with worker.client.ws_connect("/ws/metrics?changes=true") as brisk:
        await rows(brisk)
        async with asyncio.timeout(180):
            for window in range(400):
                burst = [window_row(f"cam_{number:04}", window) for number in range(2000)]
                await worker.put(*burst)
                started = time.monotonic()
                await rows_until(brisk, burst[-1])
                slowest = max(slowest, time.monotonic() - started)
                if cut in worker.context.telemetry.exposition().decode():
                    break
    assert cut in worker.context.telemetry.exposition().decode()
    assert slowest < 2.0
    # what had been sent is read to its end, and the end says why
    tail = b""
    async with asyncio.timeout(20):
        while part := await loop.sock_recv(slow, 1 << 20):
            tail = (tail + part)[-200:]
    slow.close()
    assert tail.endswith(b"\x03\xf5reading too slowly")  # 1013


async def test_clients_are_told_when_the_worker_stops(worker: Worker) -> None:
    connection = await worker.client.ws_connect("/ws/metrics?changes=true")
    await rows(connection)
    stopping = asyncio.create_task(worker.client.server.close())
    async with asyncio.timeout(5):
        while (message := await connection.receive()).type is WSMsgType.TEXT:
            pass
    assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
    await connection.close()
    async with asyncio.timeout(5):
        await stopping


async def test_clients_cannot_make_the_worker_buffer_theirs(worker: Worker) -> None:
    async with worker.client.ws_connect("/ws/metrics?changes=true") as connection:
        await rows(connection)
        await connection.send_str("x" * 5000)
        message = await connection.receive(5)
        assert message.type is WSMsgType.CLOSE
        assert message.data == 1009
