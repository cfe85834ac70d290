"""Readings on their way through real servers: from a producer of stations to Postgres, Redis, API and socket."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import confluent_kafka
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from models.timestamps import epoch_us, rfc3339
from models.weather.alerts import decode_weather_alert
from models.weather.current import decode_current_weather
from tests.feeds.committed import existing_partitions
from tests.feeds.place import told, until
from tests.feeds.rules_place import RulesPlace, rules_place
from tests.stores.redis.redis_server import RedisServer
from trafficapp.engine.kafka import aiokafka_config
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import KafkaReadBack
from trafficapp.weather.feeds import CURRENT_WEATHER, WEATHER_ALERTED, WEATHER_FEEDS, WEATHER_READINGS, WEATHER_RULES
from trafficapp.weather.topics import WEATHER_ALERTS, WEATHER_CURRENT
from web.application import setup
from web.serving.context import WebContext
from web.serving.database import Database
from web.serving.health import kafka_answers

ROME = ZoneInfo("Europe/Rome")
ADMIN = {"X-Admin-Token": "the-administrators-key-of-the-tests"}


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def place(kafka_bootstrap: str, database_url: str, redis_server: RedisServer) -> AsyncIterator[RulesPlace]:
    migrate(database_url)
    async with rules_place(
        [WEATHER_READINGS],
        WEATHER_RULES,
        [CURRENT_WEATHER, WEATHER_ALERTED],
        kafka_bootstrap,
        postgres={"url": database_url},
        redis={"url": redis_server.url},
        weather={"time_zone": "Europe/Rome"},
        city={"bounds": (44.0, 10.5, 45.0, 12.5)},
        admin={"api_key": ADMIN["X-Admin-Token"]},
    ) as place:
        yield place


def reading(station: str, moment: datetime, **changes: Any) -> dict[str, Any]:
    """A message as one real producer makes it: naive local time, values drawn anew each time, further fields."""
    told = {
        "id": str(uuid.uuid4()),
        "device_id": station,
        "timestamp": moment.astimezone(ROME).replace(tzinfo=None).isoformat(),
        "location": [44.5, 11.34],
        "temperature": 12.25,
        "weather_condition": "Cloudy",
        "humidity": 61,
        "wind_speed": 12.5,
        "precipitation": 0.0,
        "airQualityIndex": 20.5,
    }
    return told | changes


def produce(place: RulesPlace, codec: str, *messages: dict[str, Any] | bytes) -> None:
    """Produce as librdkafka does at its default settings: by its own partitioner, under a fresh random key."""
    topic = place.feeds[WEATHER_READINGS.name].topic_in(place.settings)
    servers = place.settings.kafka.bootstrap_servers
    producer = confluent_kafka.Producer({"bootstrap.servers": servers, "compression.type": codec})
    for message in messages:
        value = message if isinstance(message, bytes) else json.dumps(message).encode()
        producer.produce(topic, value, str(uuid.uuid4()))
    assert producer.flush(20) == 0


async def keep(place: RulesPlace, redis_url: str) -> None:
    """Let the stores take up all there is."""
    client = connect(redis_url)
    readings = place.feeds[WEATHER_READINGS.name]
    rows = [RowsSink(feed, place.settings) for feed in (readings, WEATHER_ALERTED)]
    documents = [
        DocumentsSink(feed, place.settings, client, KafkaReadBack(str(feed.topic), aiokafka_config(place.settings)))
        for feed in (CURRENT_WEATHER, WEATHER_ALERTED)
    ]
    for sink in (*rows, *documents):
        numbers = await existing_partitions(place.settings, sink.topic)
        starts = await sink.load(numbers)
        runs: dict[int, list[Any]] = defaultdict(list)
        for record in await place.told(sink.topic):
            if record.offset >= starts[record.partition]:
                runs[record.partition].append(record)
        for partition, records in runs.items():
            await sink.apply(partition, records, lambda: True)
    for table in rows:
        await table.close()
    for document in documents:
        document.release(range(8))
    await client.aclose()


@asynccontextmanager
async def api(place: RulesPlace, redis_url: str) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    context = WebContext(
        settings=place.settings,
        telemetry=place.telemetry,
        redis=connect(redis_url),
        database=Database(place.settings.postgres),
        kafka_up=kafka_answers(place.settings.kafka),
        feeds=WEATHER_FEEDS,
    )
    application = web.Application()
    setup(application, context, lambda: connect(redis_url, retries=0))
    async with TestClient(TestServer(application, host="127.0.0.1"), headers=ADMIN) as client:
        yield client


async def test_readings_of_a_producer_at_its_default_settings_are_seen_everywhere(
    place: RulesPlace, redis_server: RedisServer
) -> None:
    """Event times run an hour ahead, keys are random, numbers are text, each codec is used."""
    run = secrets.token_hex(4)
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    wanted: dict[str, datetime] = {}
    async with api(place, redis_server.url) as client:
        async with (
            client.ws_connect("/ws/weather?snapshot=false") as socket,
            client.ws_connect("/ws/weather/alerts?snapshot=false") as alert_socket,
        ):
            await asyncio.sleep(0.3)  # the subscriptions stand
            for number, codec in enumerate(["none", "gzip", "snappy", "lz4", "zstd"]):
                station = f"{codec}-{run}"
                for minute in range(3):
                    wanted[station] = ahead + timedelta(minutes=minute)
                    message = reading(station, wanted[station], temperature=10 + number)
                    if minute == 2:
                        message |= {"airQualityIndex": "377.39", "precipitation": 8.2, "location": ["44.5", 11.34]}
                    produce(place, codec, message)
            listed: dict[str, dict[str, Any]] = {}

            async def is_there() -> bool:
                await place.settle()
                await keep(place, redis_server.url)
                async with client.get("/api/weather") as answer:
                    listed.update({one["station"]: one for one in await answer.json()})
                steps = [decode_weather_alert(record.value) for record in await place.told(WEATHER_ALERTS)]
                newest = {station: listed.get(station, {}).get("timestamp") for station in wanted}
                is_newest = newest == {station: rfc3339(epoch_us(observed)) for station, observed in wanted.items()}
                return is_newest and sum(one.station in wanted for one in steps) == 2 * len(wanted)

            # what a transaction sent is seen a moment after it was committed
            await until(is_there, 60)
            await keep(place, redis_server.url)

            def has_newest(found: list[dict[str, Any]]) -> bool:
                times = {one["station"]: one["timestamp"] for one in found}
                return all(times.get(one) == rfc3339(epoch_us(observed)) for one, observed in wanted.items())

            heard = await told(socket, has_all=has_newest)

            def has_alerts(found: list[dict[str, Any]]) -> bool:
                return len({one["alert_id"] for one in found if one["station"] in wanted}) == 2 * len(wanted)

            alerted = await told(alert_socket, has_all=has_alerts)
        for station, observed in wanted.items():
            one = listed[station]
            assert one["timestamp"] == rfc3339(epoch_us(observed))
            assert (one["is_current"], one["air_quality_index"], one["air_quality_band"]) == (True, 377, "Hazardous")
            assert (one["phenomena"], one["speed_factor"]) == (["heavy_rain"], 0.75)
            assert 0 <= one["age_seconds"] < 60
            async with client.get("/api/weather", params={"key": station}) as answer:
                assert [found["station"] for found in await answer.json()] == [station]
            # by the station's clock
            span = {"from": rfc3339(epoch_us(ahead)), "to": rfc3339(epoch_us(ahead + timedelta(minutes=2)))}
            async with client.get(f"/api/weather/{station}/history", params={**span, "limit": "1"}) as answer:
                assert answer.status == 200, await answer.text()
                first, link = await answer.json(), answer.links["next"]["url"].relative()
            async with client.get(str(link)) as answer:
                second = await answer.json()
                assert "next" not in answer.links
            assert [found["timestamp"] for found in (*first, *second)] == [
                rfc3339(epoch_us(ahead + timedelta(minutes=minute))) for minute in range(2)
            ]
            assert (first[0]["latitude"], first[0]["longitude"], first[0]["air_quality_index"]) == (44.5, 11.34, 20.5)
        async with client.get("/api/weather/alerts") as answer:
            alerts = [one for one in await answer.json() if one["station"] in wanted]
    newest = {one["station"]: one["timestamp"] for one in heard if one["station"] in wanted}
    assert newest == {station: rfc3339(epoch_us(observed)) for station, observed in wanted.items()}
    kinds = {(one["station"], one["alert_type"], one["severity"], one["level"]) for one in alerts}
    assert kinds == {
        (station, *rest)
        for station in wanted
        for rest in (("air_quality", "EMERGENCY", "Hazardous"), ("heavy_rain", "WARNING", "heavy rain"))
    }
    ids = {one["alert_id"] for one in alerts}
    assert {one["alert_id"] for one in alerted if one["station"] in wanted} == ids
    redis = connect(redis_server.url)
    station = next(iter(wanted))
    document: Any = await redis.get(f"weather:{station}")
    assert decode_current_weather(document).station == station
    assert 1700 < await redis.ttl(f"weather:{station}") <= 1800
    await redis.aclose()
    database = await asyncpg.connect(place.settings.postgres.url.get_secret_value())
    rows = await database.fetch("SELECT * FROM weather_observations WHERE station = ANY($1)", list(wanted))
    steps = await database.fetch("SELECT * FROM city_alerts WHERE subject = ANY($1)", list(wanted))
    await database.close()
    assert len(rows) == 15
    assert all(abs(datetime.now(UTC) - row["received_at"]) < timedelta(minutes=1) for row in rows)
    assert {(row["subject"], row["alert_type"]) for row in steps} == {(one[0], one[1]) for one in kinds}
    # the record key is the station
    keys = {record.key.decode() for record in await place.told(WEATHER_ALERTS)}
    assert keys >= wanted.keys()


async def test_what_cannot_be_is_refused_with_the_reason_and_costs_no_neighbour(place: RulesPlace) -> None:
    run, now = secrets.token_hex(4), datetime.now(UTC)
    wrong: list[tuple[str, str, dict[str, Any] | bytes]] = [
        ("outside_city", "look swapped", reading("w", now, location=[11.34, 44.5])),
        ("outside_city", "outside the city", reading("w", now, location=[51.5, -0.12])),
        ("invalid_place", "is no place", reading("w", now, location=[144.5, 11.34])),
        ("invalid_field", "location", reading("w", now, location=[44.5])),
        ("missing_field", "location", {"device_id": "w", "timestamp": now.isoformat()}),
        ("missing_field", "device_id", {"timestamp": now.isoformat(), "location": [44.5, 11.34]}),
        ("invalid_timestamp", "yesterday", reading("w", now, timestamp="yesterday")),
        ("invalid_field", "airQualityIndex", reading("w", now, airQualityIndex=500.1)),
        ("invalid_field", "airQualityIndex", reading("w", now, airQualityIndex="good")),
        ("invalid_field", "humidity", reading("w", now, humidity=100.5)),
        ("invalid_field", "precipitation", reading("w", now, precipitation=-0.1)),
        ("invalid_field", "wind_speed", reading("w", now, wind_speed=True)),
        ("not_json", "", b"{"),
        ("empty", "", b""),
    ]
    for number, (_, _, message) in enumerate(wrong):
        produce(place, "none", message, reading(f"good-{number}-{run}", now))

    async def is_told() -> bool:
        await place.settle()
        told = [decode_current_weather(record.value).station for record in await place.told(WEATHER_CURRENT)]
        good = sum(station.endswith(run) for station in told)
        return good == len(await place.letters()) == len(wrong)

    await until(is_told, 60)
    letters = [(letter.reason, letter.detail) for letter in await place.letters()]
    assert sorted(reason for reason, _ in letters) == sorted(reason for reason, _, _ in wrong)
    for reason, words, _ in wrong:
        assert any(reason == one and words in detail for one, detail in letters), (reason, words)
    good = {decode_current_weather(record.value).station for record in await place.told(WEATHER_CURRENT)}
    assert good >= {f"good-{number}-{run}" for number in range(len(wrong))}
    assert "w" not in good


async def test_each_step_is_told_once_whatever_ends_the_process(place: RulesPlace) -> None:
    station, now = secrets.token_hex(4), datetime.now(UTC)
    for minute, kmh in [(0, 20.0), (10, 70.0), (20, 95.0), (30, 20.0), (61, 20.0)]:
        produce(place, "none", reading(station, now + timedelta(minutes=minute), wind_speed=kmh))
        await place.settle()
        await place.begin()

    async def current() -> int:
        await place.settle()
        told = [decode_current_weather(record.value) for record in await place.told(WEATHER_CURRENT)]
        return sum(one.station == station for one in told)

    async def is_told() -> bool:
        return await current() >= 5

    await until(is_told, 60)
    assert await current() == 5
    found = [decode_weather_alert(record.value) for record in await place.told(WEATHER_ALERTS)]
    mine = [(one.state, one.level, one.revision) for one in found if one.station == station]
    assert mine == [("opened", "gale", 0), ("updated", "storm", 1), ("resolved", "gale", 2)]
