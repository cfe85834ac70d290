"""Whatever comes on the feed, the workers go on: it is in all stores, or one dead letter with its reason."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from aiokafka import AIOKafkaProducer
from redis import Redis

from models.dead_letters import decode_dead_letter
from models.roads.current import RoadObservation, decode_road_observation
from models.timestamps import rfc3339
from tests.agents.test_alerts import worker
from tests.roads.feed_messages import line_of, message
from tests.roads.odd_messages import Odd, odd_messages
from tests.verification.log import read_log
from trafficapp.engine.kafka import create_topics
from trafficapp.roads.feeds import ROAD_DOCUMENTS
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings, Settings, load_settings
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.rows import storable
from trafficapp.topics import DEAD_LETTERS, NOTIFICATIONS, PREDICTIONS, ROADS_RAW, declared_topics, road_observations

RUN = secrets.token_hex(4)


async def send(settings: Settings, odd: list[Odd]) -> dict[tuple[int, int], Odd]:
    """Send records, compressed, since some are larger than a batch may be; where each stands."""
    async with AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, compression_type="gzip", max_request_size=32 << 20
    ) as producer:
        found = {}
        for one in odd:
            sent = await producer.send_and_wait(ROADS_RAW, one.value, key=one.key)
            found[sent.partition, sent.offset] = one
        return found


def values(settings: Settings, topic: str) -> list[bytes]:
    return [one.value or b"" for one in read_log(settings.kafka.bootstrap_servers, topic)]


def refused(settings: Settings, sent: dict[tuple[int, int], Odd]) -> dict[tuple[int, int], str]:
    letters = map(decode_dead_letter, values(settings, DEAD_LETTERS))
    ours = [one for one in letters if one.topic == ROADS_RAW and (one.partition, one.offset) in sent]
    return {(one.partition, one.offset): one.reason for one in ours}


def accepted(settings: Settings, sent: dict[tuple[int, int], Odd]) -> dict[tuple[int, int], RoadObservation]:
    observations = map(decode_road_observation, values(settings, road_observations(settings)))
    return {(one.source_partition, one.source_offset): one for one in observations if one.event_id.startswith(RUN)}


def get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


async def test_odd_messages_stop_nobody(stack: Endpoints, database_url: str, redis_url: str, tmp_path: Path) -> None:
    settings = load_settings(app_id=f"test-odd-roads-{RUN}", kafka={"bootstrap_servers": stack.kafka_bootstrap_servers})
    await asyncio.to_thread(migrate, database_url)
    await create_topics(settings, declared_topics(settings))
    environment = {**os.environ, **Endpoints(stack.kafka_bootstrap_servers, database_url, redis_url).environment()}
    environment["TRAFFICAPP_DATA_DIR"] = str(tmp_path)
    # one observation is enough, and what it raises is told by itself
    environment |= {"TRAFFICAPP_NOTIFICATIONS__RAISE_OBSERVATIONS": "1", "TRAFFICAPP_NOTIFICATIONS__GROUPED": "false"}
    now = rfc3339(int(time.time()) * 1_000_000)
    line = line_of(city_graph(RoadSettings()), "a10")
    sound = [
        Odd(name, f"{RUN}-{name}".encode(), json.dumps(
            message(road_id=f"{RUN}-{name}", event_id=f"{RUN}-{name}", timestamp=now, coordinates=line, jam_factor=9.5)
        ).encode(), None)
        for name in ("first", "last")
    ]  # fmt: skip
    odd = [one for one in odd_messages(RUN, now, line) if one.name != "id-number"]  # which says nothing of the run
    taken = {one.key.decode() for one in (*odd, *sound) if one.reason is None and one.key is not None}
    with ExitStack() as started:
        workers = {}
        for role in ("roads", "history", "live"):
            (tmp_path / role).mkdir()
            of_role = environment | {"TRAFFICAPP_WORKER__ROLE": role}
            workers[role] = started.enter_context(worker(settings, of_role, tmp_path / role))
        redis = started.enter_context(Redis.from_url(redis_url))
        database = started.enter_context(psycopg.connect(database_url, autocommit=True))
        sent = await send(settings, [sound[0], *odd, sound[1]])
        right = {place: one.reason for place, one in sent.items() if one.reason is not None}

        def known(table: str) -> set[str]:
            rows = database.execute(f"SELECT DISTINCT road_id FROM {table}").fetchall()  # type: ignore[arg-type] # noqa: S608
            return {row[0] for row in rows}

        def missing() -> dict[str, Any]:
            stored = {storable(road) for road in taken}
            told = {
                # other tests write to these topics as well, and not only what is JSON
                topic: {json.loads(value)["road_id"] for value in values(settings, topic) if RUN.encode() in value}
                for topic in (PREDICTIONS, NOTIFICATIONS)
            }
            return {
                "letters": right.keys() - refused(settings, sent).keys(),
                "observations": len(taken) - len(accepted(settings, sent)),
                **{table: stored - known(table) for table in
                   ("roads", "road_observations", "predictions", "notifications")},
                "redis": {road for road in taken if not redis.exists(ROAD_DOCUMENTS.key_of(road))},
                **{topic: taken - roads for topic, roads in told.items()},
            }  # fmt: skip

        deadline = time.monotonic() + 120
        while any((found := await asyncio.to_thread(missing)).values()):
            ended = [role for role, (process, _) in workers.items() if process.poll() is not None]
            logs = "".join((tmp_path / role / "worker.log").read_text(errors="replace")[-3000:] for role in ended)
            assert not ended, (ended, logs)
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.5)
        assert refused(settings, sent) == right
        assert {one.road_id for one in accepted(settings, sent).values()} == taken
        for role, (process, port) in workers.items():
            assert process.poll() is None, role
            current = await asyncio.to_thread(get, port, "/traffic/current")
            assert taken <= {one["road_id"] for one in current}
            assert await asyncio.to_thread(get, port, "/api/predict/roads")
            assert await asyncio.to_thread(get, port, "/api/notifications?limit=1000")
