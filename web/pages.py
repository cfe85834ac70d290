"""The live page and its files. Everything comes from this package, nothing from elsewhere."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

_FILES = {
    "/": ("index.html", "text/html"),
    "/static/app.js": ("app.js", "text/javascript"),
    "/static/alerts.js": ("alerts.js", "text/javascript"),
    "/static/app.css": ("app.css", "text/css"),
    "/static/icon.svg": ("icon.svg", "image/svg+xml"),
}


def routes() -> list[web.RouteDef]:
    """Routes of the page; its files are read once, here."""
    folder = files("web").joinpath("static")
    return [
        web.get(path, serve_file(folder.joinpath(name).read_bytes(), content_type))
        for path, (name, content_type) in _FILES.items()
    ]


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
