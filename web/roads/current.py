"""Roads: ``/traffic/current``, how they flow now, and ``/api/roads/network``, the graph that they are on."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from aiohttp import hdrs, web

from models.roads.current import RoadNow
from models.roads.network import RoadNetwork, encode_road_network
from trafficapp.roads.graph.network import road_network
from trafficapp.roads.graph.road_graph import GraphError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from trafficapp.stores.roads.current import CurrentRoads
from trafficapp.stores.roads.queries import stored_roads
from web.roads.pages import RoadsQuery
from web.serving import parameters
from web.serving.answers import FROM_POSTGRES, MAY_BE_FROM_POSTGRES, NEXT_PAGE
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shared_pages import KeyedPage, SharedPages


@dataclass(frozen=True, slots=True)
class _Network:
    """The network as it is sent."""

    version: str
    plain: bytes
    compressed: bytes


class Roads:
    """The views; pages are shared for a second, and the network is made once."""

    def __init__(self) -> None:
        self._pages = SharedPages(_page)
        self._networks: dict[RoadSettings, asyncio.Task[_Network]] = {}

    async def current(self, request: web.Request, query: RoadsQuery) -> web.Response:
        """How every road of the speed feed flows now.

        Roads that were not observed for ten minutes are left out. Speeds are km/h, `jam_factor` is 0 (free) to 10
        (closed), `last_updated` is when the speed was measured. Nobody may drive on a `closed` road: its speed says
        nothing. `speed_from` follows from the feed's `confidence`: up to 0.5 a speed is the `speed_limit`, up to 0.7
        `historical`, else `measured`. Where they are left out, the road is open and its speed measured. `vehicles` and
        `credibility` (0 to 1) stand beside speeds that vehicles drove which were put onto the roads here; these are
        measured, however few vehicles they are of. At most a second old.
        """
        return await self._pages.answer(request, parameters.stored_id_cursor(request), query.limit)

    async def network(self, request: web.Request) -> web.Response:
        """The edges of the road graph with their lines, for maps.

        GeoJSON. The `ETag` follows from the graph; ask again with `If-None-Match`.
        """
        network = await self._network(request.app[CONTEXT].settings.roads)
        compress = "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower()
        # two representations have two tags
        tag = f"{network.version}-gzip" if compress else network.version
        known = request.if_none_match
        if known and any(entry.value in (tag, "*") for entry in known):
            response = web.Response(status=HTTPStatus.NOT_MODIFIED)
        else:
            body = network.compressed if compress else network.plain
            response = web.Response(body=body, content_type="application/geo+json")
            if compress:
                response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        response.etag = tag
        # asked anew each time, since another graph may be imported
        response.headers[hdrs.CACHE_CONTROL] = "private, no-cache"
        response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        return response

    async def _network(self, settings: RoadSettings) -> _Network:
        """The network; made in a thread by the first who asks."""
        made = self._networks.get(settings)
        if made is None:
            made = self._networks[settings] = asyncio.create_task(asyncio.to_thread(_make_network, settings))
        try:
            return await asyncio.shield(made)
        except GraphError as error:
            self._networks.pop(settings, None)
            raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no road graph: {error}") from None


async def _page(context: WebContext, after: str | None, limit: int) -> KeyedPage:
    """A page from Redis or, while it is away, from Postgres.

    Raises:
        ProblemError: 503, neither answers.
    """
    try:
        return await from_redis(_page_in_redis(CurrentRoads(context.redis), after, limit))
    except RedisAway:
        found = await context.database.ask(lambda pool: stored_roads(pool, after, limit))
        last = found[-1].road_id if len(found) == limit else None
        return KeyedPage(msgspec.json.encode(found), last, FROM_POSTGRES)


async def _page_in_redis(roads: CurrentRoads, after: str | None, limit: int) -> KeyedPage:
    road_ids, last = await roads.page_of_keys(after, limit)
    return KeyedPage(msgspec.json.encode(await roads.roads(road_ids)), last)


def _make_network(settings: RoadSettings) -> _Network:
    network = road_network(city_graph(settings))
    plain = encode_road_network(network)
    return _Network(network.graph_version, plain, gzip.compress(plain, 6, mtime=0))


def operations() -> list[Operation]:
    """What this module answers."""
    roads = Roads()
    return [
        Operation(
            "GET /traffic/current",
            roads.current,
            Tag.CURRENT,
            list[RoadNow],
            errors=(503,),
            headers=(NEXT_PAGE, MAY_BE_FROM_POSTGRES),
        ),
        Operation(
            "GET /api/roads/network",
            roads.network,
            Tag.CURRENT,
            RoadNetwork,
            content_type="application/geo+json",
            errors=(404,),
            headers=((hdrs.ETAG, "the version of the graph"),),
        ),
    ]
