"""``/api/predict/accuracy``: how good predictions of roads and of cameras were."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from aiohttp import web

from models.roads.prediction_accuracy import PredictionAccuracy
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.cameras.prediction_scores import camera_accuracy
from trafficapp.stores.roads.prediction_scores import accuracy
from web.guards.costs import rows_within
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.spans import SpanQuery

DEFAULT_SPAN = timedelta(hours=24)
#: Models and horizons that are scored, to tell the price of a question.
_SCORES_OF_A_STEP = 60


async def prediction_accuracy(request: web.Request, query: SpanQuery) -> web.Response:
    """How good predictions of roads, and of cameras and lanes, were.

    Predictions are compared with the mean speed measured in the step that they were for, two minutes after that step is
    over: of each road and step those of the last round within the step, since earlier ones are not kept.
    `last_value_mae_kmh` is what the error would have been if the mean speed of the newest step had simply stayed: a
    model that is not better is of no use. `bands` has the same by the speed that was measured. `cameras` compares
    forecasts of congestion scores, made every five minutes, with the scores of the minutes that they were for.
    """
    context = request.app[CONTEXT]
    span = query.span(DEFAULT_SPAN)
    found, newest = await context.costly.ask(lambda pool: accuracy(pool, span.since, span.until))
    cameras = await context.costly.ask(lambda pool: camera_accuracy(pool, span.since, span.until))
    step = timedelta(seconds=context.settings.forecast.step_seconds)
    body = PredictionAccuracy(
        from_=rfc3339(epoch_us(span.since)),
        to=rfc3339(epoch_us(span.until)),
        compared_to=None if newest is None else rfc3339(epoch_us(newest + step)),
        models=found,
        cameras=cameras,
    )
    return json_answer(msgspec.json.encode(body))


def operations() -> list[Operation]:
    """What this module answers."""
    accuracy = Operation("GET /api/predict/accuracy", prediction_accuracy, Tag.ROADS, PredictionAccuracy, price=_price)
    return [accuracy]


def _price(context: WebContext, query: SpanQuery) -> float:
    span, kept = query.span(DEFAULT_SPAN), timedelta(days=context.settings.retention.predictions_days)
    step = timedelta(seconds=context.settings.forecast.step_seconds)
    return rows_within(max(span.since, span.until - kept), span.until, step, _SCORES_OF_A_STEP)
