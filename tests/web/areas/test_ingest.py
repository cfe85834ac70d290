"""``/ws`` with the steps of unchanged clients, in front of a real Kafka and a real Redis."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer
from aiokafka import TopicPartition

from models.timestamps import rfc3339
from tests.areas.counters import STREAM, reading
from tests.feeds.committed import existing_partitions
from tests.feeds.parking_bays import PARKING_BAYS
from tests.stores.redis.redis_server import RedisServer
from tests.web.auth.tokens import SECRET, bearer, hs256
from trafficapp.areas.feeds import AREA_INCOMING
from trafficapp.engine.kafka import create_topics, groupless_consumer
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Current
from trafficapp.settings import load_settings
from trafficapp.stores.redis.connection import connect
from trafficapp.topics import live_vehicles, topics_of
from web.application import setup
from web.areas import deliveries
from web.auth.callers import CALLER, Caller, CallerRole
from web.serving.context import WebContext
from web.serving.database import Database
from web.serving.health import kafka_answers
from web.serving.limits import LIMITER, RateLimiter
from web.sockets.clients import SocketClient, SocketClients

Client = TestClient[web.Request, web.Application]

#: What stands for the newest state of a vehicle.
VEHICLES = replace(PARKING_BAYS, topic=live_vehicles, rekey=False)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@asynccontextmanager
async def worker(redis_server: RedisServer, kafka: str, auth: Any = None, **areas: Any) -> AsyncIterator[Client]:
    """A worker's web side with settings of areas, and a client without a token."""
    settings = load_settings(
        app_id=f"areas-{secrets.token_hex(3)}",
        redis={"url": redis_server.url},
        kafka={"bootstrap_servers": kafka},
        postgres={"url": "postgresql://127.0.0.1:9/nowhere"},
        auth=auth or {},
        areas={"listen_seconds": 0.3, **areas},
    )
    if kafka != "127.0.0.1:9":
        await create_topics(settings, topics_of(AREA_INCOMING, settings))
    context = WebContext(
        settings=settings,
        telemetry=Telemetry("streams", "test"),
        redis=connect(redis_server.url),
        database=Database(settings.postgres),
        kafka_up=kafka_answers(settings.kafka),
        feeds=[VEHICLES],
    )
    application = web.Application()
    setup(application, context, lambda: connect(redis_server.url, retries=0))
    async with TestClient(TestServer(application, host="127.0.0.1")) as client:
        yield client


async def stored(kafka: str) -> list[tuple[bytes | None, dict[str, Any]]]:
    """Keys and values of all that stands in the topic."""
    settings = load_settings(kafka={"bootstrap_servers": kafka})
    found = []
    async with groupless_consumer(settings) as consumer:
        numbers = await existing_partitions(settings, "ws_incoming")
        places = [TopicPartition("ws_incoming", number) for number in numbers]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [(record.key, json.loads(record.value)) for record in records]
    return found


async def stored_of(kafka: str, stream_id: str) -> list[dict[str, Any]]:
    return [value for key, value in await stored(kafka) if key == stream_id.encode()]


def stream() -> str:
    """A counter that nobody else is."""
    return f"{STREAM[:-12]}{secrets.token_hex(6)}"


async def answer(socket: ClientWebSocketResponse) -> Any:
    return json.loads(await socket.receive_str(timeout=15))


async def test_an_unchanged_counter_sends_and_reads_an_answer_to_each(
    redis_server: RedisServer, kafka_bootstrap: str
) -> None:
    message = reading(stream_id=(key := stream()))
    accepted = {"status": "accepted", "stream_id": key, "timestamp": "2025-12-02T08:21:42Z"}
    async with worker(redis_server, kafka_bootstrap) as client, client.ws_connect("/ws") as socket:
        sent = [json.dumps(message), repr(message | {"label": None}), json.dumps(message).encode()]
        for text in sent:
            await (socket.send_bytes(text) if isinstance(text, bytes) else socket.send_str(text))
            assert await answer(socket) == accepted
        # Kafka has it by then
        assert await stored_of(kafka_bootstrap, key) == [message, message | {"label": None}, message]
        exposition = await (await client.get("/metrics")).text()
    assert 'b2_feed_messages_total{feed="area-ingest",outcome="accepted"} 3.0' in exposition


