"""Notifications about roads: each reaches every client once, and all of a span can be asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from yarl import URL

from models.roads.notifications import RoadNotification, decode_notification, encode_notification
from models.timestamps import rfc3339
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.roads.notifications import notification, notification_records
from tests.web.conftest import ADMIN_KEY, Worker, _serve
from tests.web.stored import keep_notifications
from trafficapp.roads.feeds import NOTIFICATION_LOG, NOTIFIED
from trafficapp.settings import Settings
from trafficapp.stores.feeds.log_sink import LogSink
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool


def measured(number: int, minutes_ago: float = 0, **changes: Any) -> RoadNotification:
    """The n-th notification, of what was measured so long ago."""
    return notification(number, timestamp=rfc3339(round((time.time() - 60 * minutes_ago) * 1e6)), **changes)


A, B, C, D = (measured(number) for number in range(4))


@pytest.fixture(autouse=True)
def measured_now() -> None:
    """What was measured when this file was read may be no news any more in a slow run."""
    global A, B, C, D
    A, B, C, D = (measured(number) for number in range(4))


@pytest.fixture
async def second_worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    async for worker in _serve(settings, redis_server):
        yield worker


async def tell(worker: Worker, offset: int, *notifications: RoadNotification) -> None:
    """Let records of the topic take the way they take in production, from the sink on."""
    sink = LogSink(NOTIFIED, worker.context.settings, worker.context.redis, an_hour_back)
    await sink.load([0])
    await sink.apply(0, notification_records(offset, *notifications), lambda: True)
    sink.release([0])


async def received(connection: ClientWebSocketResponse) -> RoadNotification:
    message = await connection.receive(10)
    assert message.type is WSMsgType.TEXT, message
    return decode_notification(message.data)


async def heard(connection: ClientWebSocketResponse, *expected: RoadNotification) -> None:
    assert [await received(connection) for _ in expected] == [*expected]


async def test_every_client_of_every_worker_is_told_each_record_once(worker: Worker, second_worker: Worker) -> None:
    async with (
        worker.client.ws_connect("/ws/notifications") as here,
        second_worker.client.ws_connect("/ws/notifications") as there,
    ):
        await tell(worker, 100, A, B)
        # whoever raised them was killed and raises them again; what waited for long is no news
        await tell(worker, 102, A, B)
        await tell(worker, 104, measured(2, minutes_ago=20))
        await tell(worker, 105, D)
        for connection in (here, there):
            await heard(connection, A, B, D)


async def test_a_client_may_ask_for_the_newest_of_before(worker: Worker) -> None:
    async with worker.client.ws_connect("/ws/notifications") as first:
        await tell(worker, 100, A, B, C)
        await heard(first, A, B, C)
    async with (
        worker.client.ws_connect("/ws/notifications?recent=2") as two,
        worker.client.ws_connect("/ws/notifications?recent=100") as many,
        worker.client.ws_connect("/ws/notifications") as none,
    ):
        await heard(two, B, C)
        await heard(many, A, B, C)
        await tell(worker, 103, D)
        for connection in (two, many, none):
            await heard(connection, D)
    assert (await worker.client.get("/ws/notifications?recent=101")).status == 400


async def test_a_worker_that_comes_later_knows_the_newest(
    worker: Worker, settings: Settings, redis_server: RedisServer
) -> None:
    await tell(worker, 100, A, B)
    async for later in _serve(settings, redis_server):
        async with later.client.ws_connect("/ws/notifications?recent=100") as connection:
            await heard(connection, A, B)
            await tell(worker, 102, C)
            await heard(connection, C)


async def test_what_the_channel_did_not_bring_follows(worker: Worker) -> None:
    async with worker.client.ws_connect("/ws/notifications") as connection:
        await tell(worker, 100, A)
        await heard(connection, A)
        # as if it had been told while the connection was away
        await worker.context.redis.lpush(NOTIFICATION_LOG.list, encode_notification(B))
        await worker.context.redis.client_kill_filter(_type="pubsub")
        await heard(connection, B)


async def test_what_was_raised_while_redis_was_away_follows(worker: Worker, redis_server: RedisServer) -> None:
    async with worker.client.ws_connect("/ws/notifications") as connection:
        await tell(worker, 100, A)
        await heard(connection, A)
        redis_server.kill()
        await asyncio.sleep(0.1)
        redis_server.start()
        # the list is there before the worker hears the channel again, or after it: either way once
        await tell(worker, 101, B)
        await heard(connection, B)
        await tell(worker, 102, A, C)
        # the server forgot that A is known, the worker did not
        await heard(connection, C)


async def test_a_client_that_does_not_read_is_cut_and_stops_nobody(worker: Worker) -> None:
    host, port = worker.client.host, worker.client.port
    assert port is not None
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    writer.write(
        f"GET /ws/notifications HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"X-Admin-Token: {ADMIN_KEY}\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    long = "9.000000,9.000000:9.000000,9.000000" * 20_000
    async with worker.client.ws_connect("/ws/notifications", max_msg_size=0) as brisk:
        for number in range(30):
            await tell(worker, 100 + number, measured(number, message=long))
            await received(brisk)
        async with asyncio.timeout(180):
            while 'b2_websocket_clients_cut_total{route="/ws/notifications"} 1.0' not in await exposition(worker):  # noqa: ASYNC110 - another task cuts it
                await asyncio.sleep(0.05)
        newest = measured(1000)
        await tell(worker, 1000, newest)
        await heard(brisk, newest)
    writer.close()


async def exposition(worker: Worker) -> str:
    return await (await worker.client.get("/metrics")).text()


async def test_without_redis_nobody_is_told_that_all_is_quiet(settings: Settings, redis_server: RedisServer) -> None:
    async for worker in _serve(settings, redis_server, channels_url="redis://127.0.0.1:9/0"):
        with pytest.raises(WSServerHandshakeError) as refused:
            await worker.client.ws_connect("/ws/notifications")
        assert refused.value.status == 503


async def test_history_by_pages_newest_first(history_worker: Worker, database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    settings = history_worker.context.settings
    async with create_pool(settings.postgres) as pool:
        await pool.execute("TRUNCATE notifications, sink_offsets")
    kept = [notification(minute // 2, road_id=f"r{minute % 2}") for minute in range(20)]
    kept[3] = notification(1, road_id="r1", alert_type="sudden_jam")
    await keep_notifications(settings, *kept)
    span = {"from": "2026-03-02T12:01:00Z", "to": "2026-03-02T12:09:00Z"}

    async def asked(**query: str) -> list[RoadNotification]:
        found, path = list[RoadNotification](), "/api/notifications"
        answer = await history_worker.client.get(path, params=span | query)
        while True:
            assert answer.status == 200, await answer.text()
            found += msgspec.json.decode(await answer.read(), type=list[RoadNotification])
            if "Link" not in answer.headers:
                return found
            answer = await history_worker.client.get(URL(str(answer.links["next"]["url"])).relative())

    inside = sorted((one for one in kept[2:18]), key=lambda one: one.event_id)
    inside.sort(key=lambda one: one.timestamp, reverse=True)
    assert await asked() == inside
    for limit in ("1", "3", "5000"):
        assert await asked(limit=limit) == inside
    assert await asked(road_id="r1", limit="2") == [one for one in inside if one.road_id == "r1"]
    assert await asked(alert_type="sudden_jam") == [kept[3]]
    assert await asked(road_id="nowhere") == []
    for wrong in ("cursor=x", "alert_type=slow", "limit=0", "from=2026-03-02&to=2026-03-01"):
        assert (await history_worker.client.get(f"/api/notifications?{wrong}")).status == 400
