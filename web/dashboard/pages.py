"""The dashboard's page and its files. Everything comes from this package, nothing from elsewhere.

What is ours lies in ``client`` and is served as it is. The libraries in ``client/vendor`` are put there by
``make setup`` and are in the wheel and the image; where they are missing, the page says what to run, and the API goes
on.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from aiohttp import web

from web.dashboard.packed import FOLDER, Pack, pack_of
from web.serving.files import serve_file
from web.serving.middleware import CONTENT_SECURITY_POLICY

logger = logging.getLogger(__name__)

#: Addresses that open the dashboard; which room, its own script decides.
ADDRESSES = ("/", "/roads")

#: Libraries without which no room can be drawn.
VENDOR = ("preact.mjs", "uPlot.mjs", "uPlot.min.css", "maplibre-gl.mjs", "maplibre-gl-worker.mjs", "maplibre-gl.css")

_CONTENT_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
#: Files that `web.documents` serves.
_OF_THE_DOCUMENTS = "swagger-ui"
_COMPRESSED = {".br": "br", ".gz": "gzip"}

#: What a browser needs before anything can be seen: the shell, and the room that opens first. A module tells only once
#: it is there which others it needs; named in the page they come all at once.
_FIRST = ("shell/main.js", "map/room.js")
_STYLE_SHEETS = re.compile(r'<link rel="stylesheet"[^>]*>\n')
_IMPORTED = re.compile(r"""^(?:import|export)\b[^"';]*["'](\.[^"']+)["'];""", re.MULTILINE)


def routes(tiles_url: str | None = None, folder: Traversable | None = None) -> list[web.RouteDef]:
    """Routes of the page and of its files; all files are read once, here.

    Args:
        tiles_url: of map tiles, which the page may then ask for.
        folder: where they are; that of this package unless given.
    """
    folder = folder or files("web").joinpath("dashboard", "client")
    missing = [name for name in VENDOR if not folder.joinpath("vendor", name).is_file()]
    if missing:
        logger.warning(
            "the dashboard's libraries are not here (%s): its pages say so, the API is not affected; "
            "`make setup` in the project's folder fetches them",
            ", ".join(missing),
        )
    page, status = ("unbuilt.html", HTTPStatus.SERVICE_UNAVAILABLE) if missing else ("index.html", HTTPStatus.OK)
    content = folder.joinpath(page).read_text(encoding="utf-8")
    if not missing:
        pack = pack_of(folder)
        content = _preloading(content, _first_modules(folder)) if pack is None else _packed(content, pack)
    view = serve_file(content.encode(), "text/html", status=status, policy=_policy(tiles_url) if tiles_url else None)
    return [*(web.get(address, view) for address in ADDRESSES), *_files_of(folder, "/static")]


def _preloading(content: str, modules: Iterable[str]) -> str:
    links = "".join(f'<link rel="modulepreload" href="/static/{name}">\n' for name in modules)
    return content.replace("</head>", f"{links}</head>")


def _packed(content: str, pack: Pack) -> str:
    """The page, which asks for a pack instead of the modules and styles themselves."""
    path = "/".join(FOLDER)
    content = _STYLE_SHEETS.sub("", content)
    content = content.replace("</title>\n", f'</title>\n<link rel="stylesheet" href="/static/{path}/{pack.style}">\n')
    content = content.replace("/static/shell/main.js", f"/static/{path}/{pack.entry}")
    return _preloading(content, [f"{path}/{name}" for name in pack.first])


def _first_modules(folder: Traversable) -> list[str]:
    """Modules that those in `_FIRST` import, and they themselves, in order of their names."""
    found, waiting = set[str](), list(_FIRST)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            text = folder.joinpath(*name.split("/")).read_text(encoding="utf-8")
            parent = posixpath.dirname(name)
            waiting += [posixpath.normpath(posixpath.join(parent, other)) for other in _IMPORTED.findall(text)]
    return sorted(found)


def _policy(tiles_url: str) -> str:
    """The policy of a page whose map asks a server of tiles as well."""
    address = urlsplit(tiles_url)
    origin = f"{address.scheme}://{address.netloc}"
    return CONTENT_SECURITY_POLICY.replace("img-src ", f"img-src {origin} ").replace(
        "connect-src ", f"connect-src {origin} "
    )


def _files_of(folder: Traversable, path: str) -> Iterator[web.RouteDef]:
    entries = {entry.name: entry for entry in folder.iterdir()}
    for name, entry in sorted(entries.items()):
        if entry.is_dir():
            yield from _files_of(entry, f"{path}/{name}")
        elif name.startswith(_OF_THE_DOCUMENTS):
            continue
        elif content_type := _CONTENT_TYPES.get(PurePosixPath(name).suffix):
            compressed = {
                encoding: entries[name + suffix].read_bytes()
                for suffix, encoding in _COMPRESSED.items()
                if name + suffix in entries
            }
            # names in a pack say what is in the file: whoever has it need not ask again
            forever = path == f"/static/{'/'.join(FOLDER)}"
            yield web.get(f"{path}/{name}", serve_file(entry.read_bytes(), content_type, compressed, immutable=forever))
