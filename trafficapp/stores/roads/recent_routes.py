"""Routes that people asked for within the hour, so that a notification can say how many it concerns.

==================  =====================================================================================
``routes:asked:N``  set of what was asked in ten minutes, the N-th since the epoch: the edges of each
                    recommended route, as a JSON array. It expires an hour after these minutes began
==================  =====================================================================================

Where somebody set out and where to is not kept, and nobody is told more than a number: an origin, a destination and an
hour say who is where. What was asked is forgotten within the hour whatever is asked later, since a set takes in nothing
after its minutes.

Nothing here fails when Redis is away: a route is asked again, and a notification goes out without a number.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.redis.documents import readable

logger = logging.getLogger(__name__)

#: Seconds of a set, and after whose beginning it is gone.
SLICE_SECONDS = 600
KEPT_SECONDS = 3600

#: Routes in a set at most; what is asked beyond them is not counted.
KEPT_ROUTES = 500

_decode = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode


def slice_key(now: float) -> str:
    """The set of what is asked now, in epoch seconds."""
    return f"routes:asked:{int(now // SLICE_SECONDS)}"


async def remember_routes(redis: Redis, asked: Iterable[Sequence[str]]) -> None:
    """Note that routes were asked: the edges of the recommended one of each."""
    now = time.time()
    key = slice_key(now)
    expires = int(now // SLICE_SECONDS) * SLICE_SECONDS + KEPT_SECONDS
    try:
        free = KEPT_ROUTES - int(await redis.scard(key))
        routes = [_encode(list(edges)) for edges in asked][: max(free, 0)]
        if not routes:
            return
        pipeline = redis.pipeline(transaction=True)
        pipeline.sadd(key, *routes)
        pipeline.expireat(key, expires)
        await pipeline.execute()
    except UNAVAILABLE as error:
        logger.debug("routes are not remembered: %s", error)


class RecentRoutes:
    """The routes of the last hour, by the edges they take.

    Args:
        routes: edges of each.
    """

    def __init__(self, routes: Iterable[Sequence[str]] = ()) -> None:
        self._through: dict[str, set[int]] = defaultdict(set)
        for number, edges in enumerate(routes):
            for edge in edges:
                self._through[edge].add(number)

    def count_through(self, edges: Iterable[str]) -> int:
        """How many routes take any of these edges."""
        return len({route for edge in edges for route in self._through.get(edge, ())})


async def recent_routes(redis: Redis) -> RecentRoutes:
    """Read them, once for all notifications of a moment; none while Redis is away."""
    now = time.time()
    keys = [slice_key(now - back) for back in range(0, KEPT_SECONDS, SLICE_SECONDS)]
    try:
        members: Any = await redis.sunion(keys)
    except UNAVAILABLE as error:
        logger.warning("notifications go out without how many routes they affect: %s", error)
        return RecentRoutes()
    return RecentRoutes(readable(members, _decode, "routes that were asked for"))
