"""Pages of lists that many clients ask for at once, in order of their keys: shared for a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from web.serving import parameters
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.shared_answers import SharedAnswers

MAX_AGE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class KeyedPage:
    """A page of a list; `last` is the key behind which the next one begins, None on the last."""

    body: bytes
    last: str | None
    headers: Mapping[str, str] = field(default_factory=dict)


class SharedPages:
    """Answers with pages.

    Args:
        read: makes the page behind a key, or the first, of so many rows at most.
    """

    def __init__(self, read: Callable[[WebContext, str | None, int], Awaitable[KeyedPage]]) -> None:
        self._read = read
        self._shared: SharedAnswers[tuple[str | None, int], KeyedPage] = SharedAnswers(MAX_AGE_SECONDS)

    async def answer(self, request: web.Request, after: str | None, limit: int) -> web.Response:
        """The page behind a key, with the header that leads on."""
        context = request.app[CONTEXT]
        page = await self._shared.get((after, limit), lambda: self._read(context, after, limit))
        response = json_answer(page.body, page.headers)
        if page.last is not None:
            response.headers[hdrs.LINK] = parameters.next_link(request, page.last)
        return response
