"""``/api/admin/thresholds``: from which score on a level holds."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from models.administration.changes import ThresholdChange, ThresholdsInForce
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.stores.administration.threshold_queries import (
    control_record,
    lock_thresholds,
    set_thresholds,
    thresholds_in_force,
)
from web.administration.answers import WRITE_HEADERS, administered, answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation
from web.serving.problems import ProblemError
from web.serving.writing import Write, write

PATH = "/api/admin/thresholds"


async def thresholds(request: web.Request) -> web.Response:
    """The thresholds in force."""
    context = request.app[CONTEXT]
    congestion = context.settings.congestion
    return answer(await context.reserved.ask(lambda pool: thresholds_in_force(pool, congestion)))


async def replace(request: web.Request, body: ThresholdChange) -> web.Response:
    """Set the thresholds.

    They hold for all windows that begin at `effective_from` or later, on every worker.
    """
    if not body.congestion_threshold_low <= body.congestion_threshold_moderate <= body.congestion_threshold_high:
        detail = (
            "thresholds must ascend: congestion_threshold_low <= congestion_threshold_moderate "
            "<= congestion_threshold_high"
        )
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    settings = request.app[CONTEXT].settings
    window_us = round(settings.windows.size_seconds * MICROSECONDS_PER_SECOND)

    async def change(under_way: Write) -> ThresholdsInForce:
        await lock_thresholds(under_way.connection)
        before = await thresholds_in_force(under_way.connection, settings.congestion)
        after = await set_thresholds(under_way.connection, body, window_us, under_way.actor.name)
        await under_way.audit("thresholds.update", "thresholds", before, after)
        await under_way.tell(control_record(after))
        return after

    written = await write(request, change)
    return answer(written.result, written.headers)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        administered(f"GET {PATH}", thresholds, answer=ThresholdsInForce, errors=(503,)),
        administered(f"PUT {PATH}", replace, answer=ThresholdsInForce, errors=(422, 503), headers=WRITE_HEADERS),
    ]
