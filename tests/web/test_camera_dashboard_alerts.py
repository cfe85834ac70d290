"""The steps of a camera dashboard's backend, unchanged, as far as alerts, administration and sockets go."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any, TypeAlias

import asyncpg
import pytest
from aiohttp import ClientWebSocketResponse

from models.administration.thresholds import Thresholds
from models.alerts import AlertEvent, alert_number
from tests.stores.alerts.alert_messages import Connection, after_noon, alert_event, keep_open, news_event, store
from tests.stores.cameras.test_live_sink import flat
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import window_row, window_rows
from tests.tasks import end
from tests.web.conftest import ADMIN, ADMIN_KEY, Client, Worker, serving
from tests.web.sockets.test_events import step
from tests.web.stored import keep_windows, recent_window
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.cameras.periodic_events import PeriodicEvents, Surroundings
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.event_log import emit
from trafficapp.topics import declared_topics
from trafficapp.windows.congestion import CongestionScale

ALERT = {
    "id",
    "severity",
    "alert_type",
    "camera_id",
    "road_segment",
    "title",
    "message",
    "congestion_level",
    "congestion_score",
    "triggered_at",
    "resolved_at",
    "acknowledged",
    "acknowledged_by",
    "acknowledged_at",
    "alert_number",
    # ours
    "alarm_at",
}
ENVELOPE = ("seq", "event", "ts", "data")
SPAN = "from=2026-03-02&to=2026-03-03"


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Connection]:
    """A connection to the empty tables."""
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "TRUNCATE alerts, alert_acknowledgements, cameras, audit_logs, pending_publications, monitoring_zones, "
        "traffic_metrics, metrics_1m, metrics_1h"
    )
    yield connection
    await connection.close()


@pytest.fixture
async def backend(
    settings: Settings, redis_server: RedisServer, database_url: str, kafka_bootstrap: str, tables: Connection
) -> AsyncIterator[Worker]:
    """A worker for a dashboard that has a login of its own: its alerts may be acknowledged without a token."""
    complete = load_settings(
        redis=settings.redis,
        web=settings.web,
        admin=settings.admin,
        limits=settings.limits,
        auth={"public_acknowledge": True},
        events={"heartbeat_seconds": 0.5, "metrics_seconds": 1.0, "heatmap_seconds": 2.0},
        kafka={"bootstrap_servers": kafka_bootstrap},
        postgres={"url": database_url},
    )
    await create_topics(complete, declared_topics(complete))
    async with serving(complete, redis_server) as worker:
        worker.client.session.headers.clear()
        yield worker


async def get(client: Client, path: str) -> Any:
    response = await client.get(path)
    assert response.status == 200, await response.text()
    return await response.json()


async def ids(client: Client, path: str) -> list[str]:
    return [row["id"] for row in await get(client, path)]


async def keep(worker: Worker, tables: Connection, *events: AlertEvent) -> None:
    """Into Postgres, and the open ones into Redis."""
    await store(tables, *events)
    await keep_open(worker.context.redis, *(event for event in events if event.resolved_at is None))


async def test_an_alert_is_active_then_acknowledged_and_stays_in_the_history(
    backend: Worker, tables: Connection
) -> None:
    client = backend.client
    await tables.execute("INSERT INTO cameras (camera_id, road_segment) VALUES ('cam_1', 'A1')")
    warning = alert_event("w", severity="WARNING", congestion_level="HIGH")
    critical = alert_event("c", seconds=10)
    await keep(backend, tables, warning, critical)
    await backend.context.registry.refresh()

    active = await get(client, "/api/alerts/active")
    assert [row["id"] for row in active] == [critical.id, warning.id]
    assert all(set(row) == ALERT for row in active)
    assert [(row["acknowledged"], row["road_segment"]) for row in active] == [(False, "A1")] * 2
    assert await get(client, "/api/alerts/current") == active

    # it takes whole numbers only, and has no token
    number = active[1]["alert_number"]
    response = await client.post(f"/api/alerts/{number}/acknowledge", json={"admin_id": "ada"})
    assert response.status == 200, await response.text()
    told = await response.json()
    stored = await tables.fetchrow("SELECT * FROM alert_acknowledgements")
    assert stored is not None
    assert str(stored["alert_id"]) == warning.id
    at = stored["acknowledged_at"].isoformat().replace("+00:00", "Z")
    by = {"acknowledged": True, "acknowledged_by": "ada", "acknowledged_at": at}
    assert told == active[1] | by | {"alert_id": warning.id, "admin_id": "ada", "status": "acknowledged"}

    # at once, though Redis has not heard of it
    assert await ids(client, "/api/alerts/active") == [critical.id]
    current = await get(client, "/api/alerts/current")
    assert [row["acknowledged_by"] for row in current] == [None, "ada"]
    again = await client.post(f"/api/alerts/{warning.id}/acknowledge", headers={"X-Admin-User": "bob"})
    assert (again.status, await again.json()) == (200, told | {"status": "already_acknowledged"})
    response = await client.post(f"/api/alerts/{critical.id}/acknowledge", headers={"X-Admin-User": "bob"})
    assert (await response.json())["admin_id"] == "bob"
    assert await get(client, "/api/alerts/active") == []

    history = await get(client, f"/api/alerts/history?{SPAN}")
    assert [(row["id"], row["acknowledged"], row["acknowledged_by"]) for row in history] == [
        (critical.id, True, "bob"),
        (warning.id, True, "ada"),
    ]
    assert all(set(row) == ALERT for row in history)
    audit = await tables.fetch("SELECT actor, role, action FROM audit_logs")
    assert [tuple(row) for row in audit] == [("anonymous", "viewer", "alerts.acknowledge")] * 2


@pytest.mark.parametrize("token", [{}, {"X-Admin-Token": "wrong"}, {"Authorization": "Bearer wrong"}])
async def test_without_the_setting_a_token_is_needed_and_a_wrong_one_never_passes(
    backend: Worker, history_worker: Worker, tables: Connection, token: dict[str, str]
) -> None:
    alert = alert_event("a")
    await keep(backend, tables, alert)
    workers = [history_worker] if not token else [history_worker, backend]
    for worker in workers:
        worker.client.session.headers.clear()
        response = await worker.client.post(f"/api/alerts/{alert.id}/acknowledge", json={}, headers=token)
        assert response.status == 401
    # the setting opens nothing else
    for path in ("/api/alerts", f"/api/alerts/{alert.id}/resolve"):
        assert (await backend.client.post(path, json={"title": "x"})).status == 401


async def test_words_choose_alerts_in_any_case(backend: Worker, tables: Connection) -> None:
    client = backend.client
    high = alert_event("high", severity="WARNING", congestion_level="HIGH")
    severe = alert_event("severe", "cam_2", 10, alert_type="stopped_traffic")
    eased = alert_event("eased", "cam_3", 20, congestion_level="LOW")
    manual = alert_event("m", None, 30, severity="EMERGENCY", alert_type="manual", congestion_level=None)
    silent = alert_event("s", "cam_4", 40, severity="WARNING", alert_type="camera_silent", congestion_level=None)
    await keep(backend, tables, high, severe, eased, manual, silent)
    for query, expected in (
        ("", [manual, eased, severe, high]),
        ("severity=warning", [high]),
        ("severity=Critical", [eased, severe]),
        ("severity=EMERGENCY", [manual]),
        ("severity=high", [high]),
        ("severity=SEVERE", [severe]),
        ("severity=Low", [eased]),
        ("severity=MODERATE", []),
        ("severity=UNKNOWN", []),
        ("severity=red", []),
        ("severity=", [manual, eased, severe, high]),
        ("alert_type=Stopped_Traffic", [severe]),
        ("type=MANUAL", [manual]),
        ("type=manual&alert_type=Manual", [manual]),
        ("type=flood", []),
        ("camera_id=cam_3", [eased]),
        ("include=quality", [silent, manual, eased, severe, high]),
        ("include=quality&severity=WARNING", [silent, high]),
        ("type=camera_silent", [silent]),
        ("limit=2", [manual, eased]),
    ):
        for path in ("active?", "current?", f"history?{SPAN}&"):
            assert await ids(client, f"/api/alerts/{path}{query}") == [one.id for one in expected], (path, query)
        exported = await (await client.get(f"/api/alerts/export?{SPAN}&{query}")).text()
        assert [row["id"] for row in csv.DictReader(io.StringIO(exported))] == [one.id for one in expected], query


async def test_ended_alerts_are_found_by_the_level_that_raised_them(backend: Worker, tables: Connection) -> None:
    ended = alert_event("ended", congestion_level="LOW", resolved_at=after_noon(60))
    await keep(backend, tables, ended)
    for word, expected in (("SEVERE", [ended.id]), ("LOW", [ended.id]), ("HIGH", [])):
        assert await ids(backend.client, f"/api/alerts/history?{SPAN}&severity={word}") == expected


async def test_open_alerts_come_in_pages_when_few_are_asked_for(backend: Worker, tables: Connection) -> None:
    events = [alert_event(f"alert {number}", seconds=number // 3) for number in range(7)]
    await keep_open(backend.context.redis, *events)
    whole = await ids(backend.client, "/api/alerts/active")
    collected: list[str] = []
    url = "/api/alerts/active?limit=2"
    while url:
        response = await backend.client.get(url)
        collected += [row["id"] for row in await response.json()]
        url = str(response.links["next"]["url"].relative()) if "next" in response.links else ""
    assert (len(whole), collected) == (7, whole)


async def test_every_path_takes_the_number_of_an_alert(backend: Worker, tables: Connection) -> None:
    only_live, only_stored = alert_event("live"), alert_event("stored", seconds=5, resolved_at=after_noon(60))
    manual = alert_event("m", None, 30, severity="EMERGENCY", alert_type="manual", congestion_level=None)
    await keep_open(backend.context.redis, only_live)
    await store(tables, only_stored, manual)
    for event in (only_live, only_stored, manual):
        number = alert_number(event.id)
        assert 0 <= number <= 2**53 - 1
        by_id, by_number = [await get(backend.client, f"/api/alerts/{key}") for key in (event.id, number)]
        assert by_id == by_number
        assert (by_id["id"], by_id["alert_number"]) == (event.id, number)
    response = await backend.client.post(f"/api/alerts/{alert_number(manual.id)}/resolve", headers=ADMIN)
    assert (response.status, (await response.json())["id"]) == (200, manual.id)


def test_numbers_of_alerts_differ_and_stay() -> None:
    names = [uuid.uuid5(uuid.NAMESPACE_OID, str(number)) for number in range(20_000)]
    numbers = {alert_number(name) for name in names}
    assert len(numbers) == len(names)
    assert max(numbers) <= 2**53 - 1
    assert max(numbers) > 2**52
    assert alert_number("d720e32d-4765-5177-b65b-42dd7f6e6445") == 7569160010263714


# ------------------------------------------------------------------ administration


async def administer(client: Client, method: str, path: str, body: object = None, status: int = 200) -> Any:
    headers = {"X-Admin-Token": ADMIN_KEY, "X-Admin-User": "ada"}
    response = await client.request(method, f"/api/admin/{path}", json=body, headers=headers)
    text = await response.text()
    assert response.status == status, text
    return json.loads(text) if text else None


async def test_thresholds_may_be_equal_and_come_back_as_they_were_set(backend: Worker, tables: Connection) -> None:
    names = ("congestion_threshold_low", "congestion_threshold_moderate", "congestion_threshold_high")
    before = await administer(backend.client, "GET", "thresholds")
    assert [before[name] for name in names] == [0.3, 0.55, 0.8]
    wanted = dict(zip(names, (0.2, 0.5, 0.5), strict=True))
    after = await administer(backend.client, "PUT", "thresholds", wanted)
    assert {name: after[name] for name in names} == wanted
    stored = await tables.fetchrow("SELECT * FROM admin_thresholds ORDER BY version DESC LIMIT 1")
    assert stored is not None
    assert {name: stored[name] for name in names} == wanted
    control = Thresholds(1, 0, 0.2, 0.5, 0.5)
    assert control.valid
    scale = CongestionScale(moderate=0.2, high=0.5, severe=0.5)
    assert [scale.level(score) for score in (0.1, 0.2, 0.49, 0.5)] == ["LOW", "MODERATE", "MODERATE", "SEVERE"]
    await administer(backend.client, "PUT", "thresholds", wanted | {names[0]: 0.6}, 422)
    (row,) = await tables.fetch("SELECT actor FROM audit_logs WHERE action = 'thresholds.update'")
    assert row["actor"] == "ada"
    await tables.execute("TRUNCATE admin_thresholds")


async def test_a_zone_without_a_description(backend: Worker, tables: Connection) -> None:
    ring = [{"lat": 44.0, "lon": 11.0}, {"lat": 45.0, "lon": 11.0}, {"lat": 45.0, "lon": 12.0}]
    body = {"name": "centre", "description": None, "coordinates": ring}
    zone = await administer(backend.client, "POST", "zones", body, 201)
    assert (zone["description"], zone["coordinates"]) == (None, [*ring, ring[0]])
    told = await administer(backend.client, "PUT", f"zones/{zone['id']}", {"description": "the middle"})
    assert told["description"] == "the middle"
    told = await administer(backend.client, "PUT", f"zones/{zone['id']}", {"description": None})
    assert told["description"] is None
    assert await administer(backend.client, "GET", "zones") == [told]
    await administer(backend.client, "DELETE", f"zones/{zone['id']}", status=204)


@pytest.mark.parametrize(
    "place",
    [
        {"latitude": 44.5, "longitude": 11.3},
        {"lat": 44.5, "lng": 11.3},
        {"lat": 44.5, "lon": 11.3},
        {"latitude": 44.5, "lat": 44.5, "lng": 11.3, "lon": 11.3},
    ],
)
async def test_a_camera_is_placed_by_any_of_its_names(
    backend: Worker, tables: Connection, place: dict[str, float]
) -> None:
    client = backend.client
    made = await administer(client, "PUT", "cameras/cam_1", {"name": "Porta", **place}, 201)
    assert (made["latitude"], made["longitude"], made["name"]) == (44.5, 11.3, "Porta")
    assert isinstance(made["id"], int)
    assert 0 <= made["id"] < 2**53
    changed = await administer(client, "PUT", "cameras/cam_1", {"lat": 44.6, "road_segment": "A1"})
    assert changed == made | {"latitude": 44.6, "road_segment": "A1", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > changed["created_at"] == made["created_at"]
    other = await administer(client, "POST", "cameras", {"camera_id": "cam_2", **place}, 201)
    assert (other["latitude"], other["longitude"]) == (44.5, 11.3)
    assert other["id"] != made["id"]
    assert await administer(client, "GET", "cameras") == [changed, other]
    rows = await tables.fetch("SELECT camera_id, latitude, longitude, created_at, updated_at FROM cameras")
    assert sorted((row["camera_id"], row["latitude"], row["longitude"]) for row in rows) == [
        ("cam_1", 44.6, 11.3),
        ("cam_2", 44.5, 11.3),
    ]
    actions = [row["action"] for row in await tables.fetch("SELECT action FROM audit_logs ORDER BY id")]
    assert actions == ["cameras.create", "cameras.update", "cameras.create"]


async def test_names_that_contradict_each_other_are_refused(backend: Worker, tables: Connection) -> None:
    for place in ({"latitude": 1, "lat": 2, "lng": 3}, {"lat": 1, "lng": 3, "lon": 4}, {"lat": 1}, {"lon": 1}):
        await administer(backend.client, "PUT", "cameras/cam_1", place, 422)
        await administer(backend.client, "POST", "cameras", {"camera_id": "cam_1", **place}, 422)
    await administer(backend.client, "PUT", f"cameras/{'x' * 257}", {}, 422)
    assert await administer(backend.client, "GET", "cameras") == []


# ------------------------------------------------------------------ sockets


Messages: TypeAlias = "asyncio.Queue[Any]"


@asynccontextmanager
async def listening(worker: Worker, path: str) -> AsyncIterator[Messages]:
    """What a client is told, read as it comes: one that does not read answers no pings, and is cut."""
    messages: Messages = asyncio.Queue()

    async def listen(connection: ClientWebSocketResponse) -> None:
        async for message in connection:
            messages.put_nowait(json.loads(message.data))

    async with worker.client.ws_connect(path) as connection:
        reading = asyncio.create_task(listen(connection))
        yield messages
        await end(reading)


async def heard(messages: Messages, seconds: float = 8) -> Any:
    return await asyncio.wait_for(messages.get(), seconds)


async def test_windows_come_whole_every_five_seconds(backend: Worker) -> None:
    """A client replaces what it shows: each message has every camera, those that said nothing new, too."""
    await backend.put(*window_rows("a", 1), *window_rows("b", 1))
    async with (
        listening(backend, "/ws/metrics") as cameras,
        listening(backend, "/ws/metrics/lanes") as lanes,
        listening(backend, "/ws/metrics?camera_id=b") as only_b,
        listening(backend, "/ws/metrics?changes=true") as changes,
    ):
        b = window_rows("b", 2)
        await wait_for_rows(changes, 2)
        await wait_for_rows(cameras, 2)
        started = time.monotonic()
        await backend.put(*b)
        # at once, that is, not with the next message to everybody
        assert await heard(changes, 4) == flat([b[0]])
        assert await heard(cameras) == flat([window_row("a", 1), b[0]])
        assert await heard(cameras) == flat([window_row("a", 1), b[0]])
        assert 8 <= time.monotonic() - started < 15
        while (told := await heard(lanes)) != flat([*window_rows("a", 1)[1:], *b[1:]]):
            assert told == flat([*window_rows("a", 1)[1:], *window_rows("b", 1)[1:]])
        while await heard(only_b) != flat([b[0]]):
            pass


async def wait_for_rows(messages: Messages, count: int) -> None:
    """The first message may have been sent before the worker heard of the rows."""
    while len(await heard(messages)) < count:
        pass


async def test_operators_hear_broadcasts_beside_the_rows(backend: Worker, tables: Connection) -> None:
    async with (
        listening(backend, "/ws/metrics?role=operator") as operator,
        listening(backend, "/ws/metrics/lanes?role=operator") as lanes,
        listening(backend, "/ws/metrics?role=viewer") as viewer,
    ):
        for connection in (operator, lanes, viewer):
            assert await heard(connection) == []
        await asyncio.sleep(0.2)
        sent = await administer(
            backend.client, "POST", "notifications/broadcast", {"message": "Fog", "severity": "critical"}, 202
        )
        assert (sent["status"], sent["severity"]) == ("queued", "CRITICAL")
        for connection in (operator, lanes):
            while isinstance(told := await heard(connection), list):
                pass
            assert told["event"] == "admin_broadcast"
            assert told["data"] == {name: value for name, value in sent.items() if name != "status"}
        assert await heard(viewer) == []


async def test_with_types_nothing_else_is_told(backend: Worker) -> None:
    redis = backend.context.redis
    await step(backend, news_event("open"))
    async with (
        listening(backend, "/ws/events?types=admin_broadcast") as strict,
        listening(backend, "/ws/events?types=admin_broadcast,snapshot") as with_snapshot,
        listening(backend, "/ws/events?types=heartbeat") as beats,
        listening(backend, "/ws/events") as everything,
    ):
        assert (await heard(everything))["event"] == "snapshot"
        assert (await heard(with_snapshot))["event"] == "snapshot"
        assert (await heard(beats))["event"] == "heartbeat"
        await asyncio.sleep(1.2)  # heartbeats come twice a second
        await emit(redis, "admin_broadcast", b"1")
        assert [(await heard(one))["event"] for one in (strict, with_snapshot)] == ["admin_broadcast"] * 2
        assert (await heard(beats))["event"] == "heartbeat"


async def test_silent_cameras_are_told_only_to_those_who_ask(backend: Worker) -> None:
    async with (
        listening(backend, "/ws/events?types=new_alert,snapshot") as plain,
        listening(backend, "/ws/events?types=new_alert,snapshot&include=quality") as quality,
    ):
        for connection in (plain, quality):
            assert (await heard(connection))["data"]["alerts"] == []
        silent = news_event("s", alert_type="camera_silent", severity="WARNING", congestion_level=None)
        await step(backend, silent, news_event("a"))
        assert (await heard(plain))["data"]["id"] == news_event("a").id
        assert [(await heard(quality))["data"]["id"] for _ in range(2)] == [silent.id, news_event("a").id]
    for query, count in (("", 1), ("&include=quality", 2)):
        async with listening(backend, f"/ws/events?types=new_alert,snapshot{query}") as connection:
            assert len((await heard(connection))["data"]["alerts"]) == count


async def test_a_minute_of_events_says_what_postgres_says(
    backend: Worker, tables: Connection, settings: Settings
) -> None:
    """Metrics and heatmap as the live role tells them; here it takes as long as two of each."""
    await tables.execute("INSERT INTO cameras (camera_id, name, latitude, longitude) VALUES ('a', 'A', 44.5, 11.3)")
    rows = [recent_window("a", 3, vehicle_count=20, congestion_score=0.6), recent_window("a", 2), recent_window("b", 2)]
    await keep_windows(backend.context.settings, *rows)
    await backend.put(*rows)
    surroundings = Surroundings(backend.context.settings)
    await surroundings.refresh()
    telling = asyncio.create_task(PeriodicEvents(backend.context.redis, backend.context.settings, surroundings).run())
    try:
        async with (
            listening(backend, "/ws/events?types=traffic_metrics_update") as metrics,
            listening(backend, "/ws/events?types=heatmap_update") as heatmap,
        ):
            for _ in range(2):
                told = await heard(metrics)
                assert (set(told), told["event"]) == ({*ENVELOPE, "overview"}, "traffic_metrics_update")
                stored = await tables.fetch(
                    "SELECT DISTINCT ON (camera_id) camera_id, window_end, vehicle_count, avg_speed_kmh, queue_length, "
                    "congestion_score, congestion_level FROM traffic_metrics WHERE lane_id IS NULL "
                    "ORDER BY camera_id, window_start DESC"
                )
                assert [
                    (
                        row["camera_id"],
                        datetime.fromisoformat(row["window_end"]),
                        row["vehicle_count"],
                        row["avg_speed_kmh"],
                        row["queue_length"],
                        row["congestion_score"],
                        row["congestion_level"],
                    )
                    for row in told["data"]
                ] == [tuple(row) for row in stored]
                assert told["data"] == flat(rows[1:])
                assert told["overview"]["vehicle_count"] == 20
            points = (await heard(heatmap, 12))["data"]
            rest = await get(backend.client, "/api/map/heatmap?minutes=5&format=array")
            assert points == rest
            assert (len(points), points[0]["camera_id"], points[0]["vehicle_count"]) == (1, "a", 15)
    finally:
        await end(telling)


async def test_three_sockets_over_a_minute_of_windows_say_what_postgres_says(
    backend: Worker, tables: Connection
) -> None:
    """Twelve windows of two cameras and a lane, one after the other: every row that any socket says stands there."""
    await tables.execute("INSERT INTO cameras (camera_id, name, latitude, longitude) VALUES ('a', 'A', 44.5, 11.3)")
    settings = backend.context.settings
    minute = [
        [
            recent_window("a", ago, vehicle_count=ago, congestion_score=ago / 100, avg_speed_kmh=60.0 - ago),
            recent_window("a", ago, lane_id=1, vehicle_count=1, congestion_score=None, congestion_level="UNKNOWN"),
            recent_window("b", ago, vehicle_count=2 * ago, counts_by_class={"bus": 2 * ago}),
        ]
        for ago in range(12, 0, -1)
    ]
    surroundings = Surroundings(settings)
    await surroundings.refresh()
    paths = ("/ws/metrics", "/ws/metrics/lanes", "/ws/events?types=traffic_metrics_update,heatmap_update,new_alert")
    async with AsyncExitStack() as opened:
        cameras, lanes, events = [await opened.enter_async_context(listening(backend, path)) for path in paths]
        telling = asyncio.create_task(PeriodicEvents(backend.context.redis, settings, surroundings).run())
        opened.push_async_callback(ended, telling)
        for number, rows in enumerate(minute):
            await keep_windows(settings, *rows)
            await backend.put(*rows)
            if number == 6:
                await step(backend, news_event("rises", "a", severity="WARNING", congestion_level="HIGH"))
            await asyncio.sleep(0.9)
        last = {"cameras": flat(minute[-1][::2]), "lanes": flat(minute[-1][1:2])}
        told = {
            "cameras": await heard_until(cameras, lambda message: message == last["cameras"]),
            "lanes": await heard_until(lanes, lambda message: message == last["lanes"]),
        }
        news = await heard_until(events, lambda event: event["data"] == last["cameras"])
        news += await heard_until(events, lambda event: event["event"] == "heatmap_update")
    stored = {(row["camera_id"], row["window_start"], row["lane_id"]): row for row in await tables.fetch(_METRIC_ROWS)}
    assert len(stored) == 36
    updates = [event["data"] for event in news if event["event"] == "traffic_metrics_update"]
    # several of each, as their clocks have it; a client replaces what it shows
    assert len(updates) >= 8
    assert min(len(messages) for messages in told.values()) >= 3
    for rows in [*updates, *told["cameras"], *told["lanes"]]:
        for row in rows:
            kept = dict(stored[row["camera_id"], datetime.fromisoformat(row["window_start"]), row["lane_id"]])
            kept["counts_by_class"] = json.loads(kept["counts_by_class"])
            # percentiles are of speeds that were counted, and these rows tell none
            assert {row.pop(f"p{share}_speed_kmh") for share in (15, 50, 85, 95)} == {None}
            assert row == kept | {name: row[name] for name in ("window_start", "window_end")}
            assert datetime.fromisoformat(row["window_end"]) == kept["window_end"]
    for messages in (updates, told["cameras"]):
        assert all([row["camera_id"] for row in rows] in ([], ["a"], ["a", "b"]) for rows in messages)
        seen = [rows[0]["window_start"] for rows in messages if rows]
        assert seen == sorted(seen)
        assert len(set(seen)) >= 3
    # the mean of what was there when it was reckoned
    means = [round(sum(rows[0].vehicle_count for rows in minute[:n]) / n, 2) for n in range(1, 13)]
    points = [point for event in news if event["event"] == "heatmap_update" for point in event["data"]]
    assert len(points) >= 4
    assert {point["camera_id"] for point in points} == {"a"}
    assert all(point["avg_vehicle_count"] in means for point in points)
    assert points[-1]["avg_vehicle_count"] == means[-1]
    (alert,) = [event["data"] for event in news if event["event"] == "new_alert"]
    assert (alert["camera_id"], alert["severity"], alert["alert_severity"]) == ("a", "HIGH", "WARNING")


_METRIC_ROWS = """
    SELECT camera_id, window_start, window_end, lane_id, vehicle_count, counts_by_class, avg_speed_kmh, stopped_ratio,
        queue_length, congestion_level, congestion_score, detections FROM traffic_metrics
"""


async def heard_until(messages: Messages, is_last: Callable[[Any], bool]) -> list[Any]:
    """What a client is told up to a message."""
    found = []
    async with asyncio.timeout(180):
        while not found or not is_last(found[-1]):
            found.append(await messages.get())
    return found


async def ended(task: asyncio.Task[None]) -> None:
    await end(task)
