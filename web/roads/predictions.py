"""Predictions of roads: ``/api/predict/roads``."""

from __future__ import annotations

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Annotated, TypeVar

from aiohttp import web
from msgspec import Meta, Struct

from models.roads.predictions import RoadPrediction
from trafficapp.stores.roads.current_predictions import CurrentPredictions
from web.roads.pages import MAX_ROADS
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError, unavailable
from web.serving.shared_pages import KeyedPage, SharedPages

_Result = TypeVar("_Result")


class RoadPredictionsQuery(Struct, frozen=True, kw_only=True):
    """One road, or which roads in order of their ids."""

    # whatever a feed calls it
    road_id: Annotated[str, Meta(min_length=1, max_length=parameters.MAX_IDENTIFIER_CHARACTERS)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_ROADS)] = MAX_ROADS
    cursor: str | None = None


class RoadPredictions:
    """The view; pages are shared for a second."""

    def __init__(self) -> None:
        self._pages = SharedPages(_page)

    async def newest(self, request: web.Request, query: RoadPredictionsQuery) -> web.Response:
        """The newest prediction of one road or of every road.

        Speeds are km/h, 10, 20 and 30 minutes after `timestamp`. `low_kmh` and `high_kmh` are 80 % intervals,
        `confidences` say how likely a prediction is right within 10 % or 5 km/h; they are null where nothing is known
        of past errors. `source` says who predicted, and `note` why it was not the model. Roads of which nothing can be
        said are left out. At most a second old.
        """
        after = parameters.cursor(request, str)
        if query.road_id is not None:
            return json_answer(await _of_road(request.app[CONTEXT], query.road_id))
        return await self._pages.answer(request, after, query.limit)


async def _page(context: WebContext, after: str | None, limit: int) -> KeyedPage:
    """A page of roads.

    Raises:
        ProblemError: 503, Redis does not answer.
    """
    predictions = CurrentPredictions(context.redis)

    async def read() -> KeyedPage:
        road_ids, last = await predictions.page_of_ids(after, limit)
        return KeyedPage(b"[" + b",".join(await predictions.documents(road_ids)) + b"]", last)

    return await _ask(read())


async def _ask(answer: Awaitable[_Result]) -> _Result:
    try:
        return await from_redis(answer)
    except RedisAway:
        raise unavailable("Redis, which holds the newest predictions,") from None


async def _of_road(context: WebContext, road_id: str) -> bytes:
    found = await _ask(CurrentPredictions(context.redis).documents([road_id]))
    if not found:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"no prediction of road {road_id!r} was made in the last half hour")
    return b"[" + found[0] + b"]"


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/predict/roads",
            RoadPredictions().newest,
            Tag.CURRENT,
            list[RoadPrediction],
            errors=(404, 503),
            headers=(NEXT_PAGE,),
        ),
    ]
