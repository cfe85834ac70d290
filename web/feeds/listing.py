"""The newest document of each key of a feed, a page at a time; pages are shared for a second."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import web

from trafficapp.feeds.declaration import Feed
from trafficapp.stores.feeds.current import CurrentDocuments, current_of
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.problems import ProblemError, unavailable
from web.serving.shared_pages import KeyedPage, SharedPages

MAX_DOCUMENTS = 10_000

_Result = TypeVar("_Result")


class DocumentPages:
    """Answers with what Redis has of a feed.

    Args:
        feed: with the newest document of each key as what is current.
        what: what stands there, for the sentence that says that it is away.
    """

    def __init__(self, feed: Feed[Any], what: str) -> None:
        self._feed, self._what = feed, what
        self._pages = SharedPages(self._page)

    async def page(self, request: web.Request, after: str | None, limit: int) -> web.Response:
        """Documents in order of their keys, behind one of them, with the link to the next page.

        Raises:
            ProblemError: 503, Redis does not answer.
        """
        return await self._pages.answer(request, after, limit)

    async def one(self, request: web.Request, key: str, missing: str) -> web.Response:
        """The document of a key, as a list of one.

        Raises:
            ProblemError: 404 with what is missing, or 503.
        """
        context = request.app[CONTEXT]
        found = await self._ask(CurrentDocuments(context.redis, self._feed).documents([key]))
        if not found:
            raise ProblemError(HTTPStatus.NOT_FOUND, missing)
        return json_answer(b"[" + self._as_of_now(context, found)[0] + b"]")

    async def _page(self, context: WebContext, after: str | None, limit: int) -> KeyedPage:
        documents = CurrentDocuments(context.redis, self._feed)

        async def read() -> KeyedPage:
            keys, last = await documents.page_of_keys(after, limit)
            found = self._as_of_now(context, await documents.documents(keys))
            return KeyedPage(b"[" + b",".join(found) + b"]", last)

        return await self._ask(read())

    def _as_of_now(self, context: WebContext, documents: list[bytes]) -> list[bytes]:
        """Documents that say how old they are do so now."""
        declared = current_of(self._feed).as_of
        if declared is None:
            return documents
        as_of, now = declared(context.settings), datetime.now(UTC)
        return [as_of(document, now) for document in documents]

    async def _ask(self, answer: Awaitable[_Result]) -> _Result:
        try:
            return await from_redis(answer)
        except RedisAway:
            raise unavailable(f"Redis, which holds {self._what},") from None
