"""``GET /api/system``: what runs; and the task by which this worker tells of itself."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from aiohttp import web
from prometheus_client import Metric
from redis.asyncio import Redis

from models.administration.system import StoreNow, SystemNow, TopicLag, WorkerNow, encode_system
from models.timestamps import epoch_us, rfc3339
from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import Settings
from trafficapp.stores.administration import workers
from trafficapp.stores.redis.connection import UNAVAILABLE
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError

#: The event loop is looked at so often.
_LOOK_SECONDS = 0.25

#: Counters whose sums say how much was done.
_DONE = ("b2_events_processed", "b2_feed_messages", "b2_sink_rows")
_Found = TypeVar("_Found")


class Presence:
    """Tells of this worker in Redis, for as long as it runs.

    Args:
        settings: who it is.
        telemetry: what it does.
        redis: where it is told.
        is_ready: whether it has taken over its partitions.
        socket_clients: how many it has.
    """

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        redis: Redis,
        is_ready: Callable[[], bool],
        socket_clients: Callable[[], int],
    ) -> None:
        self._settings, self._telemetry, self._redis = settings, telemetry, redis
        self._is_ready, self._socket_clients = is_ready, socket_clients
        self._name = f"{socket.gethostname()}:{settings.web.port or os.getpid()}"
        self._started_at = _now()
        self._before = (time.monotonic(), time.process_time(), 0.0, 0.0)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._keep_telling(), name="tell of this worker")

    async def stop(self) -> None:
        """Stop, and say so."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None
        with suppress(RedisAway):  # it expires there
            await from_redis(workers.forget(self._redis, self._settings.app_id, self._name))

    async def _keep_telling(self) -> None:
        delay_seconds = 0.0
        while True:
            with suppress(RedisAway):  # it is told the next time
                await from_redis(workers.tell(self._redis, self._settings.app_id, self._now(delay_seconds)))
            delay_seconds, until = 0.0, time.monotonic() + workers.TELLS_EVERY_SECONDS
            while (began := time.monotonic()) < until:
                await asyncio.sleep(_LOOK_SECONDS)
                delay_seconds = max(delay_seconds, time.monotonic() - began - _LOOK_SECONDS)

    def _now(self, delay_seconds: float) -> WorkerNow:
        families = {family.name: family for family in self._telemetry.registry.collect()}
        now = (time.monotonic(), time.process_time(), _sum(families, _DONE), _sum(families, ("b2_api_requests",)))
        seconds = max(now[0] - self._before[0], 1e-3)
        cores, records, requests = (
            (one - before) / seconds for one, before in zip(now[1:], self._before[1:], strict=True)
        )
        self._before = now
        reads = _reads(families["b2_kafka_consumer_lag"])
        build = families["b2_build_info"].samples[0].labels
        memory = families.get("process_resident_memory_bytes")
        return WorkerNow(
            worker=self._name,
            role=self._settings.worker.role,
            version=build["version"],
            pid=os.getpid(),
            ready=self._is_ready(),
            started_at=self._started_at,
            told_at=_now(),
            reads=reads,
            lag=sum(topic.lag for topic in reads),
            records_per_second=round(records, 1),
            requests_per_second=round(requests, 1),
            socket_clients=self._socket_clients(),
            cpu_cores=round(cores, 3),
            memory_bytes=int(memory.samples[0].value) if memory is not None and memory.samples else 0,
            loop_delay_seconds=round(delay_seconds, 3),
            waits_for=sorted(one.labels["sink"] for one in families["b2_sink_waiting"].samples if one.value),
        )


async def system(request: web.Request) -> web.Response:
    """What runs, and how far it is.

    Workers tell of themselves every five seconds; who has not for a quarter of a minute is not there any more. A store
    that does not answer has no size.
    """
    context = request.app[CONTEXT]
    app_id, redis = context.settings.app_id, context.redis
    running, newest, of_redis, of_postgres = await asyncio.gather(
        _or(from_redis(workers.running(redis, app_id)), []),
        _or(from_redis(workers.newest_window_end(redis)), None),
        _or(from_redis(workers.redis_now(redis)), StoreNow(bytes=None)),
        _or(context.reserved.ask(workers.postgres_now, within_seconds=5.0), StoreNow(bytes=None)),
    )
    found = SystemNow(
        workers=running,
        lag=sum(worker.lag for worker in running),
        newest_window_end=newest,
        postgres=of_postgres,
        redis=of_redis,
    )
    return json_answer(encode_system(found))


async def _or(asked: Awaitable[_Found], otherwise: _Found) -> _Found:
    """What a store answers, or something else while it does not."""
    try:
        return await asked
    except (RedisAway, ProblemError, *UNAVAILABLE):
        return otherwise


def _sum(families: dict[str, Metric], names: Iterable[str]) -> float:
    """Of counters with all their labels."""
    found = (sample for name in names if name in families for sample in families[name].samples)
    return sum(sample.value for sample in found if sample.name.endswith("_total"))


def _reads(lag: Metric) -> list[TopicLag]:
    partitions: dict[str, list[int]] = {}
    behind: dict[str, int] = {}
    for sample in lag.samples:
        topic = sample.labels["topic"]
        partitions.setdefault(topic, []).append(int(sample.labels["partition"]))
        behind[topic] = behind.get(topic, 0) + int(sample.value)
    return [
        TopicLag(topic=topic, partitions=sorted(numbers), lag=behind[topic])
        for topic, numbers in sorted(partitions.items())
    ]


def _now() -> str:
    return rfc3339(epoch_us(datetime.now(UTC)))


def operations() -> list[Operation]:
    """What this module answers."""
    return [Operation("GET /api/system", system, Tag.OPERATION, SystemNow)]
