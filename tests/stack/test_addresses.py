"""What `trafficapp up` prints to open is what a worker serves."""

from __future__ import annotations

from aiohttp import web as aiohttp_web

from trafficapp.stack.addresses import ADDRESSES
from web.dashboard import pages
from web.documents import views as documents


def test_every_page_and_document_is_among_the_addresses() -> None:
    routes: list[aiohttp_web.RouteDef] = [*pages.routes(), *documents.routes()]
    of_people = {route.path for route in routes if "." not in route.path.rsplit("/", 1)[-1]}
    written = {operation.path for operation in documents.operations()}
    assert {"/", "/roads", "/docs", "/openapi.json", "/asyncapi.json"} <= of_people | written
    assert of_people | written <= {path for path, _ in ADDRESSES}
