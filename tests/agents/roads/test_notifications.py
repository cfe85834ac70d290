"""Workers of roles history and live on real servers: a notification is kept and told once, whoever is killed."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from redis import Redis

from models.roads.notifications import RoadNotification, encode_notification
from models.timestamps import rfc3339
from tests.ports import free_port
from tests.stores.roads.notifications import notification
from trafficapp.engine.kafka import create_topics
from trafficapp.roads.feeds import NOTIFICATION_LOG
from trafficapp.settings import Settings, load_settings
from trafficapp.sources.delivery import Delivery
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.stores.migrations import migrate
from trafficapp.topics import NOTIFICATIONS, declared_topics

ROOT = Path(__file__).resolve().parents[3]
ROAD = f"road-{secrets.token_hex(4)}"


@contextmanager
def worker(role: str, app_id: str, endpoints: Endpoints, folder: Path) -> Iterator[subprocess.Popen[str]]:
    port = str(free_port())
    environment = {**os.environ, **endpoints.environment(), "TRAFFICAPP_WORKER__ROLE": role}
    environment |= {"TRAFFICAPP_APP_ID": app_id, "TRAFFICAPP_WEB__PORT": port, "TRAFFICAPP_DATA_DIR": str(folder)}
    with (
        (folder / f"{role}.log").open("a", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "faust", "-A", "trafficapp", "worker", "-l", "info", "--web-port", port],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def send(settings: Settings, *notifications: RoadNotification) -> None:
    delivery = Delivery(settings, NOTIFICATIONS, linger_ms=1)
    for one in notifications:
        delivery.send(ROAD.encode(), encode_notification(one))
    assert delivery.flush(30) == 0


def ours(records: list[bytes]) -> list[str]:
    found = [json.loads(record) for record in records]
    return [one["event_id"] for one in found if one["road_id"] == ROAD]


def test_a_notification_is_kept_and_told_once(
    stack: Endpoints, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = load_settings(
        app_id=f"test-notices-{secrets.token_hex(4)}", kafka={"bootstrap_servers": stack.kafka_bootstrap_servers}
    )
    migrate(database_url)
    asyncio.run(create_topics(settings, declared_topics(settings)))
    endpoints = Endpoints(stack.kafka_bootstrap_servers, database_url, redis_url)
    now = rfc3339(round(time.time() * 1e6))
    a, b, c, d = (notification(number, ROAD, timestamp=now) for number in range(4))
    told: list[bytes] = []
    with (
        Redis.from_url(redis_url) as redis,
        redis.pubsub(ignore_subscribe_messages=True) as channel,
        psycopg.connect(database_url, autocommit=True) as database,
    ):
        channel.subscribe(NOTIFICATION_LOG.channel)

        def wait_for(count: int) -> None:
            deadline = time.monotonic() + 180
            while True:
                message = channel.get_message(timeout=0.1)
                if message is not None:
                    told.append(message["data"])
                kept = database.execute("SELECT count(*) FROM notifications WHERE road_id = %s", [ROAD]).fetchone()
                listed = ours(redis.lrange(NOTIFICATION_LOG.list, 0, -1))  # type: ignore[arg-type]
                if kept == (count,) and len(listed) == count == len(ours(told)):
                    return
                logs = [(tmp_path / f"{role}.log").read_text(errors="replace")[-3000:] for role in ("history", "live")]
                assert time.monotonic() < deadline, "\n".join(logs)

        def start(role: str) -> subprocess.Popen[str]:
            return started.enter_context(worker(role, settings.app_id, endpoints, tmp_path))

        with ExitStack() as started:
            processes = [start("history"), start("live")]
            send(settings, a, b)
            wait_for(2)
            for process in processes:
                process.kill()
                process.wait()
            # whoever raised them was killed as well, and raises one again
            send(settings, b, a, c)
            for role in ("history", "live"):
                start(role)
            wait_for(3)
            send(settings, a, b, c)
            send(settings, d)
            wait_for(4)
        assert ours(told) == [a.event_id, b.event_id, c.event_id, d.event_id]
