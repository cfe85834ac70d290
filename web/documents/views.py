"""The API's documents: ``/openapi.json``, ``/asyncapi.json`` and, to read and try them, ``/docs``."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from web.auth.access import Access
from web.documents import asyncapi, openapi
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.files import serve_file
from web.serving.operations import OPERATIONS, Operation, Tag

#: Files of Swagger UI, from the package that brings them.
_SWAGGER_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}

_DOCUMENTS = web.AppKey("documents", dict[str, bytes])


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation("GET /openapi.json", openapi_document, Tag.OPERATION, dict[str, Any], access=Access.OPEN),
        Operation("GET /asyncapi.json", asyncapi_document, Tag.OPERATION, dict[str, Any], access=Access.OPEN),
    ]


async def openapi_document(request: web.Request) -> web.Response:
    """This API in OpenAPI 3.1."""
    return _document(request, "openapi", _openapi)


async def asyncapi_document(request: web.Request) -> web.Response:
    """Topics and WebSockets in AsyncAPI 3.0."""
    return _document(request, "asyncapi", _asyncapi)


def routes() -> list[web.RouteDef]:
    """``/docs`` and its files; nothing of them comes from elsewhere."""
    ours = files("web").joinpath("documents")
    theirs = _swagger_folder()
    return [
        web.get("/docs", serve_file(ours.joinpath("docs.html").read_bytes(), "text/html")),
        web.get("/docs/start.js", serve_file(ours.joinpath("docs.js").read_bytes(), "text/javascript")),
        *(
            web.get(f"/docs/{name}", serve_file(theirs.joinpath(name).read_bytes(), content_type))
            for name, content_type in _SWAGGER_FILES.items()
        ),
    ]


def prepare(web_app: web.Application) -> None:
    """Have room for the documents, which are made when they are first asked for."""
    web_app[_DOCUMENTS] = {}


def _document(request: web.Request, name: str, make: Callable[[web.Application], dict[str, Any]]) -> web.Response:
    known = request.app[_DOCUMENTS]
    if name not in known:
        known[name] = msgspec.json.encode(make(request.app))
    return json_answer(known[name])


def _openapi(web_app: web.Application) -> dict[str, Any]:
    listed = web_app[OPERATIONS]
    return openapi.describe(listed, web_app[CONTEXT].settings.auth.public_reads)


def _asyncapi(web_app: web.Application) -> dict[str, Any]:
    listed = web_app[OPERATIONS]
    return asyncapi.describe(listed, web_app[CONTEXT].settings, web_app[CONTEXT].feeds)


def _swagger_folder() -> Path:
    # found, not imported: the package would bring the web frameworks that it knows
    spec = importlib.util.find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the package swagger-ui-py is not installed")
    return Path(spec.submodule_search_locations[0]) / "static"
