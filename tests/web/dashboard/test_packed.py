"""Our modules joined into a few files: only while they are those that are there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web as aiohttp_web

import web.dashboard
from web.dashboard import pages
from web.dashboard.packed import pack_of

CLIENT = Path(web.dashboard.__file__).parent / "client"
pytestmark = pytest.mark.skipif(
    not (CLIENT / "vendor" / "pack" / "manifest.json").is_file(),
    reason="the dashboard's modules were not packed: `make setup-dev` does it",
)


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """A copy of what the browser loads; its pack is of it, also where that in the working tree has grown old."""
    copy = tmp_path / "client"
    shutil.copytree(CLIENT, copy)
    if pack_of(copy) is None:
        pytest.skip("the pack is older than the modules: `make setup-dev` makes it anew")
    return copy


async def page_of(folder: Path, aiohttp_client: Any) -> tuple[Any, str]:
    application = aiohttp_web.Application()
    application.add_routes(pages.routes(folder=folder))
    asking = await aiohttp_client(application)
    return asking, await (await asking.get("/")).text()


async def test_a_first_visit_asks_for_a_handful_of_files_and_a_later_one_for_none(
    client: Path, aiohttp_client: Any
) -> None:
    asking, page = await page_of(client, aiohttp_client)
    wanted = set(re.findall(r'"(/static/[^"]+)', page))
    assert len(wanted) <= 6
    packed = {path for path in wanted if path.startswith("/static/vendor/pack/")}
    assert {path.rpartition(".")[2] for path in packed} == {"js", "css"}
    for path in packed:
        answer = await asking.get(path)
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]
    script = next(path for path in packed if path.rpartition("/")[2].startswith("main-"))
    assert re.search(r"import\(.\./drawn_map-", await (await asking.get(script)).text())


@pytest.mark.parametrize("change", ["other words", "a new module", "one less", "other styles"])
async def test_a_pack_of_other_modules_is_not_served(client: Path, aiohttp_client: Any, change: str) -> None:
    room = client / "map" / "room.js"
    match change:
        case "other words":
            room.write_text(room.read_text() + "// edited\n")
        case "a new module":
            (client / "map" / "new.js").write_text("export {};\n")
        case "one less":
            (client / "styles" / "print.css").unlink()
        case _:
            (client / "styles" / "map.css").write_text("")
    assert pack_of(client) is None
    asking, page = await page_of(client, aiohttp_client)
    assert "/vendor/pack/" not in page
    assert '<script type="module" src="/static/shell/main.js">' in page
    assert (await asking.get("/static/shell/main.js")).headers["Cache-Control"] == "no-cache"
