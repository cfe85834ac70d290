"""One vehicle of public transport: ``GET /api/transit/vehicles/{vehicle_id}``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from models.transit.vehicles import TransitVehicle
from trafficapp.feeds.decoder import LONGEST_KEY
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.transit.feeds import CURRENT_SECONDS, LIVE_VEHICLES
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError, unavailable


class VehiclePath(Struct, frozen=True):
    """Which vehicle."""

    vehicle_id: Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)]


async def vehicle(request: web.Request, path: VehiclePath) -> web.Response:
    """A vehicle of public transport as it is now.

    Where it is, how far along its route, how full; whether it is missed or has broken down. One that said nothing for
    an hour, and that nobody misses, is not known.
    """
    documents = CurrentDocuments(request.app[CONTEXT].redis, LIVE_VEHICLES)
    try:
        found = await from_redis(documents.documents([path.vehicle_id]))
    except RedisAway:
        raise unavailable("Redis, which holds what is current of vehicles,") from None
    if not found:
        said = f"vehicle {path.vehicle_id!r} said nothing in the last {CURRENT_SECONDS} s"
        raise ProblemError(HTTPStatus.NOT_FOUND, said)
    return json_answer(found[0])


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/transit/vehicles/{vehicle_id:[^/]+}",
            vehicle,
            Tag.CURRENT,
            TransitVehicle,
            errors=(404, 503),
        )
    ]
