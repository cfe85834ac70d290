"""``/api/admin/thresholds``: from which score on a level holds."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus

from aiohttp import web

from models.administration.changes import LevelChange, ThresholdChange, ThresholdPreview, ThresholdsInForce
from models.cameras.window_rows import decode_window_row
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.stores.administration.threshold_queries import (
    control_record,
    lock_thresholds,
    set_thresholds,
    thresholds_in_force,
)
from trafficapp.stores.redis.connection import CurrentState, camera_row_of
from trafficapp.windows.congestion import CongestionScale
from web.administration.answers import WRITE_HEADERS, administered, answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation
from web.serving.problems import ProblemError, unavailable
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
    _refuse_descending(body, HTTPStatus.UNPROCESSABLE_ENTITY)
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


async def preview(request: web.Request, query: ThresholdChange) -> web.Response:
    """What other thresholds would change.

    Takes the newest window of each camera and names the level that its score has now and would have. Nothing is set.
    """
    _refuse_descending(query, HTTPStatus.BAD_REQUEST)
    context = request.app[CONTEXT]
    try:
        rows = [decode_window_row(camera_row_of(one)) for one in await from_redis(_newest(context))]
    except RedisAway:
        raise unavailable("Redis, which holds the current state,") from None
    scale = CongestionScale(
        moderate=query.congestion_threshold_low,
        high=query.congestion_threshold_moderate,
        severe=query.congestion_threshold_high,
    )
    scored = [(row, row.congestion_score) for row in rows if row.congestion_score is not None]
    found = [
        LevelChange(
            camera_id=row.camera_id,
            congestion_score=score,
            congestion_level=row.congestion_level,
            would_be=scale.level(score),
        )
        for row, score in scored
    ]
    return answer(
        ThresholdPreview(
            cameras=len(found),
            now=Counter(one.congestion_level for one in found),
            then=Counter(one.would_be for one in found),
            changes=[one for one in found if one.congestion_level != one.would_be],
        )
    )


async def _newest(context: WebContext) -> list[bytes]:
    state = CurrentState(context.redis)
    return await state.cameras([camera_id for camera_id, _ in await state.last_seen()])


def _refuse_descending(told: ThresholdChange, status: HTTPStatus) -> None:
    """Thresholds must ascend.

    Raises:
        ProblemError: they do not.
    """
    if not told.congestion_threshold_low <= told.congestion_threshold_moderate <= told.congestion_threshold_high:
        detail = (
            "thresholds must ascend: congestion_threshold_low <= congestion_threshold_moderate "
            "<= congestion_threshold_high"
        )
        raise ProblemError(status, detail)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        administered(f"GET {PATH}", thresholds, answer=ThresholdsInForce, errors=(503,)),
        administered(f"GET {PATH}/preview", preview, answer=ThresholdPreview, errors=(503,)),
        administered(f"PUT {PATH}", replace, answer=ThresholdsInForce, errors=(422, 503), headers=WRITE_HEADERS),
    ]
