"""One process of a small site on real servers: a store that is away holds up its own sinks only, also at the start."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from confluent_kafka import Producer
from redis.asyncio import Redis

from models.timestamps import rfc3339
from tests.ports import free_port
from tests.stores.postgres.proxy import Proxy
from trafficapp.engine.kafka import create_topics
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import load_settings
from trafficapp.stores.migrations import migrate
from trafficapp.topics import EVENTS_RAW, declared_topics

ROOT = Path(__file__).resolve().parents[2]
RUN = secrets.token_hex(3)
CAR, CAMERA = f"car-{RUN}", f"cam_{RUN}"
_PATIENCE_SECONDS = 120.0


@contextmanager
def site(environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    port = free_port()
    command = [sys.executable, "-m", "faust", "-A", "trafficapp", "worker", "-l", "info", "--web-port", str(port)]
    variables = {**os.environ, **environment, "TRAFFICAPP_WORKER__ROLE": "site", "TRAFFICAPP_WEB__PORT": str(port)}
    with (
        (folder / "site.log").open("ab") as log,
        subprocess.Popen(command, env=variables, cwd=ROOT, stdout=log, stderr=log) as process,  # noqa: S603
    ):
        try:
            yield process
        finally:
            process.kill()


async def until(is_so: Callable[[], Awaitable[Any]], folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not await is_so():
        assert time.monotonic() < deadline, (folder / "site.log").read_text()[-5000:]
        await asyncio.sleep(0.25)


def send(bootstrap: str, first: int, count: int) -> None:
    """Fixes of a car, a second apart, and pictures of a camera until now, each with one vehicle."""
    producer, now_us = Producer({"bootstrap.servers": bootstrap}), time.time_ns() // 1000
    for number in range(first, first + count):
        at_ms = now_us // 1000 - 200_000 + number * 1000
        place = [44.49 + number * 1e-5, 11.34]
        fix = {"id": f"{RUN}-{number}", "device_id": CAR, "timestamp": at_ms, "location": place, "speed": 30.0}
        producer.produce("vehicle_data", json.dumps(fix).encode(), b"any")
    for second in range(60, 0, -1):
        vehicle = {"vehicle_id": f"v-{first}-{second}", "class": "car", "confidence": 0.9, "lane_id": 1}
        vehicle |= {"bbox": {"x": 1.0, "y": 1.0, "w": 9.0, "h": 9.0}, "speed_estimate": 30.0}
        picture = {"camera_id": CAMERA, "timestamp": rfc3339(now_us - second * 1_000_000), "frame_id": second}
        producer.produce(EVENTS_RAW, json.dumps(picture | {"detections": [vehicle]}).encode(), CAMERA.encode())
    assert producer.flush(_PATIENCE_SECONDS) == 0


async def test_a_site_goes_on_without_postgres_and_makes_up_for_it(
    kafka_bootstrap: str, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(migrate, database_url)
    settings = load_settings(app_id=f"site-{RUN}", kafka={"bootstrap_servers": kafka_bootstrap})
    await create_topics(settings, declared_topics(settings, FEEDS))
    database = await asyncpg.connect(database_url)
    async with Proxy(database_url).listening() as proxy, Redis.from_url(redis_url) as redis:
        environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "DATABASE_URL": proxy.url, "REDIS_URL": redis_url}
        environment |= {"TRAFFICAPP_APP_ID": f"site-{RUN}", "TRAFFICAPP_DATA_DIR": str(tmp_path)}

        async def fixes() -> int:
            found = (
                "SELECT count(DISTINCT observed_at) AS d, count(*) AS n FROM vehicle_positions WHERE vehicle_id = $1"
            )
            row = await database.fetchrow(found, CAR)
            assert row["d"] == row["n"], "none twice"
            return int(row["n"])

        async def vehicles_counted() -> int:
            found = "SELECT coalesce(sum(vehicle_count), 0) FROM traffic_metrics WHERE camera_id = $1"
            return int(await database.fetchval(found, CAMERA))

        # away before it starts
        proxy.refusing = True
        with site(environment, tmp_path) as process:
            await asyncio.to_thread(send, kafka_bootstrap, 0, 50)

            async def is_in_redis() -> bool:
                keys = (f"vehicle:location:{CAR}", f"camera:{CAMERA}:current")
                return all([await redis.exists(key) for key in keys])

            await until(is_in_redis, tmp_path)
            assert await fixes() == 0
            proxy.refusing = False

            async def is_made_up_for() -> bool:
                return await fixes() == 50 and await vehicles_counted() > 0

            await until(is_made_up_for, tmp_path)
            # and once more while it runs
            proxy.refusing = True
            proxy.cut()
            await asyncio.to_thread(send, kafka_bootstrap, 50, 50)

            async def has_newest() -> bool:
                document = json.loads(await redis.get(f"vehicle:location:{CAR}") or b"{}")
                return bool(document.get("latitude", 0) > 44.49 + 98 * 1e-5)

            await until(has_newest, tmp_path)
            assert await fixes() == 50
            process.kill()
            process.wait()
        proxy.refusing = False
        with site(environment, tmp_path):

            async def is_whole() -> bool:
                return await fixes() == 100

            await until(is_whole, tmp_path)
    await database.close()
