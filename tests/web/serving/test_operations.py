"""What a view says of itself is what its operation declares."""

from __future__ import annotations

from typing import Any, cast

from aiohttp import web
from msgspec import Struct

from web.auth.access import Access
from web.serving.operations import Operation, Tag


class Key(Struct):
    id: int


class Asked(Struct):
    limit: int = 1


class Said(Struct):
    text: str


async def change(request: web.Request, path: Key, query: Asked, body: Said) -> web.Response:
    """Change a thing.

    What is left out stays
    as it is.
    """
    raise NotImplementedError


class Views:
    async def one(self, request: web.Request, path: Key) -> web.Response:
        """A thing."""
        raise NotImplementedError


def test_words_and_shapes_are_those_of_the_view() -> None:
    operation = Operation("PUT /things/{id:[^/]+}", change, Tag.ALERTS, Said)
    assert (operation.method, operation.path) == ("PUT", "/things/{id:[^/]+}")
    assert (operation.summary, operation.description) == ("Change a thing", "What is left out stays\nas it is.")
    assert (operation.path_shape, operation.query_shape, operation.body_shape) == (Key, Asked, Said)
    assert operation.access is Access.READ


def test_methods_are_views_too_and_words_may_take_the_place_of_their_docstring() -> None:
    operation = Operation("GET /things/{id}", Views().one, Tag.ALERTS, Said, words="Another thing.\n\nAs others.")
    assert (operation.summary, operation.description) == ("Another thing", "As others.")
    assert (operation.path_shape, operation.query_shape, operation.body_shape) == (Key, None, None)


async def test_a_view_is_given_the_parts_that_it_takes() -> None:
    given: dict[str, Any] = {}

    async def view(request: object, path: Key) -> web.Response:
        """Look."""
        given["path"] = path
        return web.Response()

    async def pass_everybody(_: object) -> None:
        return None

    operation = Operation("GET /things/{id}", view, Tag.ALERTS, access=Access.OPEN, authorise=pass_everybody)
    request = type("Request", (), {"match_info": {"id": "3"}})()
    await operation.handle(cast(web.Request, request))
    assert given == {"path": Key(3)}