async def test_what_is_wrong_is_answered_with_the_reason_and_costs_no_neighbour(
    redis_server: RedisServer, kafka_bootstrap: str
) -> None:
    message = reading(stream_id=(key := stream()))
    wrong: list[tuple[str, Any]] = [
        ("not_json", "{"),
        ("not_json", b"\xff"),
        ("not_json", "{'a': open('x')}"),
        ("not_json", "[" * 16_000),
        ("empty", ""),
        ("invalid_field", "[]"),
        ("missing_field", json.dumps(reading(stream_id=...))),
        ("invalid_field", repr(reading(stream_id="gate"))),
        ("invalid_timestamp", json.dumps(reading(timestamp="now"))),
        ("future", json.dumps(reading(timestamp="2099-01-01T00:00:00Z"))),
        ("too_large", json.dumps(reading(label="x" * 16_384))),
    ]
    async with worker(redis_server, kafka_bootstrap) as client, client.ws_connect("/ws") as socket:
        for _, text in wrong:
            await (socket.send_bytes(text) if isinstance(text, bytes) else socket.send_str(text))
            await socket.send_str(json.dumps(message))
        answers = [await answer(socket) for _ in range(2 * len(wrong))]
    assert [one["reason"] for one in answers[::2]] == [reason for reason, _ in wrong]
    assert {one["error"] for one in answers[::2]} == {"Invalid message format"}
    assert all(one["detail"] for one in answers[::2])
    assert {one.get("status") for one in answers[1::2]} == {"accepted"}
    assert len(await stored_of(kafka_bootstrap, key)) == len(wrong)


async def test_who_sends_and_leaves_at_once_has_sent(redis_server: RedisServer, kafka_bootstrap: str) -> None:
    message = reading(stream_id=(key := stream()))
    async with worker(redis_server, kafka_bootstrap) as client:
        async with client.ws_connect("/ws") as socket:
            for number in range(50):
                await socket.send_str(json.dumps(message | {"total_in_area": number}))
        async with asyncio.timeout(180):
            while len(found := await stored_of(kafka_bootstrap, key)) < 50:
                pass
    # a counter's readings keep their order
    assert [one["total_in_area"] for one in found] == list(range(50))


async def test_a_map_that_sends_nothing_is_told_of_vehicles_and_a_counter_never(
    redis_server: RedisServer, kafka_bootstrap: str
) -> None:
    current = VEHICLES.current
    assert isinstance(current, Current)
    assert current.channel is not None

    def vehicle(key: str, seconds: int) -> bytes:
        told = {"bay_id": key, "occupied": True, "lat": 1.0, "lon": 2.0}
        return json.dumps(told | {"timestamp": rfc3339((1_780_000_000 + seconds) * 1_000_000)}).encode()

    redis = connect(redis_server.url)
    await redis.set(current.key_of("bus-1"), vehicle("bus-1", 0))
    await redis.zadd(current.listed, {"bus-1": 1})
    message = json.dumps(reading(stream_id=stream()))
    async with (
        worker(redis_server, kafka_bootstrap) as client,
        client.ws_connect("/ws") as transit_map,
        client.ws_connect("/ws") as counter,
        client.ws_connect("/ws") as late_counter,
    ):
        await counter.send_str(message)
        assert (await answer(counter))["status"] == "accepted"
        for told_to in (transit_map, late_counter):
            assert (await answer(told_to))["bay_id"] == "bus-1"
        await redis.publish(current.channel, b"[%b]" % vehicle("bus-1", 5))
        for told_to in (transit_map, late_counter):
            assert (await answer(told_to))["timestamp"] == rfc3339(1_780_000_005_000_000)
        await late_counter.send_str(message)
        assert (await answer(late_counter))["status"] == "accepted"
        for seconds in range(6, 9):
            await redis.publish(current.channel, b"[%b]" % vehicle("bus-1", seconds))
            assert (await answer(transit_map))["bay_id"] == "bus-1"
        for silent in (counter, late_counter):
            with pytest.raises(TimeoutError):
                await silent.receive(timeout=0.2)
    await redis.aclose()


