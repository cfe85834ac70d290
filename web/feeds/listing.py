"""The newest document of each key of a feed, a page at a time; pages are shared for a second."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from redis.asyncio import Redis

from trafficapp.feeds.declaration import Feed
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.connection import UNAVAILABLE
from web.serving import parameters
from web.serving.context import CONTEXT
from web.serving.problems import ProblemError, unavailable
from web.serving.shared_answers import SharedAnswers

MAX_DOCUMENTS = 10_000
MAX_AGE_SECONDS = 1.0
ANSWER_WITHIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Page:
    """A page; `last` is the key behind which the next one begins."""

    body: bytes
    last: str | None


class DocumentPages:
    """Answers with what Redis has of a feed.

    Args:
        feed: with the newest document of each key as what is current.
        what: what stands there, for the sentence that says that it is away.
    """

    def __init__(self, feed: Feed[Any], what: str) -> None:
        self._feed, self._what = feed, what
        self._pages: SharedAnswers[tuple[str | None, int], _Page] = SharedAnswers(MAX_AGE_SECONDS)

    async def page(self, request: web.Request, limit: int) -> web.Response:
        """Documents in order of their keys, with the link to the next page.

        Raises:
            ProblemError: 503, Redis does not answer; 400, the cursor is none of ours.
        """
        after = parameters.cursor(request, str)
        redis = request.app[CONTEXT].redis
        page = await self._pages.get((after, limit), lambda: self._page(redis, after, limit))
        response = _answer(page.body)
        if page.last is not None:
            response.headers[hdrs.LINK] = parameters.next_link(request, page.last)
        return response

    async def one(self, request: web.Request, key: str, missing: str) -> web.Response:
        """The document of a key, as a list of one.

        Raises:
            ProblemError: 404 with what is missing, or 503.
        """
        try:
            async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
                found = await CurrentDocuments(request.app[CONTEXT].redis, self._feed).documents([key])
        except UNAVAILABLE:
            raise unavailable(f"Redis, which holds {self._what},") from None
        if not found:
            raise ProblemError(HTTPStatus.NOT_FOUND, missing)
        return _answer(b"[" + found[0] + b"]")

    async def _page(self, redis: Redis, after: str | None, limit: int) -> _Page:
        documents = CurrentDocuments(redis, self._feed)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
                rest = [key for key in await documents.keys() if after is None or key > after]
                found = await documents.documents(rest[:limit])
        except UNAVAILABLE:
            raise unavailable(f"Redis, which holds {self._what},") from None
        return _Page(b"[" + b",".join(found) + b"]", rest[limit - 1] if len(rest) > limit else None)


def _answer(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
