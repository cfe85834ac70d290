"""``/api/admin/models``: trained models with their accuracy, and which one serves."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import get_args

from aiohttp import web
from msgspec import Struct

from models.administration.trained_models import ModelVersion, Predicted, PromotedVersion
from models.timestamps import epoch_us, rfc3339
from trafficapp.forecast.artifacts.artifact import ArtifactError
from trafficapp.forecast.artifacts.fitness import fitness
from trafficapp.forecast.artifacts.registry import ModelRegistry, NotBetterError
from trafficapp.forecast.artifacts.versions import model_versions
from trafficapp.forecast.quantities import CONGESTION_SCORE, SPEED
from trafficapp.settings import Settings
from web.administration.answers import administered, answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation
from web.serving.problems import ProblemError
from web.serving.shapes import Name
from web.serving.writing import Write, write

_PREDICTED: tuple[Predicted, ...] = get_args(Predicted)


class ModelPath(Struct, frozen=True):
    """Which model."""

    predicts: Predicted
    version: Name


async def versions(request: web.Request) -> web.Response:
    """Trained models, the newest first, of roads and of cameras.

    With the error of each beside that of the best simple rule, on the last fifth of its history, which it never saw.
    Those in the folder `forecast.models_dir` of this worker, which all workers share.
    """
    settings = request.app[CONTEXT].settings
    found: list[ModelVersion] = []
    for predicts in _PREDICTED:
        try:
            found += await asyncio.to_thread(model_versions, _registry(settings, predicts), predicts)
        except ArtifactError as error:
            raise ProblemError(HTTPStatus.CONFLICT, _without_folder(settings, str(error))) from None
    return answer(found)


async def promote(request: web.Request, path: ModelPath) -> web.Response:
    """Let a model serve, from the next round of predictions on.

    409 for one that is damaged or does not fit the settings, and for one that does not beat every simple rule at every
    horizon: `detail` says where.
    """
    settings = request.app[CONTEXT].settings
    registry = _registry(settings, path.predicts)
    if path.version not in registry.candidates():
        raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no model {path.version!r} of {path.predicts}")

    async def change(under_way: Write) -> PromotedVersion:
        try:
            before = await asyncio.to_thread(registry.promotion)
            was = None if before is None else before.version
            await under_way.audit("models.promote", path.predicts, {"version": was}, {"version": path.version})
            after = await asyncio.to_thread(registry.promote, path.version)
        except (ArtifactError, NotBetterError) as error:
            raise ProblemError(HTTPStatus.CONFLICT, _without_folder(settings, str(error))) from None
        return PromotedVersion(
            predicts=path.predicts,
            version=after.version,
            promoted_at=rfc3339(epoch_us(after.promoted_at)),
            previous=list(after.previous),
        )

    written = await write(request, change)
    return answer(written.result, written.headers)


def _registry(settings: Settings, predicts: Predicted) -> ModelRegistry:
    folder = settings.forecast.models_dir
    if predicts == "cameras":
        quantity = CONGESTION_SCORE
        return ModelRegistry(folder / "cameras", fitness(quantity.step_seconds, quantity))
    return ModelRegistry(folder, fitness(settings.forecast.step_seconds, SPEED))


def _without_folder(settings: Settings, text: str) -> str:
    """Where files lie is nobody's business."""
    return text.replace(f"{settings.forecast.models_dir}/", "")


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        administered("GET /api/admin/models", versions, answer=list[ModelVersion], errors=(409,)),
        administered(
            "POST /api/admin/models/{predicts}/{version}/promote",
            promote,
            answer=PromotedVersion,
            errors=(404, 409, 503),
        ),
    ]