async def test_a_new_client_is_listened_to_before_it_is_told_of_vehicles(redis_server: RedisServer) -> None:
    current = VEHICLES.current
    assert isinstance(current, Current)
    redis = connect(redis_server.url)
    told = {"bay_id": "bus-2", "occupied": True, "lat": 1.0, "lon": 2.0, "timestamp": "2026-06-01T00:00:00Z"}
    await redis.set(current.key_of("bus-2"), json.dumps(told))
    await redis.zadd(current.listed, {"bus-2": 2})
    await redis.aclose()
    async with (
        worker(redis_server, "127.0.0.1:9", listen_seconds=10) as client,
        client.ws_connect("/ws/parking-bays") as vehicles,
        client.ws_connect("/ws") as counter,
    ):
        assert (await answer(vehicles))["bay_id"]
        await asyncio.sleep(0.2)
        await counter.send_str("{")
        assert (await answer(counter))["error"] == "Invalid message format"


async def test_what_waits_for_a_client_is_dropped_when_it_wants_answers_only() -> None:
    settings = load_settings()
    clients = SocketClients("/ws", settings, Telemetry("streams", "test"))

    async def attend(client: SocketClient) -> None:
        assert client.offer(b"1")
        client.want_answers_only()
        assert client.offer(b"2")
        await client.put(b"3")

    async def view(request: web.Request) -> web.StreamResponse:
        request[CALLER] = Caller("", CallerRole.VIEWER, authenticated=False)
        return await clients.serve(request, attend, lambda _: None)

    application = web.Application()
    application[LIMITER] = RateLimiter(settings.limits)
    application.router.add_get("/ws", view)
    async with TestClient(TestServer(application, host="127.0.0.1")) as client, client.ws_connect("/ws") as socket:
        assert await answer(socket) == 3


async def test_nothing_is_accepted_that_kafka_has_not_acknowledged(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        worker(redis_server, "127.0.0.1:9", ingest_answer_seconds=0.3) as client,
        client.ws_connect("/ws") as socket,
    ):
        for _ in range(3):
            await socket.send_str(json.dumps(reading()))
        answers = [await answer(socket) for _ in range(3)]
        assert {(one["error"], one["reason"]) for one in answers} == {("Not stored", "unavailable")}
        monkeypatch.setattr(deliveries, "MOST_WAITING", 0)
        await socket.send_str(json.dumps(reading()))
        assert "too many messages wait" in (await answer(socket))["detail"]
        # what is wrong is wrong whoever is away
        await socket.send_str("{")
        assert (await answer(socket))["error"] == "Invalid message format"


async def test_who_is_too_fast_is_read_more_slowly_and_loses_nothing(
    redis_server: RedisServer, kafka_bootstrap: str
) -> None:
    limits = {"ingest_messages_per_second": 4, "ingest_burst": 1, "ingest_unanswered": 2}
    async with (
        worker(redis_server, kafka_bootstrap, **limits) as client,
        client.ws_connect("/ws") as socket,
        client.ws_connect("/ws") as beside,
    ):
        began = asyncio.get_running_loop().time()
        for one in (socket, beside):
            for _ in range(3):
                await one.send_str(json.dumps(reading()))
        for one in (socket, beside):
            for _ in range(3):
                assert (await answer(one))["status"] == "accepted"
        # both come from one address
        assert asyncio.get_running_loop().time() - began >= 5 / 4


async def test_a_message_of_more_than_twice_what_is_read_ends_the_connection(
    redis_server: RedisServer, kafka_bootstrap: str
) -> None:
    async with worker(redis_server, kafka_bootstrap) as client, client.ws_connect("/ws") as socket:
        await socket.send_str("x" * 40_000)
        ended = await socket.receive(timeout=5)
        assert (ended.type, ended.data) == (WSMsgType.CLOSE, 1009)


async def test_a_setting_asks_for_an_operators_token(redis_server: RedisServer, kafka_bootstrap: str) -> None:
    auth = {"jwt_secret": SECRET}
    async with worker(redis_server, kafka_bootstrap, auth, ingest_needs_token=True) as client:
        for token, word in ((None, "Not allowed"), (hs256("viewer"), "Not allowed"), (hs256("operator"), None)):
            headers = {} if token is None else bearer(token)
            async with client.ws_connect("/ws", headers=headers) as socket:
                await socket.send_str(json.dumps(reading()))
                assert (await answer(socket)).get("error") == word
