"""Taps from producers as they are to windows and surges in Postgres, Redis, the API and on sockets, on real servers."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from confluent_kafka import Consumer

from models.timestamps import epoch_us, rfc3339
from tests.feeds.place import told as heard
from tests.feeds.plain_clients import CLIENTS
from tests.feeds.rules_place import RulesPlace, rules_place
from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import ADMIN, ADMIN_KEY
from trafficapp.riders.feeds import RIDERS, SURGES, TAPS, WINDOWS
from trafficapp.riders.telling import SURGE_ALERTS
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import connect

logger = logging.getLogger(__name__)

ROME = ZoneInfo("Europe/Rome")
WINDOW = timedelta(seconds=10)
SECOND_US = 1_000_000


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
        [TAPS],
        RIDERS,
        [WINDOWS, SURGES],
        kafka_bootstrap,
        riders={
            "time_zone": "Europe/Rome",
            "window_seconds": 10,
            "allowed_lateness_seconds": 2,
            "idle_timeout_seconds": 12,
        },
        city={"bounds": (44.0, 11.0, 45.0, 12.0)},
        postgres={"url": database_url},
        redis={"url": redis_server.url},
        admin={"api_key": ADMIN_KEY},
    ) as place:
        yield place


def alerter(place: RulesPlace, run: str) -> list[dict[str, Any]]:
    """What a new group that reads ``surge_alerts`` from its beginning prints, of this run."""
    config = {"bootstrap.servers": place.settings.kafka.bootstrap_servers, "group.id": secrets.token_hex(4)}
    consumer = Consumer(config | {"auto.offset.reset": "earliest", "enable.auto.commit": "false"})
    consumer.subscribe([SURGE_ALERTS])
    found, until = list[dict[str, Any]](), time.monotonic() + 180
    while sum(one["state"] == "resolved" for one in found) < len(CLIENTS):
        assert time.monotonic() < until, found
        message = consumer.poll(timeout=0.2)
        if message is not None and run in (message.key() or b"").decode():
            assert message.error() is None
            found.append(json.loads(message.value() or b""))
    consumer.close()
    return found


async def test_what_gates_send_is_seen_everywhere(
    place: RulesPlace, redis_server: RedisServer, database_url: str
) -> None:
    """Keys are random or missing, times have no offset and are ahead of the clock, taps come twice and in disorder."""
    run, now = secrets.token_hex(4), datetime.now(UTC)
    begin = datetime.fromtimestamp(int(now.timestamp()) // 10 * 10, UTC) + timedelta(seconds=30)
    topic = place.feeds[TAPS.name].topic_in(place.settings)

    def tap(station: str, number: int, second: float, **changed: Any) -> bytes:
        at = (begin + timedelta(seconds=second)).astimezone(ROME).replace(tzinfo=None)
        told = {"event_id": f"{station}-{number}", "rider_id": "r", "station_id": station, "timestamp": at.isoformat()}
        return json.dumps(told | {"latitude": 44.5056, "longitude": 11.3430} | changed).encode()

    stations = {client: f"{run}-{client}" for client in CLIENTS}
    async with (
        place.api(ADMIN) as client,
        client.ws_connect("/ws/riders/surges?snapshot=false") as surge_socket,
        client.ws_connect("/ws/riders/windows?snapshot=false") as window_socket,
    ):
        await asyncio.sleep(0.3)  # the subscriptions stand
        began = time.monotonic()
        for (name, produce), codec in zip(CLIENTS.items(), ("zstd", "snappy"), strict=True):
            # in disorder, a third of them twice, each second one without a key
            taps = [tap(stations[name], number, (7 * number % 15) / 2) for number in range(15)]
            records = [
                (topic, secrets.token_bytes(8) if number % 2 else None, value)
                for number, value in enumerate([*taps, *taps[:5]])
            ]
            await asyncio.to_thread(produce, place.settings.kafka.bootstrap_servers, codec, records)
        await place.settle()
        await place.keep([SURGES])
        async with client.get("/api/riders/surges") as answer:
            opened = {one["zone"]: one for one in await answer.json()}
        logger.info("from taps to a surge behind the API: %.1f s", time.monotonic() - began)
        wrong = [
            tap("w", 0, 0, latitude=11.3430, longitude=44.5056),
            tap("w", 0, 0, latitude=144.5),
            tap("w", 0, 90),
            b"{",
        ]
        CLIENTS["librdkafka"](
            place.settings.kafka.bootstrap_servers, "none", [(topic, secrets.token_bytes(8), value) for value in wrong]
        )
        # a tick moves the clock by ten seconds at most
        for seconds in range(0, 40, 10):
            await place.settle(epoch_us(now) + (60 + seconds) * SECOND_US)
        await place.keep([WINDOWS, SURGES])
        async with client.get("/api/riders/surges") as answer:
            resolved = {one["zone"]: one for one in await answer.json()}
        windows = {}
        for station in stations.values():
            async with client.get("/api/riders/windows", params={"key": f"station:{station}"}) as answer:
                [windows[f"station:{station}"]] = await answer.json()
        surges, finished = await heard(surge_socket), await heard(window_socket)
    zones = {f"station:{station}" for station in stations.values()}
    for zone in zones:
        assert (opened[zone]["state"], opened[zone]["TAP_COUNT"], opened[zone]["GEOHASH"]) == ("opened", 11, "srbj4j")
        assert (resolved[zone]["state"], resolved[zone]["TAP_COUNT"]) == ("resolved", 15)
        assert resolved[zone]["WINDOW_START"] == epoch_us(begin) // 1000
        window = windows[zone]
        assert (window["window_start"], window["window_end"]) == (
            rfc3339(epoch_us(begin)),
            rfc3339(epoch_us(begin + WINDOW)),
        )
        assert (window["tap_count"], window["repeated"], window["is_surge"]) == (15, 5, True)
        assert [one for one in finished if one["zone"] == zone] == [window]
        assert [one["state"] for one in surges if one["zone"] == zone] == ["opened", "resolved"]
    told = await asyncio.to_thread(alerter, place, run)
    assert sorted((one["zone"], one["state"], one["TAP_COUNT"]) for one in told) == sorted(
        (zone, state, count) for zone in zones for state, count in (("opened", 11), ("resolved", 15))
    )
    redis = connect(redis_server.url)
    document: Any = await redis.get(f"riders:zone:{min(zones)}:window")
    assert json.loads(document) == windows[min(zones)]
    assert 3500 < await redis.ttl(f"riders:zone:{min(zones)}:window") <= 3600
    await redis.aclose()
    database = await asyncpg.connect(database_url)
    rows = await database.fetch("SELECT * FROM rider_windows WHERE zone = ANY($1)", list(zones))
    steps = await database.fetch("SELECT * FROM city_alerts WHERE subject = ANY($1) ORDER BY revision", list(zones))
    await database.close()
    assert {(row["zone"], row["window_start"], row["tap_count"], row["is_surge"]) for row in rows} == {
        (zone, begin, 15, True) for zone in zones
    }
    assert [(row["alert_type"], row["state"]) for row in steps] == [
        *[("surge", "opened")] * len(zones),
        *[("surge", "resolved")] * len(zones),
    ]
    letters = await place.letters()
    assert sorted(letter.reason for letter in letters) == ["future", "invalid_place", "not_json", "outside_city"]
    assert "they look swapped" in next(one.detail for one in letters if one.reason == "outside_city")
