"""Workers of every role read on, whatever stands in their topics, and let no neighbour of it out."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import Popen

import psycopg
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
from redis import Redis

from models.cameras.window_rows import encode_window_row
from tests.agents.test_alerts import exposition, worker
from tests.alerts.windows import window
from tests.batching.raw_batches import CODECS, Raw, batch_bytes, produce_bytes
from tests.roads.feed_messages import message
from tests.stores.bad_values import bad_values
from tests.verification.log import read_log
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.stores.migrations import migrate
from trafficapp.stores.redis.connection import current_key
from trafficapp.topics import ALERTS, EVENTS_RAW, METRICS, ROADS_RAW, declared_topics, road_observations

RUN = secrets.token_hex(3)
WITHIN_SECONDS = 180


@dataclass(frozen=True)
class Case:
    """What a role reads, and how it is seen that it has read something.

    Attributes:
        topic: that it reads.
        documents: keys and values that tell of something with a name.
        seen: whether the name came out.
    """

    role: str
    topic: str
    documents: Callable[[str], list[tuple[bytes, bytes]]]
    seen: Callable[[Settings, Endpoints, str], bool]


@cache
def now() -> float:
    """When what a test sends begins, in seconds since the epoch."""
    return time.time() // 60 * 60 - 600


@pytest.fixture(autouse=True)
def now_is_of_this_test() -> None:
    """Begin anew: files wait long between their import and their turn."""
    now.cache_clear()


def detections(name: str) -> list[tuple[bytes, bytes]]:
    """Two pictures of a camera; the second one makes the window of the first final."""
    found = []
    for number, seconds in enumerate((1, 9)):
        detection = {
            "camera_id": name,
            "timestamp": now() + seconds,
            "frame_id": number,
            "vehicle_id": f"v{number}",
            "class": "car",
            "confidence": 0.9,
            "bbox": {"x": 10.0, "y": 20.0, "w": 30.0, "h": 40.0},
        }
        found.append((name.encode(), json.dumps(detection).encode()))
    return found


def jam(name: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), encode_window_row(window(number, "S", name))) for number in range(2)]


def speeds(name: str) -> list[tuple[bytes, bytes]]:
    # each at a time of its own, or they were repeats
    at = now() + zlib.crc32(name.encode()) % 300_000_000 / 1e6
    told = message(event_id=name, road_id="a10", timestamp=at)
    return [(b"a10", json.dumps(told).encode())]


def _in_topic(topic: str, key: bytes | None) -> Callable[[Settings, Endpoints, str], bool]:
    def seen(settings: Settings, endpoints: Endpoints, name: str) -> bool:
        at = topic.format(road_observations=road_observations(settings))
        records = read_log(str(endpoints.kafka_bootstrap_servers), at)
        wanted, value = key or name.encode(), name.encode()
        return any(record.key == wanted and value in (record.value or b"") for record in records)

    return seen


def _in_postgres(statement: str) -> Callable[[Settings, Endpoints, str], bool]:
    def seen(settings: Settings, endpoints: Endpoints, name: str) -> bool:
        with psycopg.connect(str(endpoints.database_url)) as connection:
            found = connection.execute(statement, (name,)).fetchone()  # type: ignore[call-overload]
            return bool(found[0])

    return seen


def _in_redis(settings: Settings, endpoints: Endpoints, name: str) -> bool:
    with Redis.from_url(str(endpoints.redis_url)) as client:
        return client.get(current_key(name)) is not None


CASES = {
    "streams": Case("streams", EVENTS_RAW, detections, _in_topic(METRICS, None)),
    "alerts": Case("alerts", METRICS, jam, _in_topic(ALERTS, None)),
    "roads": Case("roads", ROADS_RAW, speeds, _in_topic("{road_observations}", b"a10")),
    "history of events": Case(
        "history", EVENTS_RAW, detections, _in_postgres("SELECT count(*) = 2 FROM traffic_events WHERE camera_id = %s")
    ),
    "history of windows": Case(
        "history", METRICS, jam, _in_postgres("SELECT count(*) = 2 FROM traffic_metrics WHERE camera_id = %s")
    ),
    "live": Case("live", METRICS, jam, _in_redis),
}


@dataclass
class Place:
    """A worker of a role on servers of its own, and what it is to have seen."""

    case: Case
    settings: Settings
    endpoints: Endpoints
    process: Popen[str]
    port: int
    folder: Path

    @property
    def bootstrap(self) -> str:
        return str(self.endpoints.kafka_bootstrap_servers)

    def name(self, what: str) -> str:
        return f"{self.settings.app_id}-{what}"

    def wait_for(self, *names: str) -> None:
        deadline = time.monotonic() + WITHIN_SECONDS
        for name in names:
            while not self.case.seen(self.settings, self.endpoints, name):
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < deadline, (name, self.log())
                time.sleep(0.2)

    def log(self) -> str:
        return (self.folder / "worker.log").read_text(errors="replace")[-6000:]

    def lag(self) -> float:
        told = [line for line in exposition(self.port).splitlines() if line.startswith("b2_kafka_consumer_lag{")]
        assert told
        return sum(float(line.rpartition(" ")[2]) for line in told)

    async def send(self, name: str, codec: str = "none", partition: int = 0) -> None:
        """By aiokafka, in one batch."""
        compression = None if codec == "none" else codec
        async with AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, compression_type=compression, linger_ms=20
        ) as producer:
            for key, value in self.case.documents(name):
                await producer.send(self.case.topic, value, key, partition=partition)

    def send_by_librdkafka(self, name: str, codec: str = "none") -> None:
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "compression.type": codec, "linger.ms": 20, "batch.num.messages": 2}
        )
        for key, value in self.case.documents(name):
            producer.produce(self.case.topic, value, key, 0)
        assert producer.flush(20) == 0

    async def send_raw(self, batch: bytes) -> None:
        await produce_bytes(self.bootstrap, self.case.topic, 0, batch)

    def transactional(self) -> Producer:
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": secrets.token_hex(6)})
        producer.init_transactions(30)
        return producer

    def produce(self, producer: Producer, name: str, partition: int = 0) -> None:
        producer.begin_transaction()
        for key, value in self.case.documents(name):
            producer.produce(self.case.topic, value, key, partition)
        assert producer.flush(20) == 0


@contextmanager
def place(case: Case, own_stack: Endpoints, folder: Path, **environment: str) -> Iterator[Place]:
    settings = load_settings(
        app_id=f"hostile-{secrets.token_hex(3)}", kafka={"bootstrap_servers": own_stack.kafka_bootstrap_servers}
    )
    asyncio.run(create_topics(settings, declared_topics(settings)))
    migrate(str(own_stack.database_url))
    variables = {**os.environ, **own_stack.environment(), "TRAFFICAPP_WORKER__ROLE": case.role, **environment}
    variables["TRAFFICAPP_DATA_DIR"] = str(folder)
    with worker(settings, variables, folder) as (process, port):
        yield Place(case, settings, own_stack, process, port, folder)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_each_role_reads_everything(case: Case, own_stack: Endpoints, tmp_path: Path) -> None:
    with place(case, own_stack, tmp_path) as one:
        asyncio.run(send_everything(one))
        names = [f"{codec}-{library}" for codec in CODECS for library in ("aiokafka", "librdkafka", "behind")]
        one.wait_for(*(one.name(name) for name in (*names, "committed", "last")))
        assert not case.seen(one.settings, own_stack, one.name("aborted"))
        one.process.terminate()
        assert one.process.wait(30) == 0, one.log()


async def send_everything(one: Place) -> None:
    bad_name = [(b"\xff\xfe", b"")]
    now_ms = int(time.time() * 1000)
    for codec in CODECS:
        await one.send(one.name(f"{codec}-aiokafka"), codec)
        one.send_by_librdkafka(one.name(f"{codec}-librdkafka"), codec)
        # a good one, one that cannot be unpacked, one without a time, and good ones behind
        raw = [Raw(value, key) for key, value in one.case.documents(one.name(f"{codec}-behind"))]
        raw[1:1] = [Raw(b"value", b"key", bad_name), Raw(None, None, timestamp_delta=-now_ms - 1)]
        await one.send_raw(batch_bytes(raw, codec=CODECS[codec], first_timestamp=now_ms))
    for deltas in ([0, 5000, 2], [0, 0, 0]):
        await one.send_raw(batch_bytes([Raw(offset_delta=delta) for delta in deltas], first_timestamp=now_ms))
    values = [value for _, value in bad_values(one.case.documents("strange")[0][1])]
    keys = (b"strange", None, b"", b"\xff\xfe", b"\x00partition-0")
    headers = ((b"", None), (b"h", b""))
    strange = [Raw(value, keys[at % 5], headers[at % 3 :]) for at, value in enumerate(values)]
    for begin in range(0, len(strange), 50):
        piece = strange[begin : begin + 50]
        await one.send_raw(batch_bytes(piece, codec=CODECS["gzip"], first_timestamp=now_ms))
    producer = one.transactional()
    for name, end in (("committed", producer.commit_transaction), ("aborted", producer.abort_transaction)):
        one.produce(producer, one.name(name))
        end(30)
    await one.send(one.name("last"))


def test_neither_a_marker_at_the_end_nor_an_open_transaction_is_a_stall(own_stack: Endpoints, tmp_path: Path) -> None:
    stall_seconds = 10
    with place(CASES["roads"], own_stack, tmp_path, TRAFFICAPP_WORKER__EXIT_ON_STALL_SECONDS=str(stall_seconds)) as one:
        asyncio.run(one.send(one.name("first")))
        one.wait_for(one.name("first"))
        producer = one.transactional()
        one.produce(producer, one.name("committed"))
        producer.commit_transaction(30)
        one.wait_for(one.name("committed"))
        # one partition ends with a marker, another one is held up by what is open, at the same time
        one.produce(producer, one.name("open"), partition=1)
        asyncio.run(one.send(one.name("waiting"), partition=1))
        time.sleep(stall_seconds + 6)
        assert one.process.poll() is None, one.log()
        assert one.lag() == 0
        assert not one.case.seen(one.settings, own_stack, one.name("waiting"))
        producer.commit_transaction(30)
        one.wait_for(one.name("open"), one.name("waiting"))
        one.process.terminate()
        assert one.process.wait(30) == 0, one.log()
