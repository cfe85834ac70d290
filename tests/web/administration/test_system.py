"""What runs is told by those who run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg

from models.administration.system import WorkerNow
from tests.web.conftest import Worker
from trafficapp.stores.administration import workers
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.time_partitions import ensure_partitions, metrics_partition


async def system(worker: Worker) -> Any:
    async with worker.client.get("/api/system") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def until_told(worker: Worker, count: int = 1) -> Any:
    async with asyncio.timeout(180):
        while True:
            found = await system(worker)
            if len(found["workers"]) == count:
                return found
            await asyncio.sleep(0.05)


async def test_a_worker_tells_of_itself_and_what_it_reads(worker: Worker) -> None:
    lag = worker.context.telemetry.kafka_consumer_lag
    for topic, partition, behind in (("t", "3", 5), ("t", "0", 2), ("u", "1", 0)):
        lag.labels(topic, partition).set(behind)
    worker.context.telemetry.sink_waiting.labels("history_events").set(1)
    app_id = worker.context.settings.app_id
    await workers.forget(worker.context.redis, app_id, (await until_told(worker))["workers"][0]["worker"])
    found = await until_told(worker)
    [told] = found["workers"]
    assert told["reads"] == [
        {"topic": "t", "partitions": [0, 3], "lag": 7},
        {"topic": "u", "partitions": [1], "lag": 0},
    ]
    assert (told["role"], told["lag"], found["lag"], told["waits_for"]) == ("streams", 7, 7, ["history_events"])
    assert told["memory_bytes"] > 10_000_000
    assert told["requests_per_second"] > 0
    assert found["postgres"]["bytes"] is None  # it is not there
    assert found["redis"]["bytes"] > 0


async def test_workers_of_another_application_and_what_is_none_are_not_there(worker: Worker) -> None:
    told = (await until_told(worker))["workers"][0]
    other = WorkerNow(**{**told, "worker": "host:1", "role": "live", "reads": []})
    await workers.tell(worker.context.redis, worker.context.settings.app_id, other)
    await workers.tell(worker.context.redis, f"{worker.context.settings.app_id}2", other)
    await worker.context.redis.set(f"worker:{worker.context.settings.app_id}:odd", b"{}")
    found = await until_told(worker, 2)
    assert [one["role"] for one in found["workers"]] == ["live", "streams"]
    ttl = await worker.context.redis.ttl(f"worker:{worker.context.settings.app_id}:host:1")
    assert 0 < ttl <= workers.GONE_AFTER_SECONDS


async def test_without_redis_nobody_is_known_and_the_answer_is_there(worker: Worker) -> None:
    await until_told(worker)
    worker.redis_server.kill()
    found = await system(worker)
    assert (found["workers"], found["redis"]["bytes"], found["newest_window_end"]) == ([], None, None)


async def test_sizes_of_tables_count_their_partitions(history_worker: Worker, database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    days = [datetime(2031, 1, day, tzinfo=UTC) for day in range(1, 32)]
    await ensure_partitions(connection, [metrics_partition(day) for day in days])
    await connection.close()
    found = await system(history_worker)
    assert found["postgres"]["bytes"] > 1_000_000
    assert next(iter(found["postgres"]["largest"])) == "traffic_metrics"
    assert not any(name.startswith("traffic_metrics_") for name in found["postgres"]["largest"])
