"""StreamCity's producers and clients, unchanged, with this application between them, on real servers."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from confluent_kafka import Consumer, KafkaError, Producer

from models.timestamps import epoch_us, rfc3339
from tests.feeds.place import told as heard
from tests.feeds.rules_place import RulesPlace, rules_place
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.transit import lines
from tests.web.conftest import ADMIN, ADMIN_KEY
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Feed
from trafficapp.movement.feeds import QUALITY
from trafficapp.settings import load_settings
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import connect
from trafficapp.topics import topics_of
from trafficapp.transit.feeds import (
    BREAKDOWNS,
    DELAYS,
    LIVE_TABLE,
    LIVE_VEHICLES,
    ROUTES,
    TRANSIT,
    VEHICLE_LOCATIONS,
    VEHICLE_ROUTES,
)
from web.application import setup
from web.serving.context import WebContext
from web.serving.database import Database
from web.serving.health import kafka_answers

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
BOUNDS = (44.0, 11.0, 45.0, 12.0)
S = 1_000_000


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def place(kafka_bootstrap: str, database_url: str, redis_server: RedisServer) -> AsyncIterator[RulesPlace]:
    await asyncio.to_thread(migrate, database_url)
    async with rules_place(
        [VEHICLE_LOCATIONS, VEHICLE_ROUTES],
        TRANSIT,
        [LIVE_TABLE, LIVE_VEHICLES, ROUTES, DELAYS, BREAKDOWNS, QUALITY],
        kafka_bootstrap,
        transit={"delay_seconds": 20},
        city={"bounds": BOUNDS},
        postgres={"url": database_url},
        redis={"url": redis_server.url},
        admin={"api_key": ADMIN_KEY},
    ) as place:
        yield place


def location(vehicle_id: str, second: int, at: tuple[float, float], **others: Any) -> dict[str, Any]:
    """What producer_vehicle.py sends."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
    told = {"vehicle_id": vehicle_id, "type": "bus", "latitude": at[0], "longitude": at[1], "passenger_count": 17}
    return told | {"status": "in_service", "timestamp": moment} | others


def route(vehicle_id: str) -> dict[str, Any]:
    """What producer_routes.py sends: no time, and latitude first."""
    path = [list(point) for point in lines.places(lines.straight())]
    told = {"route_id": f"route-{vehicle_id}", "vehicle_id": vehicle_id, "vehicle_type": "bus", "path": path}
    return told | {"expected_travel_time_minutes": 25}


def produce(place: RulesPlace, feed: str, key: str, *messages: Any, codec: str = "none") -> None:
    """As a plain client of librdkafka does: partitions by crc32."""
    producer = Producer({"bootstrap.servers": place.settings.kafka.bootstrap_servers, "compression.type": codec})
    for message in messages:
        value = message if isinstance(message, bytes) else json.dumps(message)
        producer.produce(place.feeds[feed].topic_in(place.settings), key=key, value=value)
    assert producer.flush(20) == 0


def consumed(place: RulesPlace, run: str, *topics: str, seconds: float = 60) -> dict[str, list[dict[str, Any]]]:
    """As StreamCity's backend and alerter do: a new group reads topics from their beginning to their end."""
    config = {"bootstrap.servers": place.settings.kafka.bootstrap_servers, "group.id": secrets.token_hex(4)}
    consumer = Consumer(
        config | {"auto.offset.reset": "earliest", "enable.auto.commit": "false", "enable.partition.eof": "true"}
    )
    consumer.subscribe(list(topics))
    found: dict[str, list[dict[str, Any]]] = {topic: [] for topic in topics}
    until, ended = time.monotonic() + seconds, set[tuple[str | None, int | None]]()
    while not ended or len(ended) < len(consumer.assignment()):
        assert time.monotonic() < until, (found, ended)
        message = consumer.poll(timeout=0.2)
        if message is None:
            continue
        if (error := message.error()) is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            ended.add((message.topic(), message.partition()))
        elif (message.key() or b"").decode().startswith(run):
            found[message.topic() or ""].append(json.loads((message.value() or b"").decode("utf-8")))
    consumer.close()
    return found


async def records_of(place: RulesPlace, topic: str) -> dict[int, list[Any]]:
    runs = defaultdict[int, list[Any]](list)
    for record in await place.told(topic):
        runs[record.partition].append(record)
    return runs


