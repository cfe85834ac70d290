"""The API's documents: ``/openapi.json``, ``/asyncapi.json`` and, to read and try them, ``/docs``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import msgspec
from aiohttp import web

from web.auth.access import Access
from web.documents import asyncapi, openapi
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.files import serve_file
from web.serving.operations import OPERATIONS, Operation, Tag

logger = logging.getLogger(__name__)

#: Files of Swagger UI, which `make setup` puts beside the dashboard's libraries.
SWAGGER_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}

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


def routes(folder: Traversable | None = None) -> list[web.RouteDef]:
    """``/docs`` and its files; nothing of them comes from elsewhere.

    Args:
        folder: where those of Swagger UI are; that of the dashboard's libraries unless given.
    """
    ours, client = files("web").joinpath("documents"), files("web").joinpath("dashboard", "client")
    theirs = folder or client.joinpath("vendor")
    if missing := [name for name in SWAGGER_FILES if not theirs.joinpath(name).is_file()]:
        logger.warning("/docs cannot be shown without %s; `make setup` fetches them", ", ".join(missing))
        page = client.joinpath("unbuilt.html").read_bytes()
        return [web.get("/docs", serve_file(page, "text/html", status=HTTPStatus.SERVICE_UNAVAILABLE))]
    return [
        web.get("/docs", serve_file(ours.joinpath("docs.html").read_bytes(), "text/html")),
        web.get("/docs/start.js", serve_file(ours.joinpath("docs.js").read_bytes(), "text/javascript")),
        *(
            web.get(
                f"/docs/{name}", serve_file(theirs.joinpath(name).read_bytes(), content_type, _compressed(theirs, name))
            )
            for name, content_type in SWAGGER_FILES.items()
        ),
    ]


def _compressed(folder: Traversable, name: str) -> dict[str, bytes]:
    """A file as it lies there compressed."""
    found = {encoding: folder.joinpath(name + suffix) for suffix, encoding in ((".br", "br"), (".gz", "gzip"))}
    return {encoding: path.read_bytes() for encoding, path in found.items() if path.is_file()}


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
