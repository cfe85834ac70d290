"""Lists of roads, in order of their ids: pages that all who ask within a second share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from aiohttp import hdrs, web
from msgspec import Meta, Struct

from web.serving import parameters
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.shared_answers import SharedAnswers

MAX_ROADS = 10_000
MAX_AGE_SECONDS = 1.0


class RoadsQuery(Struct, frozen=True, kw_only=True):
    """Which roads, in order of their ids."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ROADS)] = MAX_ROADS
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class RoadPage:
    """A page of roads; `last` is the id behind which the next one begins."""

    body: bytes
    last: str | None
    headers: Mapping[str, str] = field(default_factory=dict)


class RoadPages:
    """Answers with pages.

    Args:
        read: makes the page behind an id, or the first, of so many roads at most.
    """

    def __init__(self, read: Callable[[WebContext, str | None, int], Awaitable[RoadPage]]) -> None:
        self._read = read
        self._shared: SharedAnswers[tuple[str | None, int], RoadPage] = SharedAnswers(MAX_AGE_SECONDS)

    async def answer(self, request: web.Request, after: str | None, limit: int) -> web.Response:
        """The page behind an id, with the header that leads on."""
        context = request.app[CONTEXT]
        page = await self._shared.get((after, limit), lambda: self._read(context, after, limit))
        response = json_answer(page.body, page.headers)
        if page.last is not None:
            response.headers[hdrs.LINK] = parameters.next_link(request, page.last)
        return response
