"""Whatever goes wrong, the answer is a problem document and never shows the inside."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web

from tests.web.conftest import Worker
from trafficapp.engine.telemetry import Telemetry
from web.serving import middleware
from web.serving.context import CONTEXT, WebContext
from web.serving.problems import problems


async def problem(worker: Worker, path: str, method: str = "GET") -> dict[str, object]:
    response = await worker.client.request(method, path)
    assert response.content_type == "application/problem+json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    body = await response.json()
    assert isinstance(body, dict)
    assert body["status"] == response.status
    assert body["title"]
    return body


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/nothing/here", 404, "/nothing/here"),
        ("/metrics/current?camera_id=unheard", 404, "unheard"),
        ("/metrics/current?camera_id=%ED%A0%80", 404, "no camera"),
        ("/metrics/current?camera_id=%00", 404, "no camera"),
        ("/metrics/current?camera_id=", 400, "camera_id"),
        (f"/metrics/current?camera_id={'x' * 257}", 400, "camera_id"),
        ("/metrics/current?camera_id=a&camera_id=b", 400, "camera_id"),
        ("/cameras?limit=0", 400, "limit"),
        ("/cameras?limit=ten", 400, "limit"),
        ("/cameras?limit=1e3", 400, "limit"),
        ("/cameras?limit=%C2%B2", 400, "limit"),
        ("/cameras?cursor=%21%21", 400, "cursor"),
        ("/cameras?cursor=MTI", 400, "cursor"),
        ("/metrics/history", 400, "camera_id"),
        ("/metrics/history?camera_id=a&from=yesterday", 400, "from"),
        ("/metrics/history?camera_id=a&to=1e400", 400, "to"),
        ("/metrics/history?camera_id=a&from=99999999999999999999", 400, "from"),
        ("/metrics/history?camera_id=a&from=20&to=20", 400, "before"),
        ("/metrics/history?camera_id=a&to=0001-01-01T00:00:00Z", 400, "to"),
        ("/metrics/history?camera_id=a&cursor=WzEsMl0x", 400, "cursor"),
        ("/metrics/history?camera_id=a&cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OSxudWxsXQ", 400, "cursor"),
        ("/metrics/history?camera_id=a", 503, "Postgres"),
        ("/ws/metrics", 426, "WebSocket"),
        ("/ws/metrics?role=king", 400, "role"),
        ("/ws/metrics/lanes?camera_id=", 400, "camera_id"),
    ],
)
async def test_each_fault_names_its_cause(worker: Worker, path: str, status: int, word: str) -> None:
    body = await problem(worker, path)
    assert body["status"] == status
    assert word in str(body["detail"])


async def test_a_wrong_method(worker: Worker) -> None:
    response = await worker.client.post("/cameras")
    assert response.status == 405
    assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD"}
    assert (await problem(worker, "/cameras", "DELETE"))["status"] == 405


async def test_what_views_raise(aiohttp_client: object, worker: Worker) -> None:
    async def broken(request: web.Request) -> web.Response:
        raise ZeroDivisionError("secret")

    async def greedy(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    application = web.Application(client_max_size=10)
    application[CONTEXT] = WebContext(
        settings=worker.context.settings,
        telemetry=Telemetry(),
        redis=worker.context.redis,
        database=worker.context.database,
        kafka_up=worker.context.kafka_up,
    )
    application.middlewares.extend([middleware.telemetry, problems])
    application.on_response_prepare.append(middleware.set_headers)
    application.add_routes([web.get("/broken", broken), web.post("/greedy", greedy)])
    client = await aiohttp_client(application)  # type: ignore[operator]
    response = await client.get("/broken")
    body = await response.json()
    assert (response.status, response.content_type) == (500, "application/problem+json")
    assert body["instance"].startswith("urn:uuid:")
    assert "secret" not in str(body)
    response = await client.post("/greedy", data=b"x" * 11)
    assert (response.status, response.content_type) == (413, "application/problem+json")
    exposition = application[CONTEXT].telemetry.exposition().decode()
    assert 'b2_api_requests_total{endpoint="/broken",method="GET",route="/broken",status="500"} 1.0' in exposition
    assert 'b2_api_requests_total{endpoint="/greedy",method="POST",route="/greedy",status="413"} 1.0' in exposition


async def test_what_is_no_http_is_told_briefly_and_not_repeated(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reader, writer = await asyncio.open_connection("127.0.0.1", worker.client.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sec\x00ret\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()
    told = [record for record in caplog.records if record.name == "aiohttp.server"]
    assert [(record.levelname, record.exc_info) for record in told] == [("INFO", None)]
    assert "sec" not in caplog.text
