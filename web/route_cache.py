"""Answers for routes in Redis, ``route:cache:{origin}:{destination}``, and the list of routes asked lately.

Neither delays an answer, and without Redis both are left out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from models.routes import RoutePlace, RouteQuestion
from trafficapp.stores.recent_routes import remember_route
from trafficapp.stores.redis import UNAVAILABLE

logger = logging.getLogger(__name__)

#: Places are told apart by a metre.
DECIMALS = 5
_ANSWER_WITHIN_SECONDS = 0.25
#: After Redis did not answer, nobody waits for it again for so long.
_LEAVE_ALONE_SECONDS = 5.0
#: Notes that wait to be written, at most.
_WRITING_AT_MOST = 64


class KeptAnswer(Struct, frozen=True):
    """An answer as it is kept.

    Attributes:
        version: of the speeds it was found under, and what the answer says about them.
        departure: ``now``, or when.
        made_at: epoch seconds.
        edges: of the recommended route.
        answer: its JSON.
    """

    version: str
    departure: str
    made_at: float
    edges: list[str]
    answer: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(KeptAnswer).decode


def rounded(place: RoutePlace) -> RoutePlace:
    """A place as it is told apart from others; without a negative zero."""
    return RoutePlace(lat=round(place.lat, DECIMALS) + 0.0, lng=round(place.lng, DECIMALS) + 0.0)


class RouteCache:
    """Keeps answers.

    Args:
        redis: closed by its owner.
        seconds: how long an answer is kept; 0: not at all.
    """

    def __init__(self, redis: Redis, seconds: int) -> None:
        self._redis, self._seconds = redis, seconds
        self._writing: set[asyncio.Task[None]] = set()
        self._away_until = 0.0

    async def get(self, question: RouteQuestion, version: str, departure: str) -> KeptAnswer | None:
        """The answer that is kept, if it was found under this version and for this departure."""
        if not self._seconds or time.monotonic() < self._away_until:
            return None
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_SECONDS):
                content: Any = await self._redis.get(_key(question))
            kept = None if content is None else _decode(content)
        except UNAVAILABLE:
            self._away_until = time.monotonic() + _LEAVE_ALONE_SECONDS
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.warning("what stands in %s is no answer: %s", _key(question), error)
            return None
        if kept is None or (kept.version, kept.departure) != (version, departure):
            return None
        return kept if time.time() - kept.made_at < self._seconds else None

    def note(self, question: RouteQuestion, edges: list[str], fresh: KeptAnswer | None = None) -> None:
        """Remember that a route was asked, and keep its answer when it is a fresh one; in the background."""
        if len(self._writing) < _WRITING_AT_MOST:
            writing = asyncio.create_task(self._write(question, edges, fresh))
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)

    async def stop(self) -> None:
        """Wait for what is being written."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=1.0)

    async def _write(self, question: RouteQuestion, edges: list[str], fresh: KeptAnswer | None) -> None:
        if time.monotonic() < self._away_until:
            return
        try:
            if fresh is not None and self._seconds:
                await self._redis.set(_key(question), _encode(fresh), ex=self._seconds)
            ends = [(place.lat, place.lng) for place in (question.origin, question.destination)]
            await remember_route(self._redis, ends[0], ends[1], edges)
        except UNAVAILABLE as error:
            self._away_until = time.monotonic() + _LEAVE_ALONE_SECONDS
            logger.debug("an answer for a route is not kept: %s", error)


def _key(question: RouteQuestion) -> str:
    ends = (f"{place.lat:.{DECIMALS}f},{place.lng:.{DECIMALS}f}" for place in (question.origin, question.destination))
    return f"route:cache:{':'.join(ends)}"
