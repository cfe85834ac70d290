from __future__ import annotations

import asyncio
import posixpath
import re
import time

import pytest

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


@pytest.mark.parametrize("path", ["/", "/roads"])
async def test_the_pages_ask_nobody_else(worker: Worker, path: str) -> None:
    response = await worker.client.get(path)
    page = await response.text()
    assert response.content_type == "text/html"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style", page)
    referred = set(re.findall(r"""(?:src|href)="([^"]+)""", page))
    assert all(reference.startswith(("/", "#")) for reference in referred)
    assert {"/", "/roads"} <= referred
    ids = set(re.findall(r'\bid="([^"]+)', page))
    assert {reference[1:] for reference in referred if reference.startswith("#")} <= ids
    files = {reference for reference in referred if reference.startswith("/static/")}
    sources = await _with_imports(worker, files)
    # the one of simulated traffic tells so on every page
    assert {"/static/asking.js", "/static/app.css", "/static/simulated.js"} <= sources.keys()
    for name, source in sources.items():
        # the only addresses are the names of XML vocabularies, which nobody opens
        assert set(re.findall(r"https?://[^\s\"'`]+", source)) <= {"http://www.w3.org/2000/svg"}, name
        assert set(re.findall(r'\$\("([^"]+)"\)', source)) - {"token-form"} <= ids, name


async def _with_imports(worker: Worker, paths: set[str]) -> dict[str, str]:
    """The text of files and of the modules that they import."""
    found: dict[str, str] = {}
    waiting = sorted(paths)
    while waiting:
        path = waiting.pop()
        response = await worker.client.get(path)
        assert response.status == 200, path
        found[path] = await response.text()
        imported = re.findall(r'^import .* from "([^"]+)";$', found[path], re.MULTILINE) if path.endswith(".js") else []
        waiting += {posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) for name in imported} - {*found}
    return found


async def test_files_are_asked_anew_and_not_sent_twice(worker: Worker) -> None:
    first = await worker.client.get("/static/app.js")
    assert first.headers["Cache-Control"] == "no-cache"
    second = await worker.client.get("/static/app.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (second.status, await second.read()) == (304, b"")
    assert (await worker.client.get("/static/../app.py")).status == 404
