"""The dashboard's page and files as a worker serves them."""

from __future__ import annotations

import gzip
import posixpath
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web as aiohttp_web

import web.dashboard
from tests.web.conftest import Worker
from trafficapp.settings import Settings
from web.dashboard import pages

CLIENT = Path(web.dashboard.__file__).parent / "client"
pytestmark = pytest.mark.skipif(
    not (CLIENT / "vendor" / "preact.mjs").is_file(),
    reason="the dashboard's libraries are not here: `make setup-dev` fetches them",
)


async def raw(worker: Worker, path: str, encoding: str = "gzip", **headers: str) -> tuple[Any, bytes]:
    """The answer and its bytes as they were transferred."""
    url = worker.client.make_url(path)
    async with worker.client.session.get(
        url, headers={"Accept-Encoding": encoding, **headers}, auto_decompress=False
    ) as response:
        return response, await response.read()


@pytest.mark.parametrize("path", ["/", "/roads"])
async def test_the_page_has_nothing_inline_and_a_strict_policy(worker: Worker, path: str) -> None:
    response = await worker.client.get(path)
    page = await response.text()
    assert response.content_type == "text/html"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "worker-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style|importmap", page)
    referred = set(re.findall(r"""(?:src|href)="([^"]+)""", page))
    assert "/static/icon.svg" in referred
    assert len(re.findall(r'<script type="module" src="/static/', page)) == 1
    # what is seen before any module is there
    assert 'class="skeleton"' in page
    assert all(reference.startswith("/") for reference in referred)
    for reference in referred:
        assert (await worker.client.get(reference)).status == 200, reference


async def test_all_that_a_visit_of_every_room_transfers_is_below_900_kb(worker: Worker) -> None:
    waiting, seen, total = ["/", "/static/shell/main.js"], set[str](), 0
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        response, body = await raw(worker, path)
        assert response.status == 200, path
        total += len(body)
        text = (gzip.decompress(body) if response.headers.get("Content-Encoding") == "gzip" else body).decode()
        if path == "/":
            waiting += re.findall(r"""(?:src|href)="(/static/[^"]+)""", text)
        elif path.endswith(".js"):
            imported = re.findall(r"""(?:from |import\(|import |URL\()"([./][^"]+)""", text)
            waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) for name in imported]
    assert {"/static/vendor/maplibre-gl-worker.mjs", "/static/alerts/room.js", "/static/map/room.js"} <= seen
    assert total < 900_000


async def test_files_are_compressed_asked_anew_and_not_sent_twice(worker: Worker) -> None:
    path = "/static/vendor/maplibre-gl.mjs"
    plain, whole = await raw(worker, path, "identity")
    assert "Content-Encoding" not in plain.headers
    for encoding, most in (("gzip", 0.35), ("br", 0.3), ("gzip;q=0.5, br;q=0", 0.35)):
        packed, body = await raw(worker, path, encoding)
        assert packed.headers["Content-Encoding"] == ("br" if encoding == "br" else "gzip")
        assert len(body) < most * len(whole)
        assert "Accept-Encoding" in packed.headers["Vary"]
        assert packed.headers["ETag"] != plain.headers["ETag"]
        assert packed.headers["Cache-Control"] == "no-cache"
        again, nothing = await raw(worker, path, encoding, **{"If-None-Match": packed.headers["ETag"]})
        assert (again.status, nothing) == (304, b"")
    assert gzip.decompress((await raw(worker, path, "gzip"))[1]) == whole
    assert (await worker.client.get("/static/../pages.py")).status == 404
    assert (await worker.client.get("/static/vendor/preact.mjs.br")).status == 404


async def test_without_the_libraries_the_page_says_what_to_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, aiohttp_client: Any
) -> None:
    for name in ("index.html", "unbuilt.html", "icon.svg"):
        (tmp_path / name).write_bytes((CLIENT / name).read_bytes())
    application = aiohttp_web.Application()
    application.add_routes(pages.routes(folder=tmp_path))
    client = await aiohttp_client(application)
    response = await client.get("/")
    assert response.status == 503
    assert "make setup" in await response.text()
    assert "make setup" in caplog.text


async def test_a_page_may_ask_the_server_of_tiles_that_is_set(aiohttp_client: Any) -> None:
    application = aiohttp_web.Application()
    application.add_routes(pages.routes("https://tiles.example/{z}/{x}/{y}.png"))
    client = await aiohttp_client(application)
    policy = (await client.get("/")).headers["Content-Security-Policy"]
    assert "img-src https://tiles.example 'self'" in policy
    assert "connect-src https://tiles.example 'self'" in policy
    assert "script-src 'self';" in policy


def test_an_address_of_tiles_names_a_tile_and_adds_nothing_to_the_policy() -> None:
    for wrong in ("https://tiles.example/", "https://a; script-src *;/{z}/{x}/{y}", "javascript:{z}{x}{y}"):
        with pytest.raises(ValueError, match="tiles_url"):
            Settings.model_validate({"dashboard": {"tiles_url": wrong}})


async def test_the_settings_of_the_page(worker: Worker) -> None:
    told = await (await worker.client.get("/api/dashboard/settings")).json()
    assert told["time_zone"] == "Europe/Rome"
    assert told["tiles_url"] is None
    assert told["has_timetable"] is False
    assert told["tokens_exist"] is True
    assert "incidents" in told["feeds"]
