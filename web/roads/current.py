"""Roads: ``/traffic/current``, how they flow now, and ``/api/roads/network``, the graph that they are on."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.roads.current import RoadNow
from models.roads.network import RoadNetwork, encode_road_network
from trafficapp.roads.graph.network import road_network
from trafficapp.roads.graph.road_graph import GraphError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.roads.current import CurrentRoads
from trafficapp.stores.roads.queries import stored_roads
from web.serving import parameters
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shared_answers import SharedAnswers

MAX_ROADS = 10_000
MAX_AGE_SECONDS = 1.0
ANSWER_WITHIN_SECONDS = 2.0

_FROM_POSTGRES = {"X-Data-Source": "postgres"}


class RoadsQuery(Struct, frozen=True, kw_only=True):
    """Which roads, in order of their ids."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ROADS)] = MAX_ROADS
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of roads; `last` is the id behind which the next one begins."""

    body: bytes
    last: str | None
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Network:
    """The network as it is sent."""

    version: str
    plain: bytes
    compressed: bytes


class Roads:
    """The views; pages are shared for a second, and the network is made once."""

    def __init__(self) -> None:
        self._pages: SharedAnswers[tuple[str | None, int], _Page] = SharedAnswers(MAX_AGE_SECONDS)
        self._networks: dict[RoadSettings, asyncio.Task[_Network]] = {}

    async def current(self, request: web.Request, query: RoadsQuery) -> web.Response:
        """``GET /traffic/current``: how every road of the feed flows now."""
        context = request.app[CONTEXT]
        after = parameters.cursor(request, str)
        if after is not None and "\0" in after:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "cursor is none that an earlier answer gave")
        page = await self._pages.get((after, query.limit), lambda: _page(context, after, query.limit))
        headers = dict(page.headers)
        if page.last is not None:
            headers[hdrs.LINK] = parameters.next_link(request, page.last)
        return web.Response(body=page.body, content_type="application/json", headers=headers)

    async def network(self, request: web.Request) -> web.Response:
        """``GET /api/roads/network``: the edges of the road graph with their lines."""
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


async def _page(context: WebContext, after: str | None, limit: int) -> _Page:
    """A page from Redis or, while it is away, from Postgres.

    Raises:
        ProblemError: 503, neither answers.
    """
    try:
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            roads = CurrentRoads(context.redis)
            rest = [road_id for road_id in await roads.keys() if after is None or road_id > after]
            found = await roads.roads(rest[:limit])
    except UNAVAILABLE:
        found = await context.database.ask(lambda pool: stored_roads(pool, after, limit))
        last = found[-1].road_id if len(found) == limit else None
        return _Page(msgspec.json.encode(found), last, _FROM_POSTGRES)
    return _Page(msgspec.json.encode(found), rest[limit - 1] if len(rest) > limit else None, {})


def _make_network(settings: RoadSettings) -> _Network:
    network = road_network(city_graph(settings))
    plain = encode_road_network(network)
    return _Network(network.graph_version, plain, gzip.compress(plain, 6, mtime=0))


def operations() -> list[Operation]:
    """What this module answers."""
    roads = Roads()
    return [
        Operation(
            method="GET",
            path="/traffic/current",
            view=roads.current,
            summary="How every road of the speed feed flows now",
            description=(
                "Roads that were not observed for ten minutes are left out. Speeds are km/h, `jam_factor` is 0 (free) "
                "to 10 (closed), `last_updated` is when the speed was measured. Nobody may drive on a `closed` road: "
                "its speed says nothing. `speed_from` follows from the feed's `confidence`: up to 0.5 a speed is the "
                "`speed_limit`, up to 0.7 `historical`, else `measured`. Where they are left out, the road is open and "
                "its speed measured. At most a second old."
            ),
            tag=Tag.CURRENT,
            query_shape=RoadsQuery,
            answer=list[RoadNow],
            errors=(HTTPStatus.SERVICE_UNAVAILABLE,),
            headers=(
                (hdrs.LINK, 'the next page: `<...>; rel="next"`'),
                ("X-Data-Source", "`postgres` while Redis is away"),
            ),
        ),
        Operation(
            method="GET",
            path="/api/roads/network",
            view=roads.network,
            summary="The edges of the road graph with their lines, for maps",
            description="GeoJSON. The `ETag` follows from the graph; ask again with `If-None-Match`.",
            tag=Tag.CURRENT,
            answer=RoadNetwork,
            content_type="application/geo+json",
            errors=(HTTPStatus.NOT_FOUND,),
            headers=((hdrs.ETAG, "the version of the graph"),),
        ),
    ]
