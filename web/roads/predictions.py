"""Predictions of roads: ``/api/predict/roads``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.roads.predictions import RoadPrediction
from trafficapp.roads.feeds import PREDICTED
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.connection import UNAVAILABLE
from web.serving import parameters
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError, unavailable
from web.serving.shared_answers import SharedAnswers

MAX_ROADS = 10_000
MAX_AGE_SECONDS = 1.0
ANSWER_WITHIN_SECONDS = 2.0


class RoadPredictionsQuery(Struct, frozen=True, kw_only=True):
    """One road, or which roads in order of their ids."""

    # whatever a feed calls it
    road_id: Annotated[str, Meta(min_length=1, max_length=parameters.MAX_IDENTIFIER_CHARACTERS)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_ROADS)] = MAX_ROADS
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of roads; `last` is the id behind which the next one begins."""

    body: bytes
    last: str | None


class RoadPredictions:
    """The view; pages are shared for a second."""

    def __init__(self) -> None:
        self._pages: SharedAnswers[tuple[str | None, int], _Page] = SharedAnswers(MAX_AGE_SECONDS)

    async def newest(self, request: web.Request, query: RoadPredictionsQuery) -> web.Response:
        """``GET /api/predict/roads``: the newest prediction of one road or of every road."""
        context = request.app[CONTEXT]
        after = parameters.cursor(request, str)
        if query.road_id is not None:
            return _answer(await _of_road(context, query.road_id))
        page = await self._pages.get((after, query.limit), lambda: _page(context, after, query.limit))
        response = _answer(page.body)
        if page.last is not None:
            response.headers[hdrs.LINK] = parameters.next_link(request, page.last)
        return response


async def _page(context: WebContext, after: str | None, limit: int) -> _Page:
    """A page of roads.

    Raises:
        ProblemError: 503, Redis does not answer.
    """
    predictions = CurrentDocuments(context.redis, PREDICTED)
    try:
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            rest = [road_id for road_id in await predictions.keys() if after is None or road_id > after]
            found = await predictions.documents(rest[:limit])
    except UNAVAILABLE:
        raise unavailable("Redis, which holds the newest predictions,") from None
    return _Page(b"[" + b",".join(found) + b"]", rest[limit - 1] if len(rest) > limit else None)


async def _of_road(context: WebContext, road_id: str) -> bytes:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            found = await CurrentDocuments(context.redis, PREDICTED).documents([road_id])
    except UNAVAILABLE:
        raise unavailable("Redis, which holds the newest predictions,") from None
    if not found:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"no prediction of road {road_id!r} was made in the last half hour")
    return b"[" + found[0] + b"]"


def _answer(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            method="GET",
            path="/api/predict/roads",
            view=RoadPredictions().newest,
            summary="The newest prediction of one road or of every road",
            description=(
                "Speeds are km/h, 10, 20 and 30 minutes after `timestamp`. `low_kmh` and `high_kmh` are 80 % "
                "intervals, `confidences` say how likely a prediction is right within 10 % or 5 km/h; they are null "
                "where nothing is known of past errors. `source` says who predicted, and `note` why it was not the "
                "model. Roads of which nothing can be said are left out. At most a second old."
            ),
            tag=Tag.CURRENT,
            query_shape=RoadPredictionsQuery,
            answer=list[RoadPrediction],
            errors=(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
            headers=((hdrs.LINK, 'the next page: `<...>; rel="next"`'),),
        ),
    ]
