"""The city as a whole, as its dashboard reads it: health, figures, roads, how much is known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from models.city.realtime import (
    ApiStatus,
    Components,
    DataPoints,
    RedisComponent,
    ServiceHealth,
    SocketsComponent,
    Stats,
)
from models.city.traffic import CitySummary, RoadTraffic
from models.timestamps import rfc3339
from trafficapp.stores.city.overview import SUMMARY_KEY, CityReckoning, counts, road_key
from trafficapp.stores.redis.documents import those_in_json
from web.auth.access import Access
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError, unavailable

_encode = msgspec.json.Encoder().encode


class RoadPath(Struct, frozen=True):
    """Which road."""

    road_id: Annotated[str, Meta(min_length=1, max_length=256)]


class CityViews:
    """The views.

    Args:
        connections: how many WebSocket clients this worker has.
    """

    def __init__(self, connections: Callable[[], int]) -> None:
        self._connections = connections

    async def health(self, request: web.Request) -> web.Response:
        """Whether the API of the city can answer.

        Always 200; `degraded` while Redis does not answer. `connected` says the same as `responsive`.
        """
        answers = await self._redis_answers(request)
        found = ServiceHealth(
            service="trafficapp",
            status="healthy" if answers else "degraded",
            components=Components(RedisComponent(answers, answers), SocketsComponent(self._connections())),
            timestamp=rfc3339(time.time_ns() // 1000),
        )
        return json_answer(_encode(found))

    async def summary(self, request: web.Request) -> web.Response:
        """The city in five figures.

        `average_city_speed` (km/h) is of all roads whose speed is measured now, by their length: the speed of somebody
        who drove over each of them; null when none is. `congested_roads` are those with less than half of the speed of
        free flow. Both leave out roads that are unhealthy by `/api/quality`; `healthy_share` says which share is left.
        `total_vehicles` are connected cars and trackers that were heard in the last hour. Reckoned every five seconds.
        """
        found = await self._get(request, SUMMARY_KEY)
        if found is None:
            # nobody did for ten minutes: no worker of the role live is there, or it has only just begun
            context = request.app[CONTEXT]
            reckoning = CityReckoning(context.redis, context.settings)
            try:
                told = await from_redis(reckoning.reckon(time.time_ns() // 1000))
            except RedisAway:
                raise unavailable("Redis, which holds how traffic flows,") from None
            found = _encode(told.summary)
        return json_answer(found)

    async def road(self, request: web.Request, path: RoadPath) -> web.Response:
        """How traffic flows on a road.

        `average_speed` in km/h: as the feed measured it, or of the vehicles that are there; null when nobody knows.
        `vehicle_count` counts connected cars and trackers that were on it within the last five minutes.
        `congestion_level` is `light`, `moderate`, `heavy` or `severe`, by the share of free flow. 404 when the road was
        not observed in the last ten minutes.
        """
        found = await self._get(request, road_key(path.road_id))
        if found is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"nothing is known of the road {path.road_id!r}")
        return json_answer(found)

    async def stats(self, request: web.Request) -> web.Response:
        """How much is known, and how the API is.

        Counts are zero while Redis is away, and `redis_healthy` is false then.
        """
        vehicles = emergencies = roads = 0
        answers = True
        try:
            vehicles, emergencies, roads = await from_redis(counts(request.app[CONTEXT].redis))
        except RedisAway:
            answers = False
        found = Stats(
            data_points=DataPoints(vehicles, emergencies, roads),
            api_status=ApiStatus(self._connections(), answers),
            timestamp=rfc3339(time.time_ns() // 1000),
        )
        return json_answer(_encode(found))

    def operations(self) -> list[Operation]:
        """What these views answer."""
        return [
            Operation("GET /api/health", self.health, Tag.OPERATION, ServiceHealth, access=Access.OPEN),
            Operation("GET /api/analytics/city-summary", self.summary, Tag.CURRENT, CitySummary, errors=(503,)),
            Operation("GET /api/traffic/live/{road_id}", self.road, Tag.CURRENT, RoadTraffic, errors=(404, 503)),
            Operation("GET /api/stats", self.stats, Tag.OPERATION, Stats),
        ]

    async def _get(self, request: web.Request, key: str) -> bytes | None:
        try:
            found: Any = await from_redis(request.app[CONTEXT].redis.get(key))
        except RedisAway:
            raise unavailable("Redis, which holds how traffic flows,") from None
        documents = those_in_json([] if found is None else [bytes(found)], "what is known of the city")
        return documents[0] if documents else None

    async def _redis_answers(self, request: web.Request) -> bool:
        try:
            async with asyncio.timeout(1.0):
                return bool(await from_redis(request.app[CONTEXT].redis.ping()))
        except (RedisAway, TimeoutError):
            return False