async def kept(place: RulesPlace, redis_server: RedisServer) -> None:
    """Let the sinks keep what was told, the history twice: as a process that knows nothing of what was written."""
    client = connect(redis_server.url)
    locations = place.feeds[VEHICLE_LOCATIONS.name]
    sinks: list[Any] = [
        RowsSink(locations, place.settings),
        RowsSink(locations, place.settings),
        *(DocumentsSink(feed, place.settings, client, an_hour_back) for feed in (LIVE_VEHICLES, ROUTES)),
    ]
    for sink in sinks:
        runs = await records_of(place, sink.topic)
        await sink.load(runs)
        for partition, records in runs.items():
            await sink.apply(partition, records, lambda: True)
        sink.release(runs)
    await client.aclose()


@pytest.fixture
async def api(place: RulesPlace, redis_server: RedisServer) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    context = WebContext(
        settings=place.settings,
        telemetry=Telemetry(),
        redis=connect(redis_server.url),
        database=Database(place.settings.postgres),
        kafka_up=kafka_answers(place.settings.kafka),
    )
    application = web.Application()
    setup(application, context, lambda: connect(redis_server.url, retries=0))
    async with TestClient(TestServer(application, host="127.0.0.1"), headers=ADMIN) as client:
        yield client


async def test_what_a_fleet_sends_is_seen_everywhere(
    place: RulesPlace,
    redis_server: RedisServer,
    database_url: str,
    api: TestClient[web.Request, web.Application],
) -> None:
    run, now = secrets.token_hex(4), int(time.time())
    buses = [f"{run}-{number}" for number in range(len(CODECS))]
    drive = [at for _, at in lines.drive(lines.straight(), metres=300, kmh=36, seconds=5)]
    # some minutes ahead of the clock
    said = {
        bus: [location(bus, now + 300 + 5 * step, at, passenger_count=10 * number) for step, at in enumerate(drive)]
        for number, bus in enumerate(buses)
    }
    for bus in buses:
        produce(place, "vehicle-routes", f"route-{bus}", route(bus))
    await place.settle()
    async with api.ws_connect("/ws/transit/vehicles?snapshot=false") as socket:
        await asyncio.sleep(0.5)
        for number, (bus, codec) in enumerate(zip(buses, CODECS, strict=True)):
            # the newest one not last, one twice, numbers as text, and any key: of a vehicle all in one partition
            mixed = [*said[bus][:-2], said[bus][-1], said[bus][-2], said[bus][0]]
            mixed[0] = {name: value if name == "status" else str(value) for name, value in mixed[0].items()}
            produce(place, "vehicle-locations", f"key-{number}", *mixed, codec=codec)
        at = said[buses[0]][0]
        swapped = at | {"latitude": at["longitude"], "longitude": at["latitude"]}
        beyond = at | {"latitude": 144.5}
        wrong = [
            swapped,
            beyond,
            at | {"latitude": 52.5},
            at | {"status": "flying"},
            at | {"passenger_count": -1},
            b"{",
        ]
        future = location(buses[0], now + 90_000, drive[0])
        produce(place, "vehicle-locations", "wrong", *wrong, future)
        short, far = {"path": [[44.5, 11.3], [44.5, 11.3]]}, {"path": [[44.5, 11.3], [11.3, 44.5]]}
        produce(place, "vehicle-routes", "wrong", route(buses[0]) | short, route(buses[0]) | far)
        await place.settle()
        await kept(place, redis_server)
        live = await heard(socket)

    newest = {bus: told[-1] for bus, told in said.items()}
    table = {row["VEHICLE_ID"]: row for row in consumed(place, run, "LIVE_VEHICLE_TABLE")["LIVE_VEHICLE_TABLE"]}
    assert table == {
        bus: {
            "VEHICLE_ID": bus,
            "TYPE": "bus",
            "LATITUDE": told["latitude"],
            "LONGITUDE": told["longitude"],
            "PASSENGER_COUNT": told["passenger_count"],
            "STATUS": "in_service",
            "LAST_UPDATED": told["timestamp"],
        }
        for bus, told in newest.items()
    }
    async with api.get("/api/transit/vehicles?limit=2") as answer:
        listed = await answer.json()
        assert 'rel="next"' in answer.headers["Link"]
    async with api.get(f"/api/transit/vehicles/{buses[0]}") as answer:
        assert [await answer.json(), answer.status] == [listed[0], 200]
    async with api.get(f"/api/transit/vehicles/{run}-none") as answer:
        assert answer.status == 404
    async with api.get("/api/transit/routes") as answer:
        routes = await answer.json()
    assert [one["vehicle_id"] for one in listed] == buses[:2]
    assert {one["vehicle_id"] for one in live} == set(buses)
    shown = next(one for one in reversed(live) if one["vehicle_id"] == buses[4])
    assert {name.upper(): shown[name] for name in map(str.lower, table[buses[4]])} == table[buses[4]]
    assert shown["route_id"] == f"route-{buses[4]}"
    assert shown["progress_m"] == pytest.approx(50 * (len(drive) - 1), abs=1)
    assert shown["progress_share"] == pytest.approx(shown["progress_m"] / 3000, abs=1e-3)
    assert (shown["occupancy_status"], shown["occupancy_percentage"]) == ("STANDING_ROOM_ONLY", 50)
    assert (shown["delayed_since"], shown["broken_down_since"], shown["plausible"]) == (None, None, True)
    assert [(one["route_id"], one["length_m"]) for one in routes] == [
        (f"route-{bus}", pytest.approx(3000, abs=1)) for bus in buses
    ]

    database = await asyncpg.connect(database_url)
    rows = await database.fetch("SELECT * FROM transit_positions WHERE starts_with(vehicle_id, $1)", run)
    await database.close()
    assert sorted(
        (row["vehicle_id"], rfc3339(epoch_us(row["observed_at"])), row["latitude"]) for row in rows
    ) == sorted((bus, one["timestamp"], one["latitude"]) for bus, told in said.items() for one in told)
    letters = await place.letters()
    assert sorted(one.reason for one in letters) == [
        *("future", "invalid_field", "invalid_field", "invalid_field", "invalid_place", "not_json"),
        *("outside_city", "outside_city", "outside_city"),
    ]
    details = [one.detail or "" for one in letters if one.reason == "outside_city"]
    assert sum("they look swapped" in detail for detail in details) == 2


