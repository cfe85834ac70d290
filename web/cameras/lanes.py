"""``/api/analytics/lanes``: percentile speeds, flow and headway by camera and lane."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Literal

import msgspec
from aiohttp import hdrs, web

from models.cameras.lanes import LaneFigures, RangeLanes
from models.timestamps import epoch_us, rfc3339
from trafficapp.measures.lanes import LaneSums, lane_figures
from trafficapp.stores.measures.lane_queries import lane_sums
from trafficapp.windows.speed_sketch import RELATIVE_ACCURACY, add_counts
from web.feeds.forms import csv_lines
from web.guards.costs import rows_within
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Name
from web.serving.spans import SpanQuery

DEFAULT_SPAN = timedelta(hours=24)
MAX_SPAN = timedelta(days=400)
_ANSWER_WITHIN_SECONDS = 60.0
#: Lanes of a camera, to tell a price.
_LANES = 4

#: The name of the figures of all cameras together.
ALL = "*"

_encode = msgspec.json.Encoder().encode


class LanesQuery(SpanQuery, frozen=True, kw_only=True):
    """``[from, to)``: without ``to`` until now, without ``from`` 24 hours before ``to``."""

    camera_id: Name | None = None
    zone: Name | None = None
    format: Literal["json", "csv"] = "json"


async def lanes(request: web.Request, query: LanesQuery) -> web.Response:
    """Percentile speeds, flow and headway of cameras and their lanes.

    Of the windows that begin in `[from, to)`. Percentiles are at most 1 % from exact ones, whatever the range: sketches
    of windows add up. `camera_id` chooses a camera, `zone` those in a zone, given by its id or name. With `format=csv`
    the same as a table.
    """
    context = request.app[CONTEXT]
    span = query.span(DEFAULT_SPAN)
    if span.until - span.since > MAX_SPAN:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"from from to to may be {MAX_SPAN.days} days at most")
    await context.registry.need()
    chosen: Sequence[str] | None = None
    inside = await context.registry.choose(query.zone)
    if inside is not None:
        chosen = sorted(inside if query.camera_id is None else inside & {query.camera_id})
    elif query.camera_id is not None:
        chosen = [query.camera_id]
    try:
        found = await context.costly.ask(
            lambda pool: lane_sums(pool, span.since, span.until, chosen), _ANSWER_WITHIN_SECONDS
        )
    except OverflowError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the range lies beyond what a calendar holds") from None
    listed = await asyncio.to_thread(lambda: [lane_figures(sums) for sums in found])
    if query.format == "csv":
        name = f"lanes-{span.since:%Y%m%dT%H%M}-{span.until:%Y%m%dT%H%M}.csv"
        headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"'}
        return web.Response(body=_table(listed), content_type="text/csv", charset="utf-8", headers=headers)
    total = LaneSums(ALL, None)
    for sums in found:
        if sums.lane_id is None:
            total.windows += sums.windows
            total.window_us += sums.window_us
            add_counts(total.speed_counts, sums.speed_counts)
    body = RangeLanes(
        range_start=rfc3339(epoch_us(span.since)),
        range_end=rfc3339(epoch_us(span.until)),
        relative_accuracy=RELATIVE_ACCURACY,
        all_cameras=lane_figures(total),
        lanes=listed,
    )
    return json_answer(_encode(body))


def _table(listed: Sequence[LaneFigures]) -> bytes:
    names = LaneFigures.__struct_fields__
    return csv_lines([names, *([getattr(one, name) for name in names] for one in listed)])


def _price(context: WebContext, query: LanesQuery) -> float:
    """Rows: an hour of each lane, with its sketch."""
    span = query.span(DEFAULT_SPAN)
    cameras = len(context.registry.cameras) if query.camera_id is None else 1
    return rows_within(span.since, span.until, timedelta(hours=1), cameras * _LANES)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/analytics/lanes",
            lanes,
            Tag.ANALYTICS,
            RangeLanes,
            errors=(404, 503),
            other_types=("text/csv",),
            price=_price,
            apart=True,
        ),
    ]
