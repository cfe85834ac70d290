"""``/api/areas/{stream_id}`` and its history; the list and the socket of what is current are those of any feed."""

from __future__ import annotations

import uuid
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from models.areas.readings import Area, AreaReading
from trafficapp.stores.areas.area_queries import area, readings
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.spans import SpanQuery

DEFAULT_SPAN = timedelta(hours=24)
DEFAULT_READINGS = 1000
MAX_READINGS = 10_000

_encode = msgspec.json.Encoder().encode


class AreaPath(Struct, frozen=True, kw_only=True):
    """Which area."""

    stream_id: uuid.UUID


class HistoryQuery(SpanQuery, frozen=True, kw_only=True):
    """Which ones by ``from <= timestamp < to``: without ``to`` now, without ``from`` 24 hours before ``to``."""

    limit: Annotated[int, Meta(ge=1, le=MAX_READINGS)] = DEFAULT_READINGS
    cursor: str | None = None


async def one_area(request: web.Request, path: AreaPath) -> web.Response:
    """An area as of its newest reading, with its address.

    The address belongs to the place that the counter tells. It is completed a little after the first reading, and stays
    null until then; `address_source` says who named it, `address_distance_m` how far the named place is away.
    """
    found = await request.app[CONTEXT].database.ask(lambda pool: area(pool, path.stream_id))
    if found is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"no reading of the area {path.stream_id} is known")
    return json_answer(_encode(found))


async def history(request: web.Request, path: AreaPath, query: HistoryQuery) -> web.Response:
    """Readings of an area of a span of time, oldest first.

    Every one with `from <= timestamp < to`, each once however often it came; by default of the last 24 hours. `more`
    has the fields of this installation beyond those that all counters tell.
    """
    span = query.span(DEFAULT_SPAN)
    after = parameters.time_cursor(request)
    page = await request.app[CONTEXT].database.ask(
        lambda pool: readings(pool, path.stream_id, span.since, span.until, query.limit, after)
    )
    headers = parameters.link_behind(request, page.next_position, span.pinned())
    return json_answer(_encode(page.rows), headers)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation("GET /api/areas/{stream_id}", one_area, Tag.CURRENT, Area, errors=(404, 503)),
        Operation(
            "GET /api/areas/{stream_id}/history",
            history,
            Tag.HISTORY,
            list[AreaReading],
            errors=(503,),
            headers=(NEXT_PAGE,),
        ),
    ]
