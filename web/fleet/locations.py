"""Where vehicles are now: ``GET /api/vehicles/locations`` for maps, and all that is known of each."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.fleet.positions import VehicleLocation, VehiclePosition
from trafficapp.fleet.feeds import LOCATED, POSITIONS
from trafficapp.stores.fleet.newest import Position, newest_documents
from trafficapp.stores.redis.documents import readable
from web.feeds.listing import MAX_DOCUMENTS, DocumentPages
from web.feeds.views import ListQuery
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import unavailable
from web.serving.shared_answers import SharedAnswers
from web.serving.shared_pages import MAX_AGE_SECONDS

DEFAULT_LOCATIONS = 100

_WHAT = "where vehicles are"
_decode = msgspec.json.Decoder(VehicleLocation).decode
_encode = msgspec.json.Encoder().encode


class _Cursor(Struct, array_like=True):
    seconds: float
    vehicle_id: str


class LocationsQuery(Struct, frozen=True, kw_only=True):
    """How many vehicles."""

    limit: Annotated[int, Meta(ge=1, le=MAX_DOCUMENTS)] = DEFAULT_LOCATIONS
    cursor: str | None = None


class FleetViews:
    """The views; what many ask for is shared for a second."""

    def __init__(self) -> None:
        self._pages = DocumentPages(POSITIONS, _WHAT)
        self._shared: SharedAnswers[tuple[Position | None, int], tuple[bytes, Position | None]] = SharedAnswers(
            MAX_AGE_SECONDS
        )

    async def locations(self, request: web.Request, query: LocationsQuery) -> web.Response:
        """Where vehicles are, the newest first.

        One entry for each connected car and tracker that was heard in the last hour, by the times that they say
        themselves. `speed` in km/h, `direction` in degrees clockwise from north. At most one second old.
        """
        place = parameters.cursor(request, _Cursor)
        after = None if place is None else (place.seconds, place.vehicle_id)
        context = request.app[CONTEXT]
        body, last = await self._shared.get((after, query.limit), lambda: _locations(context, query.limit, after))
        response = json_answer(body)
        if last is not None:
            response.headers[hdrs.LINK] = parameters.next_link(request, _Cursor(*last))
        return response

    async def vehicles(self, request: web.Request, query: ListQuery) -> web.Response:
        """All that is known of vehicles.

        Connected cars and trackers that were heard in the last hour, in order of their ids; `key` asks for one. What
        both feeds of a device said last stands in `feeds`. At most one second old.
        """
        after = parameters.cursor(request, str)
        if query.key is not None:
            missing = f"nothing was heard of vehicle {query.key!r} in the last {LOCATED.seconds} s"
            return await self._pages.one(request, query.key, missing)
        return await self._pages.page(request, after, query.limit)

    def operations(self) -> list[Operation]:
        """What this module answers."""
        return [
            Operation(
                "GET /api/vehicles/locations",
                self.locations,
                Tag.CURRENT,
                list[VehicleLocation],
                errors=(503,),
                headers=(NEXT_PAGE,),
            ),
            Operation(
                "GET /api/fleet/vehicles",
                self.vehicles,
                Tag.CURRENT,
                list[VehiclePosition],
                errors=(404, 503),
                headers=(NEXT_PAGE,),
            ),
        ]


async def _locations(context: WebContext, limit: int, after: Position | None) -> tuple[bytes, Position | None]:
    try:
        documents, last = await from_redis(newest_documents(context.redis, LOCATED, limit, after))
    except RedisAway:
        raise unavailable(f"Redis, which holds {_WHAT},") from None
    return _encode(readable(documents, _decode, POSITIONS.name)), last
