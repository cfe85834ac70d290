"""``GET /metrics/history``: finished windows of a span of time, from Postgres."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import hdrs, web

from models.timestamps import epoch_us, from_epoch_us
from models.window_rows import WindowRow, encode_window_row
from trafficapp.stores.history_queries import Position
from trafficapp.stores.history_queries import metrics_history as window_rows
from web import parameters
from web.context import CONTEXT
from web.operations import Operation, Tag
from web.problems import ProblemError
from web.shapes import Moment, Name
from web.spans import span_between

DEFAULT_SPAN = timedelta(hours=1)
DEFAULT_ROWS = 1000
MAX_ROWS = 10_000


class _Cursor(msgspec.Struct, array_like=True):
    window_start_us: int
    lane_id: Annotated[int, msgspec.Meta(ge=0, le=32_767)] | None


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Windows of a camera with ``from <= window_start < to``: without ``to`` now, without ``from`` an hour before.

    Attributes:
        camera_id: history is kept by camera.
        cursor: from the header ``Link`` of the page before.
    """

    camera_id: Name
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_ROWS)] = DEFAULT_ROWS
    cursor: str | None = None


async def metrics_history(request: web.Request, query: HistoryQuery) -> web.Response:
    """Rows of a camera in time order, camera-wide before lanes."""
    context = request.app[CONTEXT]
    span = span_between(query.from_, query.to, DEFAULT_SPAN)
    after = _position(parameters.cursor(request, _Cursor))
    page = await context.database.ask(
        lambda pool: window_rows(pool, query.camera_id, span.since, span.until, query.limit, after)
    )
    response = web.Response(body=encode_window_row(page.rows), content_type="application/json")
    if page.next_position is not None:
        window_start, lane_id = page.next_position
        place = _Cursor(epoch_us(window_start), lane_id)
        response.headers[hdrs.LINK] = parameters.next_link(request, place, span.pinned())
    return response


def _position(cursor: _Cursor | None) -> Position | None:
    if cursor is None:
        return None
    try:
        return from_epoch_us(cursor.window_start_us), cursor.lane_id
    except OverflowError:
        raise ProblemError(400, "cursor is none that an earlier answer gave") from None


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            method="GET",
            path="/metrics/history",
            view=metrics_history,
            summary="Finished windows of a camera",
            description="In time order, camera-wide before lanes.",
            tag=Tag.HISTORY,
            query_shape=HistoryQuery,
            answer=list[WindowRow],
            headers=(("Link", 'the next page: `<...>; rel="next"`'),),
            errors=(HTTPStatus.SERVICE_UNAVAILABLE,),
        )
    ]
