"""``/api/admin/zones``: parts of the city, by which lists are filtered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

import asyncpg
import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, Meta, Struct

from models.administration.changes import NewZone, Point, Zone, ZoneChange
from trafficapp.administration.zones import LonLat, NotAnArea, closed_ring
from trafficapp.stores.administration import zone_queries
from web.administration.answers import PAGE_HEADERS, WRITE_HEADERS, administered, answer, creating
from web.serving import parameters
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation
from web.serving.problems import ProblemError
from web.serving.writing import Write, write

PATH = "/api/admin/zones"


class ZonePath(Struct, frozen=True):
    """Which zone."""

    id: Annotated[int, Meta(ge=1, le=parameters.LARGEST_ID)]


class ZonesQuery(Struct, frozen=True):
    """Which zones, in order of their ids."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    cursor: str | None = None


async def zones(request: web.Request, query: ZonesQuery) -> web.Response:
    """All zones."""
    context = request.app[CONTEXT]
    cursor = parameters.cursor(request, parameters.IdCursor)
    after = 0 if cursor is None else cursor.id
    found = await context.reserved.ask(lambda pool: zone_queries.zones_page(pool, query.limit + 1, after))
    shown, headers = parameters.page(request, found, query.limit, lambda zone: parameters.IdCursor(zone.id))
    await context.registry.need()
    return answer([_counted(context, zone) for zone in shown], headers)


async def one(request: web.Request, path: ZonePath) -> web.Response:
    """A zone."""
    context = request.app[CONTEXT]
    zone = await context.reserved.ask(lambda pool: zone_queries.zone(pool, path.id))
    if zone is None:
        raise _unknown(path.id)
    await context.registry.need()
    return answer(_counted(context, zone))


async def create(request: web.Request, body: NewZone) -> web.Response:
    """Make a zone.

    The server closes the ring. It must not cross or touch itself.
    """
    _check_name(body.name)
    ring = await _ring(body.coordinates)

    async def change(under_way: Write) -> Zone:
        zone = await zone_queries.insert_zone(under_way.connection, body.name, body.description, ring)
        if zone is None:
            raise _taken(body.name)
        under_way.changes_registry = True
        await under_way.audit("zones.create", f"zone {zone.id}", after=zone)
        await _tell(under_way, request, zone)
        return zone

    written = await write(request, change)
    zone = _counted(request.app[CONTEXT], written.result)
    return answer(zone, written.headers | {hdrs.LOCATION: f"{PATH}/{zone.id}"}, HTTPStatus.CREATED)


async def replace(request: web.Request, path: ZonePath, body: ZoneChange) -> web.Response:
    """Change a zone.

    What is left out stays as it is.
    """
    if body.name is not UNSET:
        _check_name(body.name)
    ring = None if body.coordinates is UNSET else await _ring(body.coordinates)

    async def change(under_way: Write) -> Zone:
        before = await zone_queries.zone(under_way.connection, path.id, for_update=True)
        if before is None:
            raise _unknown(path.id)
        name = before.name if body.name is UNSET else body.name
        description = before.description if body.description is UNSET else body.description
        places = [(point.lon, point.lat) for point in before.coordinates] if ring is None else ring
        try:
            zone = await zone_queries.update_zone(under_way.connection, path.id, name, description, places)
        except asyncpg.UniqueViolationError:
            raise _taken(name) from None
        under_way.changes_registry = True
        await under_way.audit("zones.update", f"zone {path.id}", before, zone)
        await _tell(under_way, request, zone)
        return zone

    written = await write(request, change)
    return answer(_counted(request.app[CONTEXT], written.result), written.headers)


async def delete(request: web.Request, path: ZonePath) -> web.Response:
    """Delete a zone."""

    async def change(under_way: Write) -> None:
        before = await zone_queries.delete_zone(under_way.connection, path.id)
        if before is None:
            raise _unknown(path.id)
        under_way.changes_registry = True
        await under_way.audit("zones.delete", f"zone {path.id}", before)
        await _tell(under_way, request, before, is_deleted=True)

    written = await write(request, change)
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=written.headers)


async def _tell(under_way: Write, request: web.Request, zone: Zone, *, is_deleted: bool = False) -> None:
    """Tell the rules of vehicles, which have zones as fences, where a city has that."""
    settings = request.app[CONTEXT].settings
    if settings.fleet.geofences:
        record = await zone_queries.fence_record(under_way.connection, zone, settings, is_deleted=is_deleted)
        await under_way.tell(record)


def _counted(context: WebContext, zone: Zone) -> Zone:
    inside = context.registry.cameras_in(str(zone.id))
    return msgspec.structs.replace(zone, cameras=0 if inside is None else len(inside))


async def _ring(points: Sequence[Point]) -> list[LonLat]:
    try:
        # thousands of points take a while
        return await asyncio.to_thread(closed_ring, [(point.lon, point.lat) for point in points])
    except NotAnArea as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"coordinates: {error}") from None


def _check_name(name: str) -> None:
    if not name.strip():
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "name must have more than blanks")
    if name.isascii() and name.isdigit():
        detail = "name must not be a number only: lists are asked for by zone=, which takes an id or a name"
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _unknown(zone_id: int) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"there is no zone {zone_id}")


def _taken(name: str) -> ProblemError:
    return ProblemError(HTTPStatus.CONFLICT, f"another zone has the name {name!r}")


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        administered(f"GET {PATH}", zones, answer=list[Zone], errors=(503,), headers=PAGE_HEADERS),
        creating(f"POST {PATH}", create, Zone, "zone"),
        administered(f"GET {PATH}/{{id}}", one, answer=Zone, errors=(404, 503)),
        administered(f"PUT {PATH}/{{id}}", replace, answer=Zone, errors=(404, 409, 422, 503), headers=WRITE_HEADERS),
        administered(
            f"DELETE {PATH}/{{id}}", delete, status=HTTPStatus.NO_CONTENT, errors=(404, 503), headers=WRITE_HEADERS
        ),
    ]
