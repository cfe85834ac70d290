"""The newest document of each key of a feed, a page at a time; pages are shared for a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from aiohttp import hdrs, web

from models.records import MALFORMED
from trafficapp.administration.zones import places_inside
from trafficapp.feeds.declaration import Feed
from trafficapp.stores.feeds.current import CurrentDocuments, current_of
from trafficapp.stores.redis.documents import readable
from web.feeds.forms import CONTENT_TYPES, Form, in_form, place_of
from web.serving import parameters
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.problems import ProblemError, unavailable
from web.serving.registry import Ring
from web.serving.shared_answers import SharedAnswers
from web.serving.shared_pages import MAX_AGE_SECONDS, KeyedPage

MAX_DOCUMENTS = 10_000

#: So many documents are looked at in one go for those of a zone.
_LOOKED_AT_ONCE = 2000

_Result = TypeVar("_Result")


class _Wanted(NamedTuple):
    """Which page: behind a key, of so many documents, in a form, of a zone."""

    after: str | None
    limit: int
    form: Form
    ring: Ring | None


class DocumentPages:
    """Answers with what Redis has of a feed.

    Args:
        feed: with the newest document of each key as what is current.
        what: what stands there, for the sentence that says that it is away.
    """

    def __init__(self, feed: Feed[Any], what: str) -> None:
        self._feed, self._what = feed, what
        self._place_of = place_of(feed)
        self._decode = msgspec.json.Decoder(feed.shape).decode
        self._shared: SharedAnswers[_Wanted, KeyedPage] = SharedAnswers(MAX_AGE_SECONDS)

    async def page(
        self, request: web.Request, after: str | None, limit: int, form: Form = "json", zone: str | None = None
    ) -> web.Response:
        """Documents in order of their keys, behind one of them, with the link to the next page.

        Args:
            request: the question.
            after: the key that the page before ended with.
            limit: documents at most.
            form: of the list.
            zone: id or name of the zone in which they are; None for all.

        Raises:
            ProblemError: 404, there is no such zone; 503, Redis does not answer, or Postgres, which has the zones.
        """
        context = request.app[CONTEXT]
        ring = None if zone is None else await context.registry.ring_of(zone)
        wanted = _Wanted(after, limit, form, ring)
        page = await self._shared.get(wanted, lambda: self._page(context, wanted))
        response = json_answer(page.body)
        response.content_type = CONTENT_TYPES[form]
        if page.last is not None:
            response.headers[hdrs.LINK] = parameters.next_link(request, page.last)
        return response

    async def one(self, request: web.Request, key: str, missing: str, form: Form = "json") -> web.Response:
        """The document of a key, as a list of one.

        Raises:
            ProblemError: 404 with what is missing, or 503.
        """
        context = request.app[CONTEXT]
        found = await self._ask(CurrentDocuments(context.redis, self._feed).documents([key]))
        found = self._as_of_now(context, found)
        if not found:
            raise ProblemError(HTTPStatus.NOT_FOUND, missing)
        response = json_answer(in_form(form, self._feed, found))
        response.content_type = CONTENT_TYPES[form]
        return response

    async def _page(self, context: WebContext, wanted: _Wanted) -> KeyedPage:
        documents = CurrentDocuments(context.redis, self._feed)

        async def read() -> KeyedPage:
            if wanted.ring is None:
                keys, last = await documents.page_of_keys(wanted.after, wanted.limit)
                found = await documents.documents(keys)
            else:
                found, last = await self._in_zone(documents, wanted, wanted.ring)
            found = self._as_of_now(context, found)
            if wanted.form == "json":
                return KeyedPage(in_form("json", self._feed, found), last)
            return KeyedPage(await asyncio.to_thread(in_form, wanted.form, self._feed, found), last)

        return await self._ask(read())

    def _as_of_now(self, context: WebContext, documents: list[bytes]) -> list[bytes]:
        """Documents that say how old they are do so now."""
        declared = current_of(self._feed).as_of
        if declared is None:
            return documents
        as_of, now = declared(context.settings), datetime.now(UTC)
        return readable(documents, lambda document: as_of(document, now), self._feed.name)

    async def _in_zone(
        self, documents: CurrentDocuments, wanted: _Wanted, ring: Ring
    ) -> tuple[list[bytes], str | None]:
        """Documents in a zone, and the key of the last one when more may follow."""
        keys = [key for key in await documents.keys() if wanted.after is None or key > wanted.after]
        found: list[bytes] = []
        for first in range(0, len(keys), _LOOKED_AT_ONCE):
            some = await documents.documents(keys[first : first + _LOOKED_AT_ONCE])
            inside = await asyncio.to_thread(self._inside, some, ring)
            for place, (key, document) in enumerate(inside, 1):
                found.append(document)
                if len(found) == wanted.limit:
                    more = place < len(inside) or first + _LOOKED_AT_ONCE < len(keys)
                    return found, key if more else None
        return found, None

    def _inside(self, documents: Sequence[bytes], ring: Ring) -> list[tuple[str, bytes]]:
        """Those that are in a ring, with their keys."""
        read: list[tuple[str, bytes]] = []
        places: list[tuple[float, float]] = []
        for document in documents:
            try:
                message = self._decode(document)
                place = None if self._place_of is None else self._place_of(message)
            except MALFORMED:
                continue
            if place is not None:
                read.append((getattr(message, self._feed.key), document))
                places.append((place[1], place[0]))
        inside = places_inside(ring, np.array(places, dtype=float).reshape(-1, 2))
        return [one for one, is_inside in zip(read, inside, strict=True) if is_inside]

    async def _ask(self, answer: Awaitable[_Result]) -> _Result:
        try:
            return await from_redis(answer)
        except RedisAway:
            raise unavailable(f"Redis, which holds {self._what},") from None
