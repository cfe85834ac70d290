"""Readings of a weather station over time: ``/api/weather/{station}/history``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.timestamps import epoch_us
from models.weather.history import ObservedWeather
from trafficapp.stores.weather.observations import readings
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.shapes import Name
from web.serving.spans import SpanQuery

DEFAULT_SPAN = timedelta(hours=24)
DEFAULT_READINGS = 1000
MAX_READINGS = 10_000

_encode = msgspec.json.Encoder().encode


class HistoryQuery(SpanQuery, frozen=True, kw_only=True):
    """Which ones by ``from <= timestamp < to``: without ``to`` now, without ``from`` 24 hours before ``to``."""

    limit: Annotated[int, Meta(ge=1, le=MAX_READINGS)] = DEFAULT_READINGS
    cursor: str | None = None


class StationPath(Struct, frozen=True, kw_only=True):
    """A station."""

    station: Name


async def history(request: web.Request, path: StationPath, query: HistoryQuery) -> web.Response:
    """Readings of a weather station, oldest first.

    Every one with `from <= timestamp < to`, by the station's clock; by default of the last 24 hours. A station whose
    clock runs ahead has its readings there. `received_at` says when each came. A station that is not known has none.
    """
    span = query.span(DEFAULT_SPAN)
    place = parameters.cursor(request, int)
    after = None if place is None else parameters.cursor_time(place)
    station = path.station
    page = await request.app[CONTEXT].database.ask(
        lambda pool: readings(pool, station, span.since, span.until, query.limit, after)
    )
    headers: dict[str, str] = {}
    if page.next_position is not None:
        headers[hdrs.LINK] = parameters.next_link(request, epoch_us(page.next_position), span.pinned())
    return json_answer(_encode(page.rows), headers)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/weather/{station:.+}/history",
            history,
            Tag.HISTORY,
            list[ObservedWeather],
            errors=(503,),
            headers=(NEXT_PAGE,),
        )
    ]
