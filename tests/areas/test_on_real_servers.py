"""From producers as they are to Postgres, Redis, the API and the socket, on real servers."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from models.timestamps import epoch_us, rfc3339
from tests.areas.counters import reading
from tests.feeds.place import Place, place_of, told
from tests.feeds.plain_clients import CLIENTS, CODECS, Produce
from tests.stores.redis.redis_server import RedisServer
from trafficapp.areas.feeds import AREA_DATA, AREA_INCOMING, AREAS
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import load_settings
from trafficapp.stores.areas.areas_sink import HistoryAreasSink
from trafficapp.stores.migrations import migrate
from trafficapp.topics import declared_topics

ZONE = "Asia/Ho_Chi_Minh"
HANOI = (20.5, 105.2, 21.4, 106.1)

logger = logging.getLogger(__name__)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def place(database_url: str, kafka_bootstrap: str, redis_server: RedisServer) -> AsyncIterator[Place]:
    """What checks ``traffic_data``, in a city."""
    migrate(database_url)
    async with place_of(AREA_DATA, database_url, kafka_bootstrap, redis_server, ["traffic_data, area_readings"]) as of:
        told = load_settings(areas={"time_zone": ZONE}, city={"bounds": HANOI})
        settings = of.settings.model_copy(update={"areas": told.areas, "city": told.city})
        await create_topics(settings, declared_topics(settings, [AREAS]))
        yield replace(of, settings=settings)


def beside(place: Place, feed: Any) -> Place:
    """The same for another feed; of the outer topic, under a name of the place's own."""
    if not feed.is_ours:
        feed = replace(feed, topic=f"{place.settings.app_id}-{feed.topic}")
    return replace(place, feed=feed)


async def settle(*places: Place) -> None:
    """Let all be checked and kept by new processes."""
    for place in places:
        await place.check()
    kept = beside(places[0], AREAS)
    sink = HistoryAreasSink(kept.settings)
    await kept.pump(sink)
    await sink.close()
    await kept.put()


def stream() -> str:
    return f"5b0f5a34-8a2c-4c55-9d4e-{secrets.token_hex(6)}"


def moments_ago(seconds: float, **changes: Any) -> dict[str, Any]:
    """A reading as a counter in Hanoi sends it."""
    at = datetime.fromtimestamp(int(time.time() - seconds), ZoneInfo(ZONE))
    return reading(timestamp=at.strftime("%Y-%m-%dT%H:%M:%S%z"), stream_id=stream()) | changes


@pytest.mark.parametrize("produce", CLIENTS.values(), ids=CLIENTS)
async def test_what_counters_send_under_both_names_is_seen_everywhere(place: Place, produce: Produce) -> None:
    incoming = beside(place, AREA_INCOMING)
    await create_topics(place.settings, declared_topics(place.settings, [incoming.feed]))
    sent: dict[str, dict[str, Any]] = {}
    kafka = place.settings.kafka.bootstrap_servers
    areas = beside(place, AREAS)
    async with areas.api() as client, client.ws_connect("/ws/areas?snapshot=false") as socket:
        began = time.monotonic()
        for at in (place, incoming):
            for number, codec in enumerate(CODECS):
                older, newer = moments_ago(60, total_in_area=number), moments_ago(30, total_in_area=10 + number)
                newer["stream_id"] = older["stream_id"]
                sent[newer["stream_id"]] = newer
                key = secrets.token_bytes(4) if number % 2 else None
                topic = at.feed.topic_in(at.settings)
                produce(kafka, codec, [(topic, key, json.dumps(one).encode()) for one in (newer, older, newer)])
        await settle(place, incoming)
        newest = {(key, one["total_in_area"]) for key, one in sent.items()}
        heard = await told(
            socket, has_all=lambda found: newest <= {(one["stream_id"], one["total_in_area"]) for one in found}
        )
        logger.info("from %d counters to Postgres, Redis and the socket: %.1f s", len(sent), time.monotonic() - began)
        [page] = [await (await client.get(f"/api/areas/{next(iter(sent))}/history?limit=1")).json()]
    listed = await areas.listed()
    assert {one["stream_id"]: one["total_in_area"] for one in listed} == {
        key: one["total_in_area"] for key, one in sent.items()
    }
    assert {one["reading_id"] for one in heard} >= {one["reading_id"] for one in listed}
    assert [one["total_in_area"] for one in page] == [0]
    rows = await place.database.fetch('SELECT stream_id::text, total_in_area, "timestamp" FROM traffic_data')
    assert {row[0]: (row[1], row[2]) for row in rows} == {
        key: (one["total_in_area"], datetime.fromisoformat(one["timestamp"])) for key, one in sent.items()
    }
    assert await place.database.fetchval("SELECT count(*) FROM area_readings") == 2 * len(sent)
    assert await place.letters() == await incoming.letters() == []


