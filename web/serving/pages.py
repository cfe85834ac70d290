"""The live pages and their files. Everything comes from this package, nothing from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

_PAGES = {"/": "index.html", "/roads": "roads.html"}
_CONTENT_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def routes() -> list[web.RouteDef]:
    """Routes of the pages; all files are read once, here."""
    folder = files("web").joinpath("static")
    pages = [
        web.get(path, serve_file(folder.joinpath(name).read_bytes(), "text/html")) for path, name in _PAGES.items()
    ]
    return [*pages, *_files_of(folder, "/static")]


def _files_of(folder: Traversable, path: str) -> Iterator[web.RouteDef]:
    for file in folder.iterdir():
        if file.is_dir():
            yield from _files_of(file, f"{path}/{file.name}")
        elif content_type := _CONTENT_TYPES.get(PurePosixPath(file.name).suffix):
            yield web.get(f"{path}/{file.name}", serve_file(file.read_bytes(), content_type))


def serve_file(body: bytes, content_type: str) -> Handler:
    """A view that answers with a file of ours."""
    tag = hashlib.sha256(body).hexdigest()[:32]

    async def view(request: web.Request) -> web.StreamResponse:
        # asked anew each time, answered with 304: a new version is never half old
        response = web.Response(body=body, content_type=content_type, charset="utf-8")
        response.etag = tag
        response.headers[hdrs.CACHE_CONTROL] = "no-cache"
        known = request.if_none_match
        if known and any(entry.value in (tag, "*") for entry in known):
            not_modified = web.Response(status=304)
            not_modified.etag = tag
            not_modified.headers[hdrs.CACHE_CONTROL] = "no-cache"
            return not_modified
        return response

    return view
