"""Predictions of roads: ``/api/predict/roads``."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from models.roads.predictions import RoadPrediction
from trafficapp.roads.feeds import PREDICTED
from web.feeds.listing import DocumentPages
from web.roads.pages import MAX_ROADS
from web.serving import parameters
from web.serving.answers import NEXT_PAGE
from web.serving.operations import Operation, Tag


class RoadPredictionsQuery(Struct, frozen=True, kw_only=True):
    """One road, or which roads in order of their ids."""

    # whatever a feed calls it
    road_id: Annotated[str, Meta(min_length=1, max_length=parameters.MAX_IDENTIFIER_CHARACTERS)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_ROADS)] = MAX_ROADS
    cursor: str | None = None


class RoadPredictions:
    """The view; pages are shared for a second."""

    def __init__(self) -> None:
        self._pages = DocumentPages(PREDICTED, "the newest predictions")

    async def newest(self, request: web.Request, query: RoadPredictionsQuery) -> web.Response:
        """The newest prediction of one road or of every road.

        Speeds are km/h, 10, 20 and 30 minutes after `timestamp`. `low_kmh` and `high_kmh` are 80 % intervals,
        `confidences` say how likely a prediction is right within 10 % or 5 km/h; they are null where nothing is known
        of past errors. `source` says who predicted, and `note` why it was not the model. Roads of which nothing can be
        said are left out. At most a second old.
        """
        after = parameters.cursor(request, str)
        if query.road_id is not None:
            missing = f"no prediction of road {query.road_id!r} was made in the last half hour"
            return await self._pages.one(request, query.road_id, missing)
        return await self._pages.page(request, after, query.limit)


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
