"""``GET /api/alerts/export``: alerts as a streamed CSV file.

The file is made in pieces of a few hundred lines, each asked of Postgres when the client has taken the one
before: memory stays the same however long the file is, and a client that reads slowly holds neither a
connection to Postgres nor a transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from aiohttp import hdrs, web
from msgspec import Meta

from models.alerts import EXPORTED_COLUMNS
from trafficapp.stores.alerts.queries import AlertFilter, AlertsPage, Position, end_of_page
from trafficapp.stores.alerts.queries import alerts as stored_alerts
from web.alerts.views import SpanQuery, link, span_filter
from web.feeds.forms import csv_lines
from web.serving import parameters
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.pieces import send_in_pieces

#: As many as that come unless fewer are wanted: a file that ends early without a word would be taken for whole.
MAX_ALERTS = 500_000

COLUMNS = EXPORTED_COLUMNS

_ROWS_AT_ONCE = 500
#: Nobody else is answered while lines are written.
_LINES_AT_ONCE = 100


class ExportQuery(SpanQuery, frozen=True, kw_only=True):
    """The alerts of a file."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ALERTS)] = MAX_ALERTS
    cursor: str | None = None


async def export(request: web.Request, query: ExportQuery) -> web.StreamResponse:
    """Alerts of a span of time as a CSV file, newest first.

    A header line, then a line for each alert: `id`, `severity`, `alert_type`, `camera_id`, `road_segment`, `title`,
    `message`, `congestion_level`, `congestion_score`, `triggered_at`, `resolved_at`, `acknowledged_by`,
    `acknowledged_at`. RFC 4180, UTF-8. The file is streamed; when something fails in the middle, the connection is cut,
    so that half a file is never taken for a whole one. Where a spreadsheet could take free text for a formula, whatever
    it separates cells by, an apostrophe stands before it. When there are more alerts than `limit`, the header `Link`
    leads on.
    """
    context = request.app[CONTEXT]
    wanted = await span_filter(context, query)
    after = parameters.time_cursor(request)
    last = await context.costly.ask(lambda pool: end_of_page(pool, wanted, query.limit, after))
    # asked before the answer begins: what fails here is still told as a problem
    page = await _page(context, wanted, after, last)
    response = web.StreamResponse(headers=link(request, wanted, last))
    response.content_type, response.charset = "text/csv", "utf-8"
    response.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{_file_name(wanted)}"'
    pieces = _pieces(context, wanted, page, last)
    return await send_in_pieces(request, response, pieces, "an export of alerts")


async def _pieces(
    context: WebContext, wanted: AlertFilter, page: AlertsPage, last: Position | None
) -> AsyncIterator[bytes]:
    yield csv_lines([COLUMNS])
    while True:
        for first in range(0, len(page.rows), _LINES_AT_ONCE):
            yield csv_lines(
                [getattr(row, name) for name in COLUMNS] for row in page.rows[first : first + _LINES_AT_ONCE]
            )
        if page.next_position is None:
            return
        page = await _page(context, wanted, page.next_position, last)


async def _page(context: WebContext, wanted: AlertFilter, after: Position | None, last: Position | None) -> AlertsPage:
    return await context.costly.ask(lambda pool: stored_alerts(pool, wanted, _ROWS_AT_ONCE, after, last))


def _file_name(wanted: AlertFilter) -> str:
    def stamp(moment: datetime | None) -> str:
        return "" if moment is None else f"{moment:%Y%m%dT%H%M%SZ}"

    return f"alerts_{stamp(wanted.since)}_{stamp(wanted.until)}.csv"


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/alerts/export",
            export,
            Tag.ALERTS,
            content_type="text/csv",
            errors=(404, 503),
            streamed=True,
            apart=True,
            headers=(("Link", 'the alerts behind the last one of this file: `<...>; rel="next"`'),),
        )
    ]
