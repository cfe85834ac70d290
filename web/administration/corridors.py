"""``/api/admin/corridors``: named chains of roads, by which reliability is told."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated

from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.roads.measures import Corridor, NewCorridor
from trafficapp.measures.corridors import NotAChain, chain
from trafficapp.stores.roads import corridor_queries
from trafficapp.stores.roads.pace_queries import measured_roads, network_of
from web.administration.answers import PAGE_HEADERS, WRITE_HEADERS, administered, answer, creating
from web.serving import parameters
from web.serving.context import CONTEXT
from web.serving.operations import Operation
from web.serving.problems import ProblemError
from web.serving.writing import Write, write

PATH = "/api/admin/corridors"


class CorridorPath(Struct, frozen=True):
    """Which corridor."""

    id: Annotated[int, Meta(ge=1, le=parameters.LARGEST_ID)]


class CorridorsQuery(Struct, frozen=True):
    """Which corridors, in order of their ids."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    cursor: str | None = None


async def corridors(request: web.Request, query: CorridorsQuery) -> web.Response:
    """All corridors."""
    context = request.app[CONTEXT]
    cursor = parameters.cursor(request, parameters.IdCursor)
    after = 0 if cursor is None else cursor.id
    found = await context.reserved.ask(lambda pool: corridor_queries.corridors_page(pool, query.limit + 1, after))
    shown, headers = parameters.page(request, found, query.limit, lambda one: parameters.IdCursor(one.id))
    return answer(shown, headers)


async def one(request: web.Request, path: CorridorPath) -> web.Response:
    """A corridor."""
    found = await request.app[CONTEXT].reserved.ask(lambda pool: corridor_queries.corridor(pool, path.id))
    if found is None:
        raise unknown(path.id)
    return answer(found)


async def create(request: web.Request, body: NewCorridor) -> web.Response:
    """Make a corridor.

    `road_ids` are roads of the speed feed in driving direction. Each must be known, and begin on the road graph where
    the one before it ends. To change a corridor, delete it and make it anew.
    """
    if not body.name.strip():
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "name must have more than blanks")
    network = await network_of(request.app[CONTEXT].settings.roads)

    async def change(under_way: Write) -> Corridor:
        known = await measured_roads(under_way.connection, network, body.road_ids)
        try:
            await asyncio.to_thread(chain, body.road_ids, known)
        except NotAChain as error:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"road_ids: {error}") from None
        made = await corridor_queries.insert_corridor(under_way.connection, body.name, body.description, body.road_ids)
        if made is None:
            raise ProblemError(HTTPStatus.CONFLICT, f"another corridor has the name {body.name!r}")
        await under_way.audit("corridors.create", f"corridor {made.id}", after=made)
        return made

    written = await write(request, change)
    headers = written.headers | {hdrs.LOCATION: f"{PATH}/{written.result.id}"}
    return answer(written.result, headers, HTTPStatus.CREATED)


async def delete(request: web.Request, path: CorridorPath) -> web.Response:
    """Delete a corridor."""

    async def change(under_way: Write) -> None:
        before = await corridor_queries.delete_corridor(under_way.connection, path.id)
        if before is None:
            raise unknown(path.id)
        await under_way.audit("corridors.delete", f"corridor {path.id}", before)

    written = await write(request, change)
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=written.headers)


def unknown(corridor_id: int) -> ProblemError:
    """There is no such corridor."""
    return ProblemError(HTTPStatus.NOT_FOUND, f"there is no corridor {corridor_id}")


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        administered(f"GET {PATH}", corridors, answer=list[Corridor], errors=(503,), headers=PAGE_HEADERS),
        creating(f"POST {PATH}", create, Corridor, "corridor"),
        administered(f"GET {PATH}/{{id}}", one, answer=Corridor, errors=(404, 503)),
        administered(
            f"DELETE {PATH}/{{id}}", delete, status=HTTPStatus.NO_CONTENT, errors=(404, 503), headers=WRITE_HEADERS
        ),
    ]
