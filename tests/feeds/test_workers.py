"""A declared feed in real workers of three roles: from the producer to the row, the list, the socket and the letter."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import ClientError, ClientSession
from aiokafka import AIOKafkaProducer

from models.timestamps import rfc3339
from tests.feeds.parking_bays import PARKING_BAYS, TABLE
from tests.feeds.place import until
from tests.ports import free_port
from tests.stores.postgres.fixtures import Connection
from trafficapp.engine.kafka import create_topics
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.stores.administration.dead_letters import newest_dead_letters
from trafficapp.stores.migrations import migrate
from trafficapp.topics import declared_topics

ROOT = Path(__file__).resolve().parents[2]
RUN = secrets.token_hex(3)
NOT_JSON = f"{{{RUN}".encode()  # hexadecimal digits alone may be a number, and so JSON


@contextmanager
def worker(settings: Settings, stack: Endpoints, role: str, port: int, folder: Path) -> Iterator[None]:
    environment = {**os.environ, **stack.environment(), "DATABASE_URL": settings.postgres.url.get_secret_value()}
    environment |= {"TRAFFICAPP_APP_ID": settings.app_id, "TRAFFICAPP_WORKER__ROLE": role}
    environment |= {"TRAFFICAPP_DATA_DIR": str(folder), "TRAFFICAPP_WEB__PORT": str(port)}
    command = [sys.executable, "-m", "faust", "-A", "tests.feeds.worker", "worker", "-l", "info"]
    with (
        (folder / f"{role}.log").open("ab") as log,
        subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--web-port", str(port)], env=environment, cwd=ROOT, stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield
        finally:
            process.kill()


def bay(number: int) -> dict[str, Any]:
    observed = rfc3339(int(time.time()) * 1_000_000)
    return {"bay_id": f"{RUN}-{number}", "occupied": True, "timestamp": observed, "lat": 44.5, "lon": 11.3}


async def answer(session: ClientSession, url: str) -> str:
    with suppress(ClientError, OSError):
        async with session.get(url) as found:
            if found.status == 200:
                return str(await found.text())
    return ""


async def holds(answered: Awaitable[str], what: str) -> bool:
    return what in await answered


async def is_kept(database: Connection) -> bool:
    return bool(await database.fetchval("SELECT count(*) = 30 FROM parking_bays WHERE bay_id LIKE $1", f"{RUN}%"))


async def test_a_feed_in_workers(stack: Endpoints, database_url: str, tmp_path: Path) -> None:
    settings = load_settings(
        app_id=f"bays-{RUN}",
        kafka={"bootstrap_servers": stack.kafka_bootstrap_servers},
        postgres={"url": database_url},
    )
    await asyncio.to_thread(migrate, database_url)
    database = await asyncpg.connect(database_url)
    await database.execute(TABLE)
    await create_topics(settings, declared_topics(settings, [*FEEDS, PARKING_BAYS]))
    bays = [bay(number) for number in range(30)]
    checking, keeping, live = free_port(), free_port(), free_port()
    with ExitStack() as processes:
        for role, port in (("feeds", checking), ("history", keeping), ("live", live)):
            processes.enter_context(worker(settings, stack, role, port, tmp_path))
        async with (
            ClientSession() as session,
            AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers) as producer,
            asyncio.timeout(240),
        ):
            for port in (checking, keeping, live):
                ready = partial(answer, session, f"http://127.0.0.1:{port}/health/ready")
                await until(lambda ready=ready: holds(ready(), '"ready"'), 120)
            async with session.ws_connect(f"http://127.0.0.1:{live}/ws/parking-bays?snapshot=false") as socket:
                for number, message in enumerate(bays):
                    value = json.dumps(message).encode()
                    await producer.send(PARKING_BAYS.topic, value, key=b"\xff", partition=number % 3)
                await producer.send_and_wait(PARKING_BAYS.topic, NOT_JSON, key=None, partition=2)
                told = [json.loads(await socket.receive_str()) for _ in bays]
            assert sorted(one["bay_id"] for one in told) == sorted(one["bay_id"] for one in bays)
            listed = json.loads(await answer(session, f"http://127.0.0.1:{live}/api/parking-bays"))
            assert [one for one in listed if one["bay_id"].startswith(RUN)] == sorted(
                bays, key=lambda one: one["bay_id"]
            )
            await until(lambda: is_kept(database), 60)
            for outcome, count in (("accepted", 30), ("not_json", 1)):
                line = f'b2_feed_messages_total{{feed="parking-bays",outcome="{outcome}"}} {count}.0'
                counted = partial(answer, session, f"http://127.0.0.1:{checking}/metrics")
                await until(lambda counted=counted, line=line: holds(counted(), line), 60)
    letters = await newest_dead_letters(settings, 50)
    assert [one.value for one in letters if one.topic == PARKING_BAYS.topic and one.value == NOT_JSON]
    await database.close()
