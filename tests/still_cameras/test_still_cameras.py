"""Still cameras on real servers: what they say in the stores, their pictures behind the API, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from models.timestamps import epoch_us, rfc3339
from tests.feeds.place import Place, place_of, told
from tests.feeds.plain_clients import kafka_python, librdkafka
from tests.still_cameras.test_snapshots import HTML, JPEG, PNG
from tests.stores.redis.redis_server import RedisServer
from trafficapp.engine.kafka import create_topics
from trafficapp.still_cameras.feeds import STILL_CAMERA_MESSAGES, STILL_CAMERAS, STILL_SNAPSHOTS
from trafficapp.stores.migrations import migrate
from trafficapp.topics import declared_topics

logger = logging.getLogger(__name__)

ROME = ZoneInfo("Europe/Rome")


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@asynccontextmanager
async def still_cameras(database_url: str, kafka: str, redis_server: RedisServer) -> AsyncIterator[dict[str, Place]]:
    """The feed that cameras send, and the two of ours."""
    migrate(database_url)
    async with place_of(STILL_CAMERA_MESSAGES, database_url, kafka, redis_server, ["still_cameras"]) as cameras:
        settings = cameras.settings.model_copy(
            update={
                "still_cameras": cameras.settings.still_cameras.model_copy(update={"time_zone": "Europe/Rome"}),
                "city": cameras.settings.city.model_copy(update={"bounds": (44.0, 11.0, 45.0, 12.0)}),
            }
        )
        cameras = replace(cameras, settings=settings)
        ours = [replace(feed, partitions=2) for feed in (STILL_CAMERAS, STILL_SNAPSHOTS)]
        await create_topics(settings, declared_topics(settings, [cameras.feed, *ours]))
        yield {"cameras": cameras} | {feed.name: replace(cameras, feed=feed) for feed in ours}


def message(camera_id: str, moment: datetime, **changed: Any) -> dict[str, Any]:
    """As Smart City's producer sends it: the time of its clock, without a zone."""
    return {
        "id": "5d0f",
        "device_id": "device-4",
        "camera_id": camera_id,
        "timestamp": moment.astimezone(ROME).replace(tzinfo=None).isoformat(),
        "snapshot": "Base64EncodedString",
        "location": [44.5056, 11.343],
        "direction": "North-East",
        "speed": 12.5,
    } | changed


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def test_what_cameras_say_is_kept_and_their_pictures_are_shown(
    database_url: str, kafka_bootstrap: str, redis_server: RedisServer
) -> None:
    # their clocks run ahead without end
    now = datetime.fromtimestamp(int(time.time()), UTC) + timedelta(hours=9)
    later = now + timedelta(seconds=30)
    async with still_cameras(database_url, kafka_bootstrap, redis_server) as places:
        cameras, said, pictures = places["cameras"], places[STILL_CAMERAS.name], places[STILL_SNAPSHOTS.name]
        sent = [
            message("a", now, snapshot=b64(JPEG)),
            message("a", later, snapshot=b64(PNG), id=7, device_id=None),
            message("a", now - timedelta(seconds=30), snapshot=b64(JPEG)),
            message("b/ü", now, snapshot="https://cameras.example/b.jpg", location=["44.5", "11.3"], speed="3"),
            message("c", now, snapshot=b64(HTML), direction=270, location=None),
        ]
        topic, bootstrap = cameras.feed.topic_in(cameras.settings), cameras.settings.kafka.bootstrap_servers
        async with said.api() as client:
            async with said.socket(client) as socket:
                began = time.monotonic()
                for (produce, codec), some in zip(
                    ((librdkafka, "lz4"), (kafka_python, "gzip")), (sent[:2], sent[2:]), strict=True
                ):
                    records = [
                        (topic, secrets.token_bytes(8) if number else None, json.dumps(one).encode())
                        for number, one in enumerate(some)
                    ]
                    await asyncio.to_thread(produce, bootstrap, codec, records)
                await cameras.check()
                for place in (said, pictures):
                    await place.put()
                async with client.get("/api/still-cameras/a/snapshot") as answer:
                    assert answer.status == 200
                logger.info("from a camera to its picture behind the API: %.1f s", time.monotonic() - began)
                told_live = await told(socket, least=3)
            await said.keep()
            rows = {(row["camera_id"], row["observed_at"]): row for row in await said.rows()}
            async with client.ws_connect(said.socket_path) as socket:
                heard = await told(socket, least=3)
            answers = {}
            for path in ("a", "b%2F%C3%BC", "c", "unknown"):
                async with client.get(f"/api/still-cameras/{path}/snapshot") as answer:
                    answers[path] = answer.status, answer.headers, await answer.read()
        listed = {one["camera_id"]: one for one in await said.listed()}
    assert set(rows) == {
        *(("a", now - timedelta(seconds=30)), ("a", now), ("a", later), ("b/ü", now), ("c", now)),
    }
    assert {name: one["timestamp"] for name, one in listed.items()} == {
        "a": rfc3339(epoch_us(later)),
        "b/ü": rfc3339(epoch_us(now)),
        "c": rfc3339(epoch_us(now)),
    }
    assert abs(epoch_us(listed["a"]["received_at"]) - time.time() * 1e6) < 120e6
    assert listed["a"]["snapshot_type"] == "image/png"
    assert listed["b/ü"]["snapshot_url"] == "https://cameras.example/b.jpg"
    assert (listed["b/ü"]["latitude"], listed["b/ü"]["longitude"], listed["b/ü"]["speed_kmh"]) == (44.5, 11.3, 3.0)
    assert (listed["c"]["snapshot_kind"], listed["c"]["direction"], listed["c"]["latitude"]) == ("text", "270.0", None)
    row = rows["a", later]
    assert (row["snapshot_kind"], row["snapshot_bytes"], row["message_id"], row["device_id"]) == (
        *("image", len(PNG), "7", None),
    )
    assert {one["camera_id"]: one for one in told_live} == listed
    assert {one["camera_id"]: one for one in heard} == listed
    assert b64(PNG) not in json.dumps([*told_live, *heard, *listed.values()]), "pictures are in no list and no socket"
    status, headers, body = answers["a"]
    assert (status, headers["Content-Type"], body) == (200, "image/png", PNG)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Observed-At"] == rfc3339(epoch_us(later))
    assert "sandbox" in headers["Content-Security-Policy"]
    for path in ("b%2F%C3%BC", "c", "unknown"):
        status, headers, _ = answers[path]
        assert (status, headers["Content-Type"]) == (404, "application/problem+json")