async def test_what_is_wrong_becomes_a_letter_and_costs_no_neighbour(place: Place) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    naive = now.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None).isoformat(sep=" ")
    good = [
        moments_ago(30),
        moments_ago(0, timestamp=naive),
        # a clock that is ahead by minutes, and one that was set to another zone
        moments_ago(-600),
        moments_ago(-7 * 3600),
        moments_ago(30, label="a\0b", latitude=None, longitude=None),
        moments_ago(30, total_in_area=..., numbers_of_cars="7"),
    ]
    good[-1].pop("total_in_area")
    wrong: list[tuple[str, Any]] = [
        ("not_json", b"{"),
        ("missing_field", reading(stream_id=...)),
        ("invalid_field", moments_ago(1, stream_id="gate")),
        ("future", moments_ago(-2 * 86_400)),
        ("invalid_place", moments_ago(1, latitude=105.82, longitude=21.0)),
        ("outside_city", moments_ago(1, latitude=10.8, longitude=106.6)),
    ]
    for number, one in enumerate(good):
        await place.send(wrong[number][1], one, key=secrets.token_bytes(4), partition=0)
    await settle(place)
    assert [letter.reason for letter in await place.letters()] == [reason for reason, _ in wrong]
    listed = {one["stream_id"]: one for one in await beside(place, AREAS).listed()}
    assert listed.keys() == {one["stream_id"] for one in good}
    assert listed[good[1]["stream_id"]]["timestamp"] == rfc3339(epoch_us(now))
    assert listed[good[3]["stream_id"]]["timestamp"] > rfc3339(epoch_us(now + timedelta(hours=6)))
    assert listed[good[5]["stream_id"]]["total_in_area"] == 7
    assert await place.database.fetchval("SELECT count(*) FROM traffic_data") == len(good)


async def test_an_area_and_its_history_are_answered(place: Place) -> None:
    log = [moments_ago(100 - number, total_in_area=number, stream_id=(key := stream())) for number in range(1)]
    log += [moments_ago(90 - number, total_in_area=number, stream_id=key) for number in range(1, 8)]
    await place.send(*log)
    await settle(place)
    await place.database.execute("UPDATE traffic_data SET city = 'Hanoi', address_source = 'test'")
    async with beside(place, AREAS).api() as client:
        one = await (await client.get(f"/api/areas/{key.upper()}")).json()
        assert (one["stream_id"], one["total_in_area"], one["city"], one["fulladdress"]) == (key, 7, "Hanoi", None)
        found, path = [], f"/api/areas/{key}/history?limit=3"
        while path:
            async with client.get(path) as answer:
                assert answer.status == 200
                found += await answer.json()
                path = str(answer.links["next"]["url"].relative()) if "next" in answer.links else ""
        assert [one["total_in_area"] for one in found] == list(range(8))
        middle = found[3]["timestamp"], found[5]["timestamp"]
        part = await (await client.get(f"/api/areas/{key}/history", params={"from": middle[0], "to": middle[1]})).json()
        assert part == found[3:5]
        assert (await client.get(f"/api/areas/{stream()}")).status == 404
        assert await (await client.get(f"/api/areas/{stream()}/history")).json() == []
        assert (await client.get("/api/areas/gate/history")).status == 400
