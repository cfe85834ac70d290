"""``/api/alarms/handover``: what whoever takes over a shift has to know."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import msgspec
from aiohttp import web
from msgspec import Struct

from models.alarms import Handover
from trafficapp.stores.alarms.handover import handover as stored_handover
from web.guards.costs import rows_within
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Moment

#: A shift.
DEFAULT_SPAN = timedelta(hours=8)
LONGEST_SPAN = timedelta(days=7)

_ALARMS_OF_A_MINUTE = 3


class HandoverQuery(Struct, frozen=True, kw_only=True):
    """Since when; without it the last 8 hours."""

    since: Moment | None = None


async def handover(request: web.Request, query: HandoverQuery) -> web.Response:
    """What whoever takes over a shift has to know.

    What stands now; what was raised, acknowledged and cleared since; what is and was shelved, suppressed and folded;
    what was written about alerts; sources that are out of order; congestion events that go on. Seven days at most.
    """
    context = request.app[CONTEXT]
    now = datetime.now(UTC)
    since = _since(query, now)
    alarms = context.settings.alarms
    found = await context.costly.ask(lambda pool: stored_handover(pool, since, now, alarms))
    return json_answer(await asyncio.to_thread(msgspec.json.encode, found))


def _since(query: HandoverQuery, now: datetime) -> datetime:
    since = now - DEFAULT_SPAN if query.since is None else query.since.time
    if not timedelta() < now - since <= LONGEST_SPAN:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "since must lie in the last 7 days")
    return since


def _price(_: WebContext, query: HandoverQuery) -> float:
    now = datetime.now(UTC)
    return rows_within(_since(query, now), now, timedelta(minutes=1), _ALARMS_OF_A_MINUTE)


def operations() -> list[Operation]:
    """What this module answers."""
    return [Operation("GET /api/alarms/handover", handover, Tag.ALERTS, Handover, errors=(400, 503), price=_price)]
