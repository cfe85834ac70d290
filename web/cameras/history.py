"""``GET /metrics/history``: finished windows of a span of time, from Postgres.

Without ``limit`` the answer is the whole span, however long: what is more than some thousands of rows is sent in
pieces, each asked of Postgres when the client has taken the one before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from aiohttp import hdrs, web

from models.cameras.window_rows import WindowRow, encode_window_row
from models.timestamps import epoch_us
from trafficapp.stores.cameras.history_queries import MetricsPage, Position, step_that_fits
from trafficapp.stores.cameras.history_queries import metrics_history as window_rows
from web.guards.costs import rows_within
from web.serving import parameters
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.pieces import send_in_pieces
from web.serving.shapes import Moment, Name
from web.serving.spans import Span, span_between

DEFAULT_SPAN = timedelta(hours=1)
#: Rows of a page, and of an answer that nobody asked to thin.
MAX_ROWS = 10_000

Step = Literal["5s", "1m", "5m", "1h"]
#: By their lengths, the finest first.
STEPS: dict[timedelta, Step] = {
    timedelta(seconds=5): "5s",
    timedelta(minutes=1): "1m",
    timedelta(minutes=5): "5m",
    timedelta(hours=1): "1h",
}
_LENGTHS = {name: length for length, name in STEPS.items()}

STEP_HEADER = "X-Step"

#: Rows of a window with those of its lanes, to tell the price of a question.
_LANES = 5


class _Cursor(msgspec.Struct, array_like=True):
    window_start_us: int
    lane_id: Annotated[int, msgspec.Meta(ge=0, le=32_767)] | None


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Windows of a camera with ``from <= window_start < to``: without ``to`` now, without ``from`` an hour before.

    Attributes:
        camera_id: history is kept by camera.
        lanes: the rows of lanes, too, behind that of the whole camera.
        step: only the first window of each step.
        limit: rows of a page; without it the answer is the whole span.
        cursor: from the header ``Link`` of the page before.
    """

    camera_id: Name
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    lanes: bool = False
    step: Step | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_ROWS)] | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which windows."""

    context: WebContext
    camera_id: str
    span: Span
    lanes: bool
    step: timedelta | None

    async def page(self, limit: int, after: Position | None) -> MetricsPage:
        """So many rows behind a place."""
        since, until = self.span.since, self.span.until
        return await self.context.costly.ask(
            lambda pool: window_rows(pool, self.camera_id, since, until, limit, after, lanes=self.lanes, step=self.step)
        )


async def metrics_history(request: web.Request, query: HistoryQuery) -> web.StreamResponse:
    """Finished windows of a camera.

    Camera-wide rows, oldest first, all of the span; with `lanes=true` those of lanes as well, behind that of their
    camera. `step` keeps the first window of each step as it is, with its lanes. Without `step` and `limit` a span of
    more than 10,000 rows is thinned to the finest step that leaves no more, which the header `X-Step` names; it is
    never cut at its end. With `limit` it comes in pages.
    """
    context = request.app[CONTEXT]
    span = span_between(query.from_, query.to, DEFAULT_SPAN)
    place = parameters.cursor(request, _Cursor)
    after = None if place is None else (parameters.cursor_time(place.window_start_us), place.lane_id)
    paged = query.limit is not None or after is not None
    step = None if query.step is None else _LENGTHS[query.step]
    if step is None and not paged:
        step = await context.costly.ask(
            lambda pool: step_that_fits(
                pool, query.camera_id, span.since, span.until, [*STEPS], MAX_ROWS, lanes=query.lanes
            )
        )
    wanted = _Wanted(context, query.camera_id, span, query.lanes, step)
    # asked before the answer begins: what fails here is still told as a problem
    page = await wanted.page(query.limit or MAX_ROWS, after)
    headers: dict[str, str] = {} if step is None else {STEP_HEADER: STEPS[step]}
    if page.next_position is None or paged:
        if page.next_position is not None:
            window_start, lane_id = page.next_position
            end = _Cursor(epoch_us(window_start), lane_id)
            headers[hdrs.LINK] = parameters.next_link(request, end, span.pinned())
        return json_answer(encode_window_row(page.rows), headers)
    response = web.StreamResponse(headers=headers)
    response.content_type, response.charset = "application/json", "utf-8"
    return await send_in_pieces(request, response, _pieces(wanted, page), "a history")


def _price(context: WebContext, query: HistoryQuery) -> float:
    """What is read before the answer begins: a page, or every window where it is to be seen which step fits."""
    if query.limit is not None:
        return 0.0  # as any list
    if query.cursor is not None or query.step == "5s":
        return MAX_ROWS
    return _rows(context, query)


def _is_long(context: WebContext, query: HistoryQuery) -> bool:
    """Whether the answer may be sent in pieces."""
    whole = query.limit is None and query.cursor is None and query.step is not None
    return whole and _rows(context, query) > MAX_ROWS


def _rows(context: WebContext, query: HistoryQuery) -> float:
    """Windows of the span, or the steps of it that are asked for."""
    span = span_between(query.from_, query.to, DEFAULT_SPAN)
    kept = timedelta(days=context.settings.retention.metrics_days)
    every = timedelta(seconds=context.settings.windows.size_seconds) if query.step is None else _LENGTHS[query.step]
    since = max(span.since, datetime.now(UTC) - kept)
    return rows_within(since, span.until, every, _LANES if query.lanes else 1)


async def _pieces(wanted: _Wanted, page: MetricsPage) -> AsyncIterator[bytes]:
    begin = b"["
    while True:
        yield begin + encode_window_row(page.rows)[1:-1]
        if page.next_position is None:
            break
        page, begin = await wanted.page(MAX_ROWS, page.next_position), b","
    yield b"]"


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /metrics/history",
            metrics_history,
            Tag.HISTORY,
            list[WindowRow],
            errors=(503,),
            price=_price,
            is_long=_is_long,
            apart=True,
            headers=(
                (hdrs.LINK, 'with `limit`, the next page: `<...>; rel="next"`'),
                (STEP_HEADER, "the step of which each window is the first; not there when nothing was left out"),
            ),
        )
    ]
