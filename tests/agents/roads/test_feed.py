"""A worker of role roads on real servers: killed in between, it goes on as if it had not been."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from aiokafka import AIOKafkaProducer

from models.dead_letters import decode_dead_letter
from models.roads.current import RoadObservation, decode_road_observation
from models.timestamps import rfc3339
from tests.agents.test_alerts import exposition, worker
from tests.roads.feed_messages import message
from tests.verification.log import read_log
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.sources.delivery import Delivery
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.topics import DEAD_LETTERS, ROADS_RAW, declared_topics, road_observations

ROADS = ("a10", "a103", "a104", "a1")


@dataclass
class Told:
    """What came out; something that was sent again must be the same, byte for byte."""

    observations: dict[tuple[str, str], RoadObservation] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)


@cache
def now_us() -> int:
    """When this file's one test that sends times begins, and not when the file was imported, minutes before."""
    return time.time_ns() // 1_000_000 * 1000


def at(seconds: int) -> str:
    return rfc3339(now_us() + seconds * 1_000_000)


def send(settings: Settings, run: str, *messages: dict[str, object]) -> None:
    delivery = Delivery(settings, ROADS_RAW, linger_ms=1)
    for number, one in enumerate(messages):
        told = message(event_id=f"{run}-{number}", **one)
        delivery.send(str(told["road_id"]).encode(), json.dumps(told).encode())
    assert delivery.flush(30) == 0


def told(settings: Settings, run: str) -> Told:
    found, raw = Told(), dict[tuple[str, str], bytes]()
    for record in read_log(settings.kafka.bootstrap_servers, road_observations(settings)):
        one = decode_road_observation(record.value or b"")
        if one.event_id.startswith(run):
            assert (record.partition, record.key) == (0, one.road_id.encode())
            key = (one.road_id, one.timestamp)
            assert raw.setdefault(key, record.value or b"") == record.value
            found.observations[key] = one
    for record in read_log(settings.kafka.bootstrap_servers, DEAD_LETTERS):
        letter = decode_dead_letter(record.value or b"")
        if letter.topic == ROADS_RAW and run.encode() in (letter.value or b""):
            found.reasons.append(letter.reason)
    return found


def wait_for(settings: Settings, run: str, observations: int, letters: int, folder: Path) -> Told:
    deadline = time.monotonic() + 180
    while True:
        found = told(settings, run)
        if len(found.observations) >= observations and len(set(found.reasons)) >= letters:
            return found
        assert time.monotonic() < deadline, (found, (folder / "worker.log").read_text(errors="replace")[-5000:])
        time.sleep(0.2)


def wait_for_counts(port: int, least: dict[str, int]) -> None:
    """Wait until a worker has counted what it refused; the topic is shared with other tests, which may add to it."""
    deadline = time.monotonic() + 180
    while True:
        told = exposition(port)
        counts = dict(re.findall(r'b2_events_dropped_total{reason="(\w+)"} (\S+)', told))
        if all(float(counts.get(reason, 0)) >= count for reason, count in least.items()):
            return
        assert time.monotonic() < deadline, counts
        time.sleep(0.2)


async def test_the_broker_stamps_the_feed_and_not_its_producers(kafka_bootstrap: str) -> None:
    settings = load_settings(kafka={"bootstrap_servers": kafka_bootstrap})
    await create_topics(settings, declared_topics(settings))
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        an_hour_ahead = int(time.time() * 1000) + 3_600_000
        sent = await producer.send_and_wait(ROADS_RAW, b"", key=b"clock", timestamp_ms=an_hour_ahead)
    assert sent.timestamp_type == 1
    assert sent.timestamp < an_hour_ahead - 3_000_000


async def test_the_feed_goes_on_when_its_worker_is_killed(
    stack: Endpoints, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    run = secrets.token_hex(4)
    settings = load_settings(app_id=f"test-roads-{run}", kafka={"bootstrap_servers": stack.kafka_bootstrap_servers})
    await create_topics(settings, declared_topics(settings))
    endpoints = Endpoints(stack.kafka_bootstrap_servers, database_url, redis_url)
    environment = {**os.environ, **endpoints.environment(), "TRAFFICAPP_WORKER__ROLE": "roads"}
    environment["TRAFFICAPP_DATA_DIR"] = str(tmp_path)
    first = [{"road_id": road, "timestamp": at(0), "current_speed": 30} for road in ROADS]
    with worker(settings, environment, tmp_path) as (process, _):
        send(settings, run, *first, {"road_id": "a10", "timestamp": at(0), "current_speed": -1})
        wait_for(settings, run, 4, 1, tmp_path)
        await asyncio.sleep(1.2)  # the state is written at most half a second after its run
        process.kill()
    wrong: list[dict[str, object]] = [
        {"road_id": "nowhere", "timestamp": at(0)},
        {"road_id": "a10", "timestamp": at(0), "coordinates": [[44.5, 11.32], [44.5, 11.33]]},
        {"road_id": "a10", "timestamp": at(3600)},
        {"road_id": "a10", "timestamp": at(-7200)},
    ]
    again = [{"road_id": road, "timestamp": at(0), "current_speed": 99} for road in ROADS]
    later = [{"road_id": road, "timestamp": at(1), "current_speed": 40} for road in ROADS]
    send(settings, run, *wrong, *again, *later)
    with worker(settings, environment, tmp_path) as (process, port):
        found = wait_for(settings, run, 8, 5, tmp_path)
        wait_for_counts(port, {"repeated": 4, "swapped_coordinates": 1, "unknown_road": 1})
        process.terminate()
        assert process.wait(30) == 0
    speeds = {(road, at(second)): speed for road in ROADS for second, speed in ((0, 30.0), (1, 40.0))}
    assert {key: one.current_speed for key, one in found.observations.items()} == speeds
    expected = {"impossible_speed", "unknown_road", "swapped_coordinates", "future", "late"}
    assert set(found.reasons) == expected