async def test_delays_breakdowns_and_jumps_are_told_once_also_when_another_process_takes_over(
    place: RulesPlace,
) -> None:
    run, now = secrets.token_hex(4), int(time.time())
    silent, broken, jumping, driving = (f"{run}-{word}" for word in ("silent", "broken", "jumping", "driving"))
    here, there = lines.places([(0, 0), (5000, 5000)])
    produce(place, "vehicle-locations", silent, location(silent, now, here))
    produce(place, "vehicle-locations", broken, location(broken, now, here, status="broken_down"))
    for step in range(5):
        clock_us = (now + 10 * step) * S
        for vehicle, at in ((jumping, (here, there)[step % 2]), (driving, lines.places([(80 * step, 0)])[0])):
            produce(place, "vehicle-locations", vehicle, location(vehicle, now + 10 * step, at))
        if step == 3:
            await place.begin()
        await place.settle(clock_us)
    again = location(silent, now + 60, here), location(broken, now + 60, here)
    produce(place, "vehicle-locations", silent, *again)
    await place.settle()
    # what alerter/main.py reads, once it is committed
    for topic in (alerts := ("delay_alerts", "breakdown_alerts", "quality_alerts")):
        await place.told(topic)
    told = consumed(place, run, *alerts)
    delays = told["delay_alerts"]
    assert [(one.get("VEHICLE_ID"), one["state"]) for one in delays] == [(silent, "opened"), (silent, "resolved")]
    assert delays[0]["TIME_SINCE_LAST_UPDATE_SECONDS"] in range(21, 45)
    assert delays[0].get("ALERT_MESSAGE") == (
        f"Vehicle may be delayed. No update for {delays[0]['TIME_SINCE_LAST_UPDATE_SECONDS']} seconds."
    )
    for topic, vehicle, states in (
        ("breakdown_alerts", broken, ["opened", "resolved"]),
        ("quality_alerts", jumping, ["opened"]),
    ):
        alerts = told[topic]
        assert [(one["subject"], one["state"]) for one in alerts] == [(vehicle, state) for state in states]
        assert len({one["alert_id"] for one in alerts}) == 1


def test_the_table_of_vehicles_and_the_routes_are_compacted() -> None:
    settings = load_settings()
    feeds: list[Feed[Any]] = [LIVE_TABLE, ROUTES]
    for feed in feeds:
        (topic,) = topics_of(feed, settings)
        assert topic.config["cleanup.policy"] == "compact"
        assert "retention.ms" not in topic.config
    (outer,) = topics_of(VEHICLE_ROUTES, settings)
    assert outer.config["retention.ms"] == str(400 * 86_400_000)
