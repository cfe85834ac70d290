"""From producers as they are to Postgres, Redis, the API and the socket, on real servers."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from confluent_kafka import Producer

from models.timestamps import epoch_us, rfc3339
from tests.feeds.place import told as heard
from tests.feeds.rules_place import RulesPlace, rules_place
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import ADMIN, ADMIN_KEY
from trafficapp.engine.telemetry import Telemetry
from trafficapp.fleet.feeds import CARS, FLEET, POSITIONS, TRACKERS
from trafficapp.fleet.topics import VEHICLE_POSITIONS
from trafficapp.movement.feeds import QUALITY
from trafficapp.movement.plausibility import QUALITY_ALERTS
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import connect
from web.application import setup
from web.serving.context import WebContext
from web.serving.database import Database
from web.serving.health import kafka_answers

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
ZONE = "Asia/Jakarta"
BOUNDS = (-6.5, 106.5, -5.9, 107.1)
#: Half a minute and more a round, for a day: so far ahead of the clock.
AHEAD = timedelta(days=3)


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
        [CARS, TRACKERS],
        FLEET,
        [POSITIONS, QUALITY],
        kafka_bootstrap,
        fleet={"time_zone": ZONE},
        city={"bounds": BOUNDS},
        postgres={"url": database_url},
        redis={"url": redis_server.url},
        admin={"api_key": ADMIN_KEY},
    ) as place:
        yield place


class Round:
    """Messages of devices at one moment, as the Smart City producers send them: naive times, words, random ids."""

    def __init__(self, run: str, number: int) -> None:
        self.at = datetime.now(UTC).replace(microsecond=0) + AHEAD + timedelta(seconds=45 * number)
        naive = self.at.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None).isoformat()
        self.cars, self.trackers = list[dict[str, Any]](), list[dict[str, Any]]()
        for device in range(len(CODECS)):
            shared = {
                "device_id": f"{run}-{device}",
                "timestamp": naive,
                "location": [-6.2 + 0.001 * number, 106.8 + 0.01 * device],
            }
            self.cars.append({**shared, "id": str(uuid.uuid4()), "speed": 10.0 + number, "direction": "North-East",
                              "make": "BMW", "model": "C500", "year": 2024, "fuel_type": "Hybrid"})  # fmt: skip
            self.trackers.append({**shared, "id": str(uuid.uuid4()), "speed": 40.0 + number, "direction": 44.0,
                                  "vehicle_type": "private"})  # fmt: skip


def produce(place: RulesPlace, feed: str, codec: str, *messages: Any) -> None:
    """As a plain client of librdkafka does: keys are random, and hashed by crc32."""
    producer = Producer({"bootstrap.servers": place.settings.kafka.bootstrap_servers, "compression.type": codec})
    for message in messages:
        value = message if isinstance(message, bytes) else json.dumps(message).encode()
        producer.produce(place.feeds[feed].topic_in(place.settings), value, key=str(uuid.uuid4()))
    assert producer.flush(20) == 0


async def kept(place: RulesPlace, redis_server: RedisServer) -> None:
    """Let the sinks keep what was told."""
    runs = defaultdict[int, list[Any]](list)
    for record in await place.told(VEHICLE_POSITIONS):
        runs[record.partition].append(record)
    client = connect(redis_server.url)
    documents = DocumentsSink(POSITIONS, place.settings, client, an_hour_back)
    # a process that knows nothing of what was written: all is written once more
    for sink in (RowsSink(POSITIONS, place.settings), RowsSink(POSITIONS, place.settings), documents):
        await sink.load(runs)
        for partition, records in runs.items():
            await sink.apply(partition, records, lambda: True)
        sink.release(runs)
    await client.aclose()


async def test_what_cars_and_trackers_send_is_seen_everywhere(
    place: RulesPlace, redis_server: RedisServer, database_url: str
) -> None:
    run = secrets.token_hex(4)
    rounds = [Round(run, number) for number in range(5)]
    for one in rounds:
        for device, codec in enumerate(CODECS):
            produce(place, "gps-data", codec, one.trackers[device])
            produce(place, "vehicle-data", codec, one.cars[device])
    # keys may be missing, and a message come twice
    await place.send("vehicle-data", *(json.dumps(one).encode() for one in rounds[-1].cars))
    swapped = rounds[0].cars[0] | {"location": [106.8, -6.2]}
    produce(place, "vehicle-data", "none", swapped, rounds[0].cars[0] | {"location": [44.5, 11.3]}, b"{")
    produce(
        place, "gps-data", "none", rounds[0].trackers[0] | {"direction": "up"}, rounds[0].trackers[0] | {"speed": -1}
    )
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
        async with client.ws_connect("/ws/vehicles?snapshot=false") as socket:
            await asyncio.sleep(0.5)
            await place.settle()
            await kept(place, redis_server)
            live = [one for one in await heard(socket) if one["vehicle_id"].startswith(run)]
        async with client.get("/api/vehicles/locations") as answer:
            locations = [one for one in await answer.json() if one["vehicle_id"].startswith(run)]
        async with client.get(f"/api/fleet/vehicles/{run}-0/trajectory") as answer:
            way = await answer.json()

    told = [record for record in await place.told(VEHICLE_POSITIONS) if record.key.startswith(run.encode())]
    assert len({(record.key, record.partition) for record in told}) == len(CODECS)
    assert len(told) == 2 * len(CODECS) * len(rounds)
    last = rounds[-1]
    newest = {f"{run}-{device}": last.cars[device]["location"] for device in range(len(CODECS))}
    for shown in (locations, live[-len(CODECS) :]):
        assert {one["vehicle_id"]: [one["latitude"], one["longitude"]] for one in shown} == newest
        assert {(one["timestamp"], one["speed"], one["direction"]) for one in shown} == {
            (rfc3339(epoch_us(last.at)), 14.0, 45.0)
        }
    assert {one["feeds"]["gps_data"]["speed"] for one in live[-len(CODECS) :]} == {44.0}
    assert [one["timestamp"] for one in way] == [rfc3339(epoch_us(one.at)) for one in rounds]
    assert [one["latitude"] for one in way] == [one.cars[0]["location"][0] for one in rounds]

    database = await asyncpg.connect(database_url)
    rows = await database.fetch("SELECT * FROM vehicle_positions WHERE starts_with(vehicle_id, $1)", run)
    await database.close()
    assert {(row["vehicle_id"], row["observed_at"], row["feed"]) for row in rows} == {
        (f"{run}-{device}", one.at, feed)
        for one in rounds for device in range(len(CODECS)) for feed in ("vehicle_data", "gps_data")
    }  # fmt: skip
    assert len(rows) == len(told)
    letters = await place.letters()
    assert sorted(one.reason for one in letters) == [
        *("impossible_speed", "invalid_field", "invalid_place", "not_json", "outside_city")
    ]
    assert "swapped" in next(one.detail for one in letters if one.reason == "invalid_place")


async def test_jumps_are_one_alert_also_when_another_process_takes_over(place: RulesPlace) -> None:
    run = secrets.token_hex(4)
    for number in range(12):
        one = Round(run, number)
        if number % 2:
            for car in one.cars:
                car["location"][0] += 0.25
        # each device's into one partition, in order
        await place.send("vehicle-data", *(json.dumps(car).encode() for car in one.cars))
        if number in (4, 11):
            await place.settle(epoch_us(datetime.now(UTC)))
            await place.begin()
    found = [json.loads(record.value) for record in await place.told(QUALITY_ALERTS)]
    found = [one for one in found if one["subject"].startswith(run)]
    assert sorted((one["subject"], one["state"]) for one in found) == [
        (f"{run}-{device}", "opened") for device in range(len(CODECS))
    ]
    told = [record for record in await place.told(VEHICLE_POSITIONS) if record.key.startswith(run.encode())]
    assert len(told) == 12 * len(CODECS)
