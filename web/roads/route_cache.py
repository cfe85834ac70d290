"""Answers for routes in Redis, ``route:cache:{origin}:{destination}``, and how many routes were asked lately.

Neither delays an answer, and without Redis both are left out. An answer is kept when it is asked for again: questions
that nobody repeats, however many, take no room.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from models.roads.routes import RoutePlace, RouteQuestion
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.roads.recent_routes import remember_routes

logger = logging.getLogger(__name__)

#: Places are told apart by a metre.
DECIMALS = 5
_ANSWER_WITHIN_SECONDS = 0.25
#: After Redis did not answer, nobody waits for it again for so long.
_LEAVE_ALONE_SECONDS = 5.0
#: What is noted is gathered for so long and written at once: one by one it would cost as much as a third of a search.
_GATHER_SECONDS = 0.2
#: Notes that wait to be written, at most.
_WAITING_AT_MOST = 500
#: Questions that a worker remembers, and answers that it keeps within the time that one is kept, at most.
_REMEMBERED_AT_MOST = 10_000
_KEPT_AT_MOST = 2_000


class KeptAnswer(Struct, frozen=True):
    """An answer as it is kept.

    Attributes:
        version: of the graph and of the speeds it was found under, and what the answer says about them.
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


class _Note(NamedTuple):
    question: RouteQuestion
    edges: list[str]
    fresh: KeptAnswer | None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(KeptAnswer).decode


def rounded(place: RoutePlace) -> RoutePlace:
    """A place as it is told apart from others; without a negative zero."""
    return RoutePlace(lat=round(place.lat, DECIMALS) + 0.0, lng=round(place.lng, DECIMALS) + 0.0)


class Repeated:
    """Says which answers are worth their room: those that are asked for again soon, up to a number.

    Args:
        seconds: how long an answer is kept, and a question remembered.
        kept_at_most: answers kept within this time.
        remembered_at_most: questions remembered; the oldest are forgotten first.
    """

    def __init__(
        self, seconds: float, kept_at_most: int = _KEPT_AT_MOST, remembered_at_most: int = _REMEMBERED_AT_MOST
    ) -> None:
        self._seconds, self._kept_at_most, self._remembered_at_most = seconds, kept_at_most, remembered_at_most
        self._asked: OrderedDict[str, float] = OrderedDict()
        self._kept: OrderedDict[str, float] = OrderedDict()

    def is_worth_keeping(self, question: str, now: float) -> bool:
        """Whether to keep the answer of a question that is asked now, in monotonic seconds."""
        before = self._asked.pop(question, None)
        self._asked[question] = now
        if len(self._asked) > self._remembered_at_most:
            self._asked.popitem(last=False)
        if before is None or now - before >= self._seconds:
            return False
        while self._kept and now - next(iter(self._kept.values())) >= self._seconds:
            self._kept.popitem(last=False)
        if question not in self._kept and len(self._kept) >= self._kept_at_most:
            return False
        self._kept[question] = now
        self._kept.move_to_end(question)
        return True


class RouteCache:
    """Keeps answers.

    Args:
        redis: closed by its owner.
        seconds: how long an answer is kept; 0: not at all.
    """

    def __init__(self, redis: Redis, seconds: int) -> None:
        self._redis, self._seconds = redis, seconds
        self._repeated = Repeated(seconds)
        self._waiting: dict[str, _Note] = {}
        self._writing: asyncio.Task[None] | None = None
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
        """Remember that a route was asked, and keep a fresh answer that may be asked again; in the background."""
        if fresh is not None and not self._repeated.is_worth_keeping(_key(question), time.monotonic()):
            fresh = None
        if len(self._waiting) < _WAITING_AT_MOST:
            self._waiting[_key(question)] = _Note(question, edges, fresh)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def stop(self) -> None:
        """Wait for what is being written."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=1.0)

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(_GATHER_SECONDS)
            notes, self._waiting = self._waiting, {}
            if time.monotonic() < self._away_until:
                continue
            try:
                await self._put(notes)
            except UNAVAILABLE as error:
                self._away_until = time.monotonic() + _LEAVE_ALONE_SECONDS
                logger.debug("answers for routes are not kept: %s", error)

    async def _put(self, notes: dict[str, _Note]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for key, note in notes.items():
            if note.fresh is not None and self._seconds:
                pipeline.set(key, _encode(note.fresh), ex=self._seconds)
        await pipeline.execute()
        await remember_routes(self._redis, (note.edges for note in notes.values()))


def _key(question: RouteQuestion) -> str:
    ends = (f"{place.lat:.{DECIMALS}f},{place.lng:.{DECIMALS}f}" for place in (question.origin, question.destination))
    return f"route:cache:{':'.join(ends)}"
