"""``GET /api/simulated-spans``: which times were simulated, so that no figure of them passes as measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aiohttp import web

from models.roads.simulated_spans import SimulatedSpan, encode_simulated_spans
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.cameras.scores import simulated_within
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.spans import SpanQuery

DEFAULT_SPAN = timedelta(hours=24)

#: A live feed says something every few minutes at least; what ended longer ago is over.
GOES_ON = timedelta(minutes=15)


async def simulated_spans(request: web.Request, query: SpanQuery) -> web.Response:
    """Which times within a range hold simulated traffic.

    Spans that `trafficapp simulate` filled as history or sent live and that touch `[from, to)`, in order of their
    begin; each with its whole length. `goes_on` is true of one that reaches into the last quarter of an hour: then the
    figures of now are simulated too. Empty where everything was measured.
    """
    asked = query.span(DEFAULT_SPAN)
    found = await request.app[CONTEXT].database.ask(lambda pool: simulated_within(pool, asked.since, asked.until))
    recently = datetime.now(UTC) - GOES_ON
    spans = [
        SimulatedSpan(from_=rfc3339(epoch_us(begin)), to=rfc3339(epoch_us(end)), goes_on=end > recently)
        for begin, end in found
    ]
    return json_answer(encode_simulated_spans(spans))


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation("GET /api/simulated-spans", simulated_spans, Tag.ANALYTICS, list[SimulatedSpan], errors=(503,)),
    ]