async def test_what_is_too_large_or_wrong_is_refused_with_the_reason_and_costs_no_neighbour(
    database_url: str, kafka_bootstrap: str, redis_server: RedisServer
) -> None:
    now = datetime.fromtimestamp(int(time.time()), UTC)
    wrong: dict[str, dict[str, Any]] = {
        "snapshot_too_large": {"snapshot": b64(JPEG + bytes(256 << 10))},
        "missing_field": {"camera_id": None},
        "invalid_timestamp": {"timestamp": "soon"},
        "outside_city": {"location": [11.343, 44.5056]},
        "invalid_place": {"location": [144.5, 11.3]},
        "invalid_field": {"speed": "fast"},
    }
    async with still_cameras(database_url, kafka_bootstrap, redis_server) as places:
        cameras, said = places["cameras"], places[STILL_CAMERAS.name]
        largest = message("largest", now, snapshot=b64(JPEG + bytes((256 << 10) - len(JPEG))))
        for number, changed in enumerate(wrong.values()):
            told_wrong = {name: value for name, value in (message("w", now) | changed).items() if value is not None}
            await cameras.send(told_wrong, key=b"k", partition=0)
            await cameras.send(message(f"good-{number}", now), key=b"k", partition=0)
        await cameras.send(largest, key=b"k", partition=0)
        await cameras.check()
        await said.keep()
        letters = await cameras.letters()
        kept = [row["camera_id"] for row in await said.rows()]
    assert [letter.reason for letter in letters] == list(wrong)
    assert "262,144 are taken" in letters[0].detail
    assert "swapped" in letters[3].detail
    assert kept == [*(f"good-{number}" for number in range(len(wrong))), "largest"]
