from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from models.alerts import AlertEvent, decode_new_alert, encode_alert_event
from models.cameras.maps import HeatPoint
from models.cameras.registry import CameraCongestion
from tests.stores.alerts.alert_messages import Connection, after_noon, alert_event, news_event
from tests.stores.cameras.test_live_sink import flat
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import records, window_row
from tests.web.conftest import ADMIN_KEY, Worker, _serve
from trafficapp.analytics.overview import overview
from trafficapp.settings import Settings
from trafficapp.stores.alerts.live_sink import LiveAlertsSink
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.event_log import EventLog, beside, emit
from trafficapp.windows.congestion import CongestionScale
from web.sockets import event_feed, subscription
from web.sockets.clients import SocketClient
from web.sockets.event_feed import EventFeed

OPENED = news_event()
RESOLVED = msgspec.structs.replace(OPENED, action="resolved", revision=2, resolved_at=after_noon(60))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Heartbeats as often as a test can wait for."""
    changed = settings.events.model_copy(update={"heartbeat_seconds": 0.5})
    limits = settings.limits.model_copy(update={"cors_origins": ("https://city.example",)})
    return settings.model_copy(update={"events": changed, "limits": limits})


@pytest.fixture
async def second_worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    async for worker in _serve(settings, redis_server):
        yield worker


async def step(worker: Worker, *events: AlertEvent, offset: int = 100, age_seconds: float = 0.0) -> None:
    """Let steps of alerts take the way they take in production, from the sink on."""
    sink = LiveAlertsSink(worker.context.redis, an_hour_back)
    await sink.load([0])
    values: list[Any] = [encode_alert_event(event) for event in events]
    await sink.apply(0, records(values, offset, age_seconds=age_seconds), lambda: True)
    sink.release([0])


async def broadcast(worker: Worker, *numbers: int, kept: int = 1000) -> int:
    seq = 0
    for number in numbers:
        seq = await emit(worker.context.redis, "admin_broadcast", str(number).encode(), kept_events=kept)
    return seq


async def received(connection: ClientWebSocketResponse, *, heartbeats: bool = False) -> dict[str, Any]:
    async with asyncio.timeout(180):
        while True:
            message = await connection.receive()
            assert message.type is WSMsgType.TEXT, message
            envelope: dict[str, Any] = json.loads(message.data)
            if heartbeats or envelope["event"] != "heartbeat":
                return envelope


async def heard(*workers: Worker) -> None:
    """Wait until workers have heard of everything that was told."""
    for worker in workers:
        newest = (await EventLog(worker.context.redis).state()).seq
        seq = -1
        while seq < newest:
            async with worker.client.ws_connect("/ws/events") as connection:
                seq = (await received(connection))["seq"]


async def names(connection: ClientWebSocketResponse, count: int) -> list[str]:
    return [(await received(connection))["event"] for _ in range(count)]


async def test_a_snapshot_then_each_event_once_on_every_worker(worker: Worker, second_worker: Worker) -> None:
    await step(worker, alert_event("earlier"))
    await heard(worker, second_worker)
    async with (
        worker.client.ws_connect("/ws/events") as here,
        second_worker.client.ws_connect("/ws/events") as there,
        worker.client.ws_connect("/ws/events?types=alert_resolved,heatmap_update,snapshot") as resolved_only,
    ):
        snapshots = [await received(connection) for connection in (here, there)]
        assert [snapshot["event"] for snapshot in snapshots] == ["snapshot", "snapshot"]
        assert [alert["id"] for alert in snapshots[0]["data"]["alerts"]] == [alert_event("earlier").id]
        assert (await received(resolved_only))["data"]["alerts"] != []
        await step(worker, OPENED, OPENED, RESOLVED, offset=101)
        await emit(worker.context.redis, "heatmap_update", b"[]")
        for connection in (here, there):
            first, second = await received(connection), await received(connection)
            assert (first["event"], second["event"]) == ("new_alert", "alert_resolved")
            assert [first["seq"], second["seq"]] == [snapshots[0]["seq"] + 1, snapshots[0]["seq"] + 2]
            assert decode_new_alert(json.dumps(first["data"]).encode()) == OPENED
            assert (await received(connection))["event"] == "heatmap_update"
        assert await names(resolved_only, 2) == ["alert_resolved", "heatmap_update"]


async def test_a_client_that_drops_and_comes_back_misses_nothing_and_sees_nothing_twice(
    worker: Worker, second_worker: Worker
) -> None:
    """It comes back to either worker, at any moment, while events go on."""
    chance, told = random.Random(5), 400

    async def tell() -> None:
        for number in range(told):
            await broadcast(worker, number)
            await asyncio.sleep(chance.choice([0, 0, 0.005]))

    async with worker.client.ws_connect("/ws/events") as connection:
        seq = (await received(connection))["seq"]
    telling = asyncio.create_task(tell())
    seen: list[int] = []
    connections = 0
    while len(seen) < told:
        back = chance.choice([worker, second_worker])
        connections += 1
        async with back.client.ws_connect(f"/ws/events?resume_after={seq}") as connection:
            for _ in range(min(chance.randrange(0, 30), told - len(seen))):
                envelope = await received(connection)
                assert envelope["event"] == "admin_broadcast", envelope
                assert envelope["seq"] == seq + 1
                seq = envelope["seq"]
                seen.append(envelope["data"])
        await asyncio.sleep(chance.choice([0, 0.02]))
    await telling
    assert seen == list(range(told))
    assert connections > 10


@pytest.mark.parametrize("waits_for", ["room", "drained", "nothing"])
async def test_what_goes_on_for_a_client_that_dropped_ends_although_it_missed_that_it_was_cancelled(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, waits_for: str
) -> None:
    """As a client library does that takes a cancellation for an error of its own; the worker would wait at its end."""
    joined, ended = asyncio.Event(), asyncio.Event()

    async def join(feed: EventFeed, client: SocketClient, *_more: object) -> None:
        joined.set()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            while waits_for == "nothing":
                await asyncio.Event().wait()
            for _ in range(20 if waits_for == "room" else 1):
                await client.put(b"x")
            await client.drained()
        finally:
            ended.set()

    monkeypatch.setattr(EventFeed, "join", join)
    async with asyncio.timeout(180):
        connection = await worker.client.ws_connect("/ws/events")
        await joined.wait()
        assert not ended.is_set()
        await connection.close()
        await ended.wait()


async def test_what_the_log_no_longer_holds_is_said_to_be_missed(worker: Worker) -> None:
    async with worker.client.ws_connect("/ws/events") as connection:
        begin = (await received(connection))["seq"]
    newest = await broadcast(worker, *range(20), kept=10)
    for unknown in (begin, begin + 9, newest + 1000, 7):
        async with worker.client.ws_connect(f"/ws/events?resume_after={unknown}") as connection:
            assert await names(connection, 2) == ["resync", "snapshot"]
            await broadcast(worker, 0, kept=10)
            assert (await received(connection))["event"] == "admin_broadcast"


async def test_alerts_made_up_for_without_news_are_seen_by_those_connected(worker: Worker) -> None:
    """The live role was away while an alert opened: no event tells it, but nobody stays ignorant."""
    async with worker.client.ws_connect("/ws/events") as connection:
        seq = (await received(connection))["seq"]
        await step(worker, OPENED, age_seconds=300)
        assert (await received(connection))["event"] == "resync"
        snapshot = await received(connection)
        assert [alert["id"] for alert in snapshot["data"]["alerts"]] == [OPENED.id]
    async with worker.client.ws_connect(f"/ws/events?resume_after={seq}") as connection:
        assert await names(connection, 2) == ["resync", "snapshot"]


async def test_clients_stay_while_redis_is_away(worker: Worker) -> None:
    await step(worker, OPENED)
    await heard(worker)
    async with worker.client.ws_connect("/ws/events") as connection:
        assert len((await received(connection))["data"]["alerts"]) == 1
        worker.redis_server.kill()
        assert (await received(connection, heartbeats=True))["event"] == "heartbeat"
        worker.redis_server.start()
        assert (await received(connection))["event"] == "resync"
        assert (await received(connection))["data"]["alerts"] == []
        await step(worker, OPENED)
        assert (await received(connection))["event"] == "new_alert"


async def test_a_worker_that_hears_nothing_says_so(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "_STALE_AFTER_SECONDS", 1.0)
    monkeypatch.setattr(subscription, "PROBE_SECONDS", 0.2)
    async with worker.client.ws_connect("/ws/events") as connection:
        seq = (await received(connection))["seq"]
        for _ in range(4):
            # nothing happens, and that is known
            assert (await received(connection, heartbeats=True))["data"] == {}
        worker.redis_server.freeze()
        async with asyncio.timeout(180):
            while "stale_since" not in (await received(connection, heartbeats=True))["data"]:
                pass
        async with worker.client.ws_connect("/ws/events") as new:
            assert (await received(new))["event"] == "snapshot"
            assert "stale_since" in (await received(new, heartbeats=True))["data"]
        worker.redis_server.thaw()
        await broadcast(worker, 1)
        envelope = await received(connection)
        assert (envelope["event"], envelope["seq"]) == ("admin_broadcast", seq + 1)
        async with asyncio.timeout(180):
            while "stale_since" in (await received(connection, heartbeats=True))["data"]:
                pass


async def test_a_worker_that_never_heard_redis_refuses_clients(settings: Settings, redis_server: RedisServer) -> None:
    async for worker in _serve(settings, redis_server, channels_url="redis://127.0.0.1:9/0"):
        with pytest.raises(WSServerHandshakeError) as refused:
            await worker.client.ws_connect("/ws/events")
        assert refused.value.status == 503


async def test_a_cut_subscription_costs_no_event(worker: Worker) -> None:
    async with worker.client.ws_connect("/ws/events") as connection:
        assert (await received(connection))["event"] == "snapshot"
        for number in range(3):
            await worker.context.redis.client_kill_filter(_type="pubsub")
            await broadcast(worker, number, number + 100)
            assert [(await received(connection))["data"] for _ in range(2)] == [number, number + 100]


@pytest.fixture
async def zoned(history_worker: Worker, database_url: str) -> Worker:
    """A worker that knows two cameras and a zone around one of them."""
    await asyncio.to_thread(migrate, database_url)
    connection: Connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO cameras (camera_id, name, latitude, longitude) "
        "VALUES ('in', 'In', 44.5, 11.5), ('out', 'Out', 45.5, 11.5)"
    )
    await connection.execute(
        "INSERT INTO monitoring_zones (name, polygon) VALUES ('centre', '[[11,44],[12,44],[12,45],[11,45],[11,44]]')"
    )
    await connection.close()
    assert await history_worker.context.registry.refresh()
    return history_worker


def heat_point(camera_id: str) -> HeatPoint:
    return HeatPoint(
        camera_id=camera_id,
        latitude=44.5,
        longitude=11.3,
        road_segment=None,
        weight=0.2,
        intensity=0.6,
        avg_vehicle_count=10.25,
        vehicle_count=10,
        last_window=after_noon(5),
    )


async def test_a_zone_is_told_of_its_cameras(zoned: Worker) -> None:
    worker = zoned
    rows = [
        msgspec.structs.replace(window_row(name, 1), congestion_score=score)
        for name, score in (("in", 0.6), ("out", 0.0))
    ]
    sums = [CameraCongestion(name, "HIGH", score, 10, 20.0, after_noon(5)) for name, score in (("in", 0.6), ("out", 0))]
    city = msgspec.json.encode(overview(sums, 2, CongestionScale()))
    told = beside(msgspec.json.encode(rows), overview=city)
    points = msgspec.json.encode([heat_point(name) for name in ("in", "out")])
    async with worker.client.ws_connect("/ws/events?zone=centre") as connection:
        assert (await received(connection))["event"] == "snapshot"
        await step(worker, news_event("x", "in"), news_event("y", "out"), news_event("z", None))
        assert (await received(connection))["data"]["camera_id"] == "in"
        await emit(worker.context.redis, "traffic_metrics_update", told)
        await emit(worker.context.redis, "heatmap_update", points)
        update, heatmap = await received(connection), await received(connection)
        await heard(worker)
        assert (update["overview"]["active_alerts"], update["overview"]["overall_congestion_score"]) == (1, 0.6)
        assert [row["camera_id"] for row in update["overview"]["cameras"]] == ["in"]
        assert update["data"] == flat(rows[:1])
        assert [point["camera_id"] for point in heatmap["data"]] == ["in"]
    with pytest.raises(WSServerHandshakeError) as refused:
        await worker.client.ws_connect("/ws/events?zone=moon")
    assert refused.value.status == 404
    async with worker.client.ws_connect("/ws/events?zone=centre") as connection:
        snapshot = (await received(connection))["data"]
        assert [alert["camera_id"] for alert in snapshot["alerts"]] == ["in"]
        assert snapshot["traffic_metrics_update"] == update["data"]
        assert snapshot["overview"] == update["overview"]
        assert snapshot["heatmap_update"] == heatmap["data"]


async def test_a_client_that_answers_no_ping_is_cut(worker: Worker) -> None:
    async with (
        worker.client.ws_connect("/ws/events", autoping=False) as asleep,
        worker.client.ws_connect("/ws/events") as awake,
    ):
        assert (await received(awake))["event"] == "snapshot"
        hearing = asyncio.create_task(received(awake))
        async with asyncio.timeout(10):
            while (message := await asleep.receive()).type in (WSMsgType.TEXT, WSMsgType.PING):
                pass
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 1013, "no answer to a ping")
        await awake.ping(b"are you there")
        await broadcast(worker, 1)
        assert (await hearing)["data"] == 1


async def test_a_replay_waits_for_a_slow_reader_instead_of_cutting_it(worker: Worker) -> None:
    """The queue holds eight messages; what was missed is more, and comes as fast as it is read."""
    async with worker.client.ws_connect("/ws/events") as connection:
        seq = (await received(connection))["seq"]
    for number in range(100):
        await emit(worker.context.redis, "admin_broadcast", json.dumps([number, "x" * 50_000]).encode())
    # what the worker had not heard of yet would be no part of the replay
    await heard(worker)
    async with worker.client.ws_connect(f"/ws/events?resume_after={seq}") as connection:
        await asyncio.sleep(0.3)
        assert [(await received(connection))["data"][0] for _ in range(100)] == list(range(100))


async def test_heartbeats_carry_the_newest_number(worker: Worker) -> None:
    async with worker.client.ws_connect("/ws/events?types=new_alert,heartbeat") as connection:
        newest = await broadcast(worker, 1)
        deadline = time.monotonic() + 5
        while (heartbeat := await received(connection, heartbeats=True))["seq"] < newest:
            assert time.monotonic() < deadline
        assert heartbeat["event"] == "heartbeat"
        assert (await EventLog(worker.context.redis).state()).seq == heartbeat["seq"]


async def test_the_protocol_that_carries_a_token_is_answered(worker: Worker) -> None:
    async with worker.client.ws_connect("/ws/events", protocols=("bearer", ADMIN_KEY)) as connection:
        assert connection.protocol == "bearer"


async def test_pages_of_allowed_origins_may_listen(worker: Worker) -> None:
    async with worker.client.ws_connect("/ws/events", origin="https://city.example") as connection:
        assert (await received(connection))["event"] == "snapshot"
    for path in ("/ws/events", "/ws/metrics"):
        with pytest.raises(WSServerHandshakeError) as refused:
            await worker.client.ws_connect(path, origin="https://elsewhere.example")
        assert refused.value.status == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("types=new_alert,rain", 400),
        ("types=", 400),
        ("resume_after=-1", 400),
        ("resume_after=x", 400),
        ("zone=nowhere", 503),  # Postgres, which knows the zones, is not there
        ("types=new_alert", 426),
    ],
)
async def test_refused(worker: Worker, query: str, status: int) -> None:
    response = await worker.client.get(f"/ws/events?{query}")
    assert response.status == status
    assert response.content_type == "application/problem+json"
