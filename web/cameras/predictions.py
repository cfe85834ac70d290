"""``GET /api/predict/congestion``: how congested a camera and its lanes will be, minute by minute."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, NamedTuple

from aiohttp import web
from msgspec import Meta, Struct

from models.cameras.predictions import CameraForecast, CongestionStep, LaneCongestion, encode_camera_forecast
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.forecast.artifacts.shipped import camera_model
from trafficapp.forecast.artifacts.shipped_cameras import why_foreign
from trafficapp.forecast.camera_serving import MINUTES_NEEDED, CameraPredictor, MinuteAhead, PredictedCameras
from trafficapp.forecast.cameras import ScoreWindow, window_of
from trafficapp.stores.administration.threshold_queries import scale_in_force
from trafficapp.stores.cameras.scores import camera_scores
from trafficapp.windows.congestion import SCORE_DECIMALS, CongestionScale
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Name
from web.serving.shared_answers import SharedAnswers

if TYPE_CHECKING:
    from trafficapp.settings import Settings
    from trafficapp.stores.postgres.connection import Pool

#: The last windows of a minute come some seconds after it is over; within this time everybody has them.
MAX_AGE_SECONDS = 15.0

_STEP_SECONDS = 60
#: The history that is read for all who ask: what is looked back on, and all that somebody may ask for.
_READ_MINUTES = max(MINUTES_NEEDED, 120)


class PredictQuery(Struct, frozen=True, kw_only=True):
    """Which camera, how far ahead, and how far back to look for its scores."""

    camera_id: Name
    horizon_minutes: Annotated[int, Meta(ge=1, le=30)] = 10
    lookback_minutes: Annotated[int, Meta(ge=1, le=120)] = 15


class _History(NamedTuple):
    """What cameras scored, and what names the levels of scores."""

    window: ScoreWindow
    scale: CongestionScale


@dataclass(frozen=True, slots=True)
class _Predicted:
    """All cameras, or None without a model; `why` there is none. `shipped`: by the model of the demo's cameras."""

    cameras: PredictedCameras | None
    scale: CongestionScale
    generated_at: str
    why: str | None
    shipped: bool


class CameraPredictions:
    """The view. History and predictions are those of all cameras, shared by all who ask within the minute.

    Args:
        settings: of this process.
    """

    def __init__(self, settings: Settings) -> None:
        self._model = camera_model(settings)
        self._predictor = CameraPredictor(self._model)
        self._histories: SharedAnswers[int, _History] = SharedAnswers(MAX_AGE_SECONDS)
        self._predictions: SharedAnswers[tuple[int, int], _Predicted] = SharedAnswers(MAX_AGE_SECONDS)

    async def congestion(self, request: web.Request, query: PredictQuery) -> web.Response:
        """How congested a camera and its lanes will be.

        The mean congestion score of every coming minute. `low` and `high` hold four of five of them. The model predicts
        each of the next ten minutes and 15, 20 and 30 minutes ahead; between those lies a line. Rules that were as near
        in the last hour, or nearer, have shares in it: `model` and `weights` of a step say who, `note` says why. A
        camera or lane without a score for three minutes gets what is usual at this time of day, and `source` and `note`
        say so. 404
        when the camera has no score within `lookback_minutes`, is not among the cameras of the model, or only has the
        name of one of the shipped model's and stands elsewhere; 503 when there is no model.
        """
        context = request.app[CONTEXT]
        # the newest minute that is over
        last_time = int(time.time()) // _STEP_SECONDS * _STEP_SECONDS - _STEP_SECONDS
        minutes = query.lookback_minutes
        predicted = await self._predictions.get(
            (last_time, minutes), lambda: self._predict(context, last_time, minutes)
        )
        if predicted.shipped:
            await self._check_camera(context, predicted, query.camera_id)
        return json_answer(encode_camera_forecast(_answer(predicted, query)))

    async def _predict(self, context: WebContext, last_time: int, minutes: int) -> _Predicted:
        history = await self._histories.get(last_time, lambda: _read(context, last_time, _READ_MINUTES))
        cameras = await asyncio.to_thread(self._predictor.predict, history.window, minutes)
        now = rfc3339(time.time_ns() // 1_000_000 * 1000)
        shipped = cameras is not None and cameras.forecast.model_version == self._model.shipped_version
        return _Predicted(cameras, history.scale, now, self._predictor.refusal, shipped)

    async def _check_camera(self, context: WebContext, predicted: _Predicted, camera_id: str) -> None:
        """Refuse a camera that only has the name of one that the shipped model knows.

        Raises:
            ProblemError: 404, it is another one; 503, Postgres was never there to ask where it stands.
        """
        cameras = predicted.cameras
        if cameras is None or camera_id not in cameras.known:
            return
        await context.registry.need()
        if why := why_foreign(camera_id, context.registry.camera(camera_id)):
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                f"camera {camera_id!r} is not the camera of this name in Bologna that the shipped model "
                f"{cameras.forecast.model_version} was trained on: {why}; `trafficapp train --what cameras` makes a "
                "model of your own cameras",
            )


