"""``GET /api/roads``: the roads of the speed feed and where they are on the road graph."""

from __future__ import annotations

from aiohttp import web

from models.roads.feed_roads import FeedRoad, encode_feed_roads
from trafficapp.stores.roads.feed_road_queries import feed_roads
from web.roads.pages import RoadsQuery
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag


async def roads_of_feed(request: web.Request, query: RoadsQuery) -> web.Response:
    """The roads of the speed feed and where they are on the road graph.

    Every road that the feed ever told of, as of its newest observation; speeds are km/h.
    """
    after = parameters.stored_id_cursor(request)
    found = await request.app[CONTEXT].database.ask(lambda pool: feed_roads(pool, after, query.limit + 1))
    shown, headers = parameters.page(request, found, query.limit, lambda road: road.road_id)
    return json_answer(encode_feed_roads(shown), headers)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation("GET /api/roads", roads_of_feed, Tag.CURRENT, list[FeedRoad], errors=(503,), headers=(NEXT_PAGE,)),
    ]
