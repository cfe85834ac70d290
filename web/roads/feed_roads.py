"""``GET /api/roads``: the roads of the speed feed and where they are on the road graph."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.roads.feed_roads import FeedRoad, encode_feed_roads
from trafficapp.stores.roads.feed_road_queries import feed_roads
from web.serving import parameters
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag, operation
from web.serving.problems import ProblemError

MAX_ROADS = 10_000


class FeedRoadsQuery(Struct, frozen=True, kw_only=True):
    """Which roads, in order of their ids."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ROADS)] = MAX_ROADS
    cursor: str | None = None


async def roads_of_feed(request: web.Request, query: FeedRoadsQuery) -> web.Response:
    """The roads of the speed feed and where they are on the road graph.

    Every road that the feed ever told of, as of its newest observation; speeds are km/h.
    """
    after = parameters.cursor(request, str)
    if after is not None and "\0" in after:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "cursor is none that an earlier answer gave")
    found = await request.app[CONTEXT].database.ask(lambda pool: feed_roads(pool, after, query.limit + 1))
    page = found[: query.limit]
    headers = {hdrs.LINK: parameters.next_link(request, page[-1].road_id)} if len(found) > query.limit else {}
    return web.Response(body=encode_feed_roads(page), content_type="application/json", headers=headers)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        operation(
            "GET /api/roads",
            roads_of_feed,
            Tag.CURRENT,
            list[FeedRoad],
            errors=(503,),
            headers=((hdrs.LINK, 'the next page: `<...>; rel="next"`'),),
        ),
    ]
