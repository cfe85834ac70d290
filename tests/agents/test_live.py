"""Two live workers on real servers: they forget what is over, stop at no garbage and tell of mixed partitioners."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession
from aiokafka import AIOKafkaProducer

from models.cameras.window_rows import encode_window_row
from tests.ports import free_port
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import window_row
from tests.tasks import end
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.topics import ALERTS, METRICS, NOTIFICATIONS, PREDICTIONS, declared_topics, road_observations

ROOT = Path(__file__).resolve().parents[2]
RUN = secrets.token_hex(3)
GONE, LIVE, MIXED = (f"{RUN}-{name}" for name in ("gone", "live", "mixed"))
CURRENT_SECONDS = 8.0

#: Of every kind that no consumer of these topics ends at; `tests.stores.redis.test_garbage` has more.
GARBAGE = (None, b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"camera_id":"\xff"}', b'{"camera_id":7,"id":[]}')


@contextmanager
def worker(settings: Settings, endpoints: Endpoints, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **endpoints.environment(), "REDIS_URL": settings.redis.url.get_secret_value()}
    environment |= {"TRAFFICAPP_APP_ID": settings.app_id, "TRAFFICAPP_WORKER__ROLE": "live"}
    environment |= {"TRAFFICAPP_WINDOWS__CURRENT_HOURS": str(CURRENT_SECONDS / 3600)}
    environment |= {"TRAFFICAPP_DATA_DIR": str(folder), "TRAFFICAPP_WEB__PORT": str(port)}
    with (
        (folder / f"{port}.log").open("ab") as log,
        subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "faust", "-A", "trafficapp", "worker", "-l", "info", "--web-port", str(port)],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def row(camera_id: str) -> bytes:
    """Another window twice a second, of long ago: what the cameras' clocks say does not matter."""
    return encode_window_row(window_row(camera_id, time.time_ns() // 500_000_000 % 100_000))


@asynccontextmanager
async def telling(producer: AIOKafkaProducer) -> AsyncIterator[None]:
    """Rows of a live camera and of one in two partitions all the time, and garbage among them."""

    async def tell() -> None:
        while True:
            for camera_id, partition in ((LIVE, 1), (MIXED, 2), (MIXED, 3)):
                await producer.send_and_wait(METRICS, row(camera_id), key=camera_id.encode(), partition=partition)
                for value in GARBAGE:
                    await producer.send(METRICS, value, key=b"\xff", partition=partition)
            await asyncio.sleep(0.5)

    task = asyncio.create_task(tell())
    try:
        yield
        assert not task.done()
    finally:
        await end(task)


class Web:
    """What workers answer."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def text(self, port: int, path: str) -> str:
        async with self._session.get(f"http://127.0.0.1:{port}{path}") as answer:
            return await answer.text()

    async def cameras(self, port: int, path: str = "/cameras") -> dict[str, dict[str, Any]]:
        """Our cameras."""
        found: list[dict[str, Any]] = json.loads(await self.text(port, path))
        return {camera["camera_id"]: camera for camera in found if camera["camera_id"].startswith(RUN)}

    async def until(self, what: str, port: int, path: str, holds: Callable[[Any], bool]) -> Any:
        """Ask until it is as it must be."""
        answer: Any = None
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                answer = await (self.text if path in ("/metrics", "/health/ready") else self.cameras)(port, path)
                if holds(answer):
                    return answer
            except (ClientError, OSError, ValueError, LookupError, AttributeError):
                pass
            await asyncio.sleep(0.2)
        pytest.fail(f"{what} did not come: {answer}")


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


async def test_live_workers(stack: Endpoints, redis_server: RedisServer, tmp_path: Path) -> None:
    settings = load_settings(
        app_id=f"live-{RUN}",
        kafka={"bootstrap_servers": stack.kafka_bootstrap_servers},
        redis={"url": redis_server.url},
    )
    await create_topics(settings, declared_topics(settings))
    first, second = free_port(), free_port()
    with ExitStack() as processes:
        killed = processes.enter_context(worker(settings, stack, tmp_path, first))
        stays = processes.enter_context(worker(settings, stack, tmp_path, second))
        async with (
            ClientSession() as session,
            AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers) as producer,
        ):
            web = Web(session)
            for port in (first, second):
                await web.until("the start", port, "/health/ready", lambda answer: '"ready"' in answer)
            await producer.send_and_wait(METRICS, row(GONE), key=GONE.encode(), partition=0)
            for topic in (ALERTS, NOTIFICATIONS, PREDICTIONS, road_observations(settings)):
                for value in GARBAGE:
                    await producer.send(topic, value, key=b"\xff", partition=0)
            async with telling(producer):
                found = await web.until("a camera", first, "/cameras", lambda found: set(found) == {GONE, LIVE, MIXED})
                assert "partitions" not in found[GONE] | found[LIVE]
                in_two = await web.until(
                    "two partitions", second, "/cameras", lambda found: "partitions" in found[MIXED]
                )
                assert in_two[MIXED]["partitions"] == [2, 3]
                assert "partitions" not in in_two[LIVE]
                gauge = "b2_cameras_in_two_partitions 1.0"
                for port in (first, second):
                    await web.until("the gauge", port, "/metrics", lambda answer: gauge in answer)
                assert set(json.loads(await web.text(second, "/health"))) == {"status", "kafka", "postgres", "redis"}

                killed.kill()
                for path in ("/cameras", "/metrics/current", "/congestion/current"):
                    await web.until("an end", second, path, lambda found: set(found) == {LIVE, MIXED})
                # the partitions of the one that was killed are read on, by a worker that has nothing in memory
                await producer.send_and_wait(METRICS, row(GONE), key=GONE.encode(), partition=0)
                await web.until("its return", second, "/cameras", lambda found: GONE in found)
                await web.until("its end", second, "/cameras", lambda found: set(found) == {LIVE, MIXED})
                redis_server.kill()
                redis_server.start()
                await web.until("all again", second, "/cameras", lambda found: "partitions" in found[MIXED])
                assert set(await web.cameras(second)) == {LIVE, MIXED}
            assert stays.poll() is None
    log = (tmp_path / f"{first}.log").read_text() + (tmp_path / f"{second}.log").read_text()
    told = [line for line in log.splitlines() if f"camera '{MIXED}' keep coming" in line]
    # once, and once more by a server that knew nothing of it
    assert 1 <= len(told) <= 2
    assert "Traceback" not in log
