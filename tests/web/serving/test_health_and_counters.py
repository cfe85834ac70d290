from __future__ import annotations

import asyncio
import time

from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import Worker
from trafficapp.settings import KafkaSettings
from web.serving.health import kafka_answers


async def test_health_is_quick_and_always_200(worker: Worker) -> None:
    started = time.monotonic()
    responses = await asyncio.gather(*(worker.client.get("/health") for _ in range(20)))
    assert time.monotonic() - started < 2
    for response in responses:
        assert response.status == 200
        assert await response.json() == {
            "status": "degraded",
            "kafka": "unreachable",
            "postgres": "unreachable",
            "redis": "ok",
        }
    worker.redis_server.freeze()
    try:
        await asyncio.sleep(1.1)
        started = time.monotonic()
        assert (await (await worker.client.get("/health")).json())["redis"] == "unreachable"
        assert time.monotonic() - started < 1.5
    finally:
        worker.redis_server.thaw()


async def test_a_server_that_is_no_broker_does_not_pass_for_one(redis_server: RedisServer) -> None:
    """Redis accepts the connection and never gives the answer of a broker."""
    probe = kafka_answers(KafkaSettings(bootstrap_servers=f"127.0.0.1:{redis_server.port}"))
    try:
        async with asyncio.timeout(1):
            assert not await probe()
    except TimeoutError:
        pass


async def test_prometheus_families(worker: Worker) -> None:
    telemetry = worker.context.telemetry
    telemetry.events_processed.inc(4000)
    telemetry.events_dropped.labels("late").inc(2)
    telemetry.window_flushes.inc(3)
    telemetry.kafka_consumer_lag.labels("traffic.events.raw", "0").set(17)
    await worker.client.get("/cameras?limit=1")
    await worker.client.get("/no/such/path")
    response = await worker.client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = (await response.text()).splitlines()
    for expected in (
        "b2_events_processed_total 4000.0",
        'b2_events_dropped_total{reason="late"} 2.0',
        "b2_window_flushes_total 3.0",
        'b2_kafka_consumer_lag{partition="0",topic="traffic.events.raw"} 17.0',
        'b2_api_requests_total{endpoint="/cameras",method="GET",route="/cameras",status="200"} 1.0',
        'b2_api_requests_total{endpoint="unknown",method="GET",route="unknown",status="404"} 1.0',
        'b2_api_request_latency_seconds_count{endpoint="/cameras",method="GET",route="/cameras"} 1.0',
    ):
        assert expected in lines
    assert not [line for line in lines if "_created" in line]