async def _read(context: WebContext, last_time: int, minutes: int) -> _History:
    until = datetime.fromtimestamp(last_time + _STEP_SECONDS, UTC)

    async def ask(pool: Pool) -> _History:
        rows = await camera_scores(pool, until - timedelta(minutes=minutes), until)
        scale = await scale_in_force(pool, context.settings.congestion)
        return _History(window_of(rows, last_time, minutes), scale)

    return await context.database.ask(ask)


def _answer(predicted: _Predicted, query: PredictQuery) -> CameraForecast:
    """What is said of a camera.

    Raises:
        ProblemError: 404 or 503, nothing can be said.
    """
    camera_id, cameras = query.camera_id, predicted.cameras
    if cameras is None:
        why = "none is promoted" if predicted.why is None else predicted.why
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, f"there is no model of cameras: {why}")
    if camera_id not in cameras.known:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            f"camera {camera_id!r} is not among the cameras of the model {cameras.forecast.model_version}; "
            "a model that is trained now would know it",
        )
    samples = cameras.samples(camera_id)
    if not samples:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            f"camera {camera_id!r} has no congestion score within the last {query.lookback_minutes} minutes",
        )

    def steps(entity: str) -> list[CongestionStep]:
        return [_step(cameras, entity, one, predicted.scale) for one in cameras.ahead(entity, query.horizon_minutes)]

    return CameraForecast(
        camera_id=camera_id,
        model=cameras.model(camera_id),
        horizon_minutes=query.horizon_minutes,
        step_seconds=cameras.step_seconds,
        history_samples=samples,
        generated_at=predicted.generated_at,
        forecast=steps(camera_id),
        lanes=[
            LaneCongestion(number, cameras.model(lane), cameras.source(lane), steps(lane))
            for number, lane in cameras.lanes(camera_id).items()
        ],
        source=cameras.source(camera_id),
        note=cameras.note(camera_id),
    )


def _step(cameras: PredictedCameras, entity: str, ahead: MinuteAhead, scale: CongestionScale) -> CongestionStep:
    score, minutes = round(ahead.score, SCORE_DECIMALS), ahead.step * cameras.step_seconds / 60
    return CongestionStep(
        step=ahead.step,
        predicted_at=rfc3339(ahead.time * MICROSECONDS_PER_SECOND),
        congestion_score=score,
        congestion_level=scale.level(score),
        low=_rounded(ahead.low),
        high=_rounded(ahead.high),
        model=cameras.model_ahead(entity, minutes),
        weights=cameras.weights(entity, minutes),
    )


def _rounded(value: float) -> float | None:
    return round(value, SCORE_DECIMALS) if math.isfinite(value) else None


def operations(settings: Settings) -> list[Operation]:
    """What this module answers."""
    views = CameraPredictions(settings)
    return [
        Operation("GET /api/predict/congestion", views.congestion, Tag.CURRENT, CameraForecast, errors=(404, 503)),
    ]
