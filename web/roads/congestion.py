"""``/api/congestion/events/{id}``: one congestion event, with the cameras that see it. The list is that of its feed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct, structs

from models.roads.congestion import CongestionEvent, decode_congestion_event
from trafficapp.congestion.cameras import cameras_on, roads_of_cameras
from trafficapp.roads.feeds import CONGESTION
from trafficapp.roads.graph.index import RoadIndex
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.roads.congestion_queries import stored_event
from web.roads.route_planning import RoutePlanning
from web.serving.answers import MAY_BE_FROM_POSTGRES, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.registry import Place

_encode = msgspec.json.Encoder().encode


class EventId(Struct, frozen=True):
    """Which event."""

    id: Annotated[str, Meta(min_length=36, max_length=36, pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class CongestionEventWithCameras(CongestionEvent, frozen=True, kw_only=True):
    """A congestion event, and who sees it.

    Attributes:
        cameras: ids of registered cameras that stand on its roads, in order.
    """

    cameras: list[str]


class CongestionViews:
    """The views.

    Args:
        planning: has the road graph that cameras are put on.
    """

    def __init__(self, planning: RoutePlanning) -> None:
        self._planning = planning

    async def one(self, request: web.Request, path: EventId) -> web.Response:
        """A congestion event, with the registered cameras on its roads.

        Of one that has ended longer ago than Redis keeps it, as it was told last. 404: there is none of this id.
        """
        context = request.app[CONTEXT]
        event = await self._event(context, path.id)
        if event is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no congestion event {path.id}")
        cameras = await self._cameras(context, event)
        return json_answer(_encode(CongestionEventWithCameras(**structs.asdict(event), cameras=cameras)))

    async def _event(self, context: WebContext, event_id: str) -> CongestionEvent | None:
        try:
            found = await from_redis(CurrentDocuments(context.redis, CONGESTION).documents([event_id]))
        except RedisAway:
            found = []
        if found:
            return decode_congestion_event(found[0])
        return await context.database.ask(lambda pool: stored_event(pool, event_id))

    async def _cameras(self, context: WebContext, event: CongestionEvent) -> list[str]:
        await context.registry.need()
        registry = context.registry
        places = {name: place for name in registry.cameras if (place := registry.place(name)) is not None}
        index, reach_m = self._planning.planner.index, context.settings.roads.match_reach_m
        return await asyncio.to_thread(_on_roads, index, places, {road.road_id for road in event.roads}, reach_m)

    def operations(self) -> list[Operation]:
        """What these views answer."""
        return [
            Operation(
                "GET /api/congestion/events/{id}",
                self.one,
                Tag.CURRENT,
                CongestionEventWithCameras,
                errors=(404, 503),
                headers=(MAY_BE_FROM_POSTGRES,),
            )
        ]


def _on_roads(index: RoadIndex, places: Mapping[str, Place], road_ids: set[str], reach_m: float) -> list[str]:
    return cameras_on(roads_of_cameras(index, places, reach_m), road_ids)
