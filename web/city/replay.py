"""``GET /api/replay``: a stretch of the past, for a map that plays it back."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import get_args

from aiohttp import web

from models.city.replay import Replay, ReplayPart, encode_replay
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.city.replay import MOST_ROWS
from trafficapp.stores.city.replay import replay as stored_replay
from web.auth.access import may_know_private
from web.guards.costs import rows_within
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.spans import SpanQuery

DEFAULT_SPAN, MAX_SPAN = timedelta(minutes=1), timedelta(minutes=10)
#: Thousands of vehicles every five seconds, roads and cameras beside them.
_A_ROW_EVERY = timedelta(milliseconds=1)
_PARTS: tuple[ReplayPart, ...] = get_args(ReplayPart)


class ReplayQuery(SpanQuery, frozen=True, kw_only=True):
    """Times in ``[from, to)``: without ``to`` now, without ``from`` a minute before it; ten minutes at most.

    Attributes:
        state: whether roads and cameras are led by how they were at ``from``: for the first stretch after a leap.
        parts: what is wanted beside alerts and incidents, with commas.
    """

    state: bool = True
    parts: str = ",".join(_PARTS)


async def replay(request: web.Request, query: ReplayQuery) -> web.Response:
    """What happened in a stretch of time, to be played back.

    Observations of roads, windows of cameras, places of vehicles, in order of their times, which are seconds since
    `from`; alerts and incidents that went on. To play on, ask for the next stretch with `state=false`. Connected cars
    and trackers are there for operators only, where this worker knows tokens. A part of more than 40,000 rows is named
    in `cut`: ask for a shorter stretch.
    """
    span = query.span(DEFAULT_SPAN)
    if span.until - span.since > MAX_SPAN:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, f"from {_said(span.since)} to {_said(span.until)} is more than 10 min"
        )
    parts = _parts(query.parts)
    with_cars = await may_know_private(request)
    found = await request.app[CONTEXT].costly.ask(
        lambda pool: stored_replay(
            pool, span.since, span.until, with_state=query.state, parts=parts, with_cars=with_cars
        )
    )
    return json_answer(encode_replay(found))


def _parts(told: str) -> set[ReplayPart]:
    names = {name.strip() for name in told.split(",") if name.strip()}
    if unknown := names - set(_PARTS):
        detail = f"parts may be {', '.join(_PARTS)}, not {', '.join(sorted(unknown))[:64]!r}"
        raise ProblemError(HTTPStatus.BAD_REQUEST, detail)
    return {part for part in _PARTS if part in names}


def _said(moment: datetime) -> str:
    return rfc3339(epoch_us(moment))


def _price(_: WebContext, query: ReplayQuery) -> float:
    span = query.span(DEFAULT_SPAN)
    return min(rows_within(span.since, span.until, _A_ROW_EVERY), len(_PARTS) * MOST_ROWS)


def operations() -> list[Operation]:
    """What this module answers."""
    return [Operation("GET /api/replay", replay, Tag.HISTORY, Replay, errors=(503,), price=_price, apart=True)]
