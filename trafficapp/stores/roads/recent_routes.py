"""Routes that people asked for lately, so that a notification can say whom it concerns.

=================  ====================================================================================
``routes:recent``  sorted set, scored by when it was asked in epoch seconds: ``{"route": "lat,lng:lat,lng",
                   "edges": [...]}`` as JSON, origin and destination, and the edges of the recommended route
=================  ====================================================================================

Nothing here fails when Redis is away: a route is asked again, and a notification goes out without routes.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from trafficapp.stores.redis.connection import UNAVAILABLE

logger = logging.getLogger(__name__)

RECENT_ROUTES_KEY = "routes:recent"

#: How many routes are kept, and for how long.
KEPT_ROUTES = 500
KEPT_SECONDS = 3600

#: Routes in a notification at most: those asked last.
MOST_AFFECTED = 50

#: Places in a name, to 100 m: everybody reads the names, and nobody is to be found at his door by them.
NAME_DECIMALS = 3

#: A point as latitude and longitude, degrees.
Point = tuple[float, float]


class _Route(Struct):
    route: str
    edges: list[str]


_decode = msgspec.json.Decoder(_Route).decode
_encode = msgspec.json.Encoder().encode


def route_name(origin: Point, destination: Point) -> str:
    """How a route is called in a notification: ``lat,lng:lat,lng``, to 100 m."""
    return ":".join(
        f"{round(latitude, NAME_DECIMALS) + 0.0},{round(longitude, NAME_DECIMALS) + 0.0}"
        for latitude, longitude in (origin, destination)
    )


async def remember_routes(redis: Redis, asked: Iterable[tuple[Point, Point, Sequence[str]]]) -> None:
    """Note that routes were asked: origin, destination and the edges of the recommended one."""
    now = time.time()
    members = {_encode(_Route(route_name(one, other), list(edges))): now for one, other, edges in asked}
    pipeline = redis.pipeline(transaction=False)
    pipeline.zadd(RECENT_ROUTES_KEY, members)
    pipeline.zremrangebyrank(RECENT_ROUTES_KEY, 0, -KEPT_ROUTES - 1)
    pipeline.zremrangebyscore(RECENT_ROUTES_KEY, "-inf", now - KEPT_SECONDS)
    pipeline.expire(RECENT_ROUTES_KEY, KEPT_SECONDS)
    try:
        await pipeline.execute()
    except UNAVAILABLE as error:
        logger.debug("routes are not remembered: %s", error)


class RecentRoutes:
    """The routes of the last hour, by the edges they take.

    Args:
        routes: name and edges of each, newest first.
    """

    def __init__(self, routes: Iterable[tuple[str, Sequence[str]]] = ()) -> None:
        self._order: dict[str, int] = {}
        self._through: dict[str, set[str]] = defaultdict(set)
        for route, edges in routes:
            self._order.setdefault(route, len(self._order))
            for edge in edges:
                self._through[edge].add(route)

    def through(self, edges: Iterable[str]) -> list[str]:
        """Routes that take any of these edges, those asked last first."""
        found = {route for edge in edges for route in self._through.get(edge, ())}
        return sorted(found, key=self._order.__getitem__)[:MOST_AFFECTED]


async def recent_routes(redis: Redis) -> RecentRoutes:
    """Read them, once for all notifications of a moment; none while Redis is away."""
    since = time.time() - KEPT_SECONDS
    try:
        members: Any = await redis.zrange(
            RECENT_ROUTES_KEY, "+inf", f"({since}", desc=True, byscore=True, offset=0, num=KEPT_ROUTES
        )
    except UNAVAILABLE as error:
        logger.warning("notifications go out without the routes they affect: %s", error)
        return RecentRoutes()
    routes = []
    for member in members:
        try:
            route = _decode(member)
        except msgspec.MsgspecError as error:
            logger.warning("ignoring a member of %s: %s", RECENT_ROUTES_KEY, error)
            continue
        routes.append((route.route, route.edges))
    return RecentRoutes(routes)


async def affected_routes(redis: Redis, edges: Iterable[str]) -> list[str]:
    """Recently asked routes through edges; for many roads at once read `recent_routes` yourself."""
    return (await recent_routes(redis)).through(edges)
