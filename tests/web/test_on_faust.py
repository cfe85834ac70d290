"""The same views on the web server of a Faust application."""

from __future__ import annotations

from pathlib import Path

import faust
from aiohttp.test_utils import TestClient, TestServer

import web
from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import Settings


async def test_our_views_replace_those_of_faust(settings: Settings, tmp_path: Path) -> None:
    app = faust.App("web-test", broker="kafka://127.0.0.1:9", store="memory://", datadir=str(tmp_path))
    web.register(app, settings, Telemetry("streams", "web-test"))
    app.web.init_server()
    async with TestClient(TestServer(app.web.web_app, host="127.0.0.1")) as client:
        page = await client.get("/")
        assert "<title>Traffic</title>" in await page.text()
        assert await (await client.get("/cameras")).json() == []
        for path in ("/router/", "/table/", "/stats/", "/graph"):
            response = await client.get(path)
            assert (response.status, response.content_type) == (404, "application/problem+json")
        async with client.ws_connect("/ws/metrics") as connection:
            assert await connection.receive_json() == []
    # Faust cleans its application up a second time
    await app.web.web_app.cleanup()
