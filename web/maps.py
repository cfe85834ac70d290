"""``/api/map``: the heatmap and the open alerts where their cameras stand."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from models.alerts import Severity, is_about_traffic
from models.maps import HeatPoint, MapIncident, encode_map
from trafficapp.heatmap import CameraHeat, heat_points, heat_span
from trafficapp.stores.alert_queries import AlertFilter
from trafficapp.stores.dashboard_queries import camera_heat
from web.context import CONTEXT
from web.open_alerts import open_alerts
from web.operations import Operation, Tag
from web.shapes import Name
from web.shared_answers import SharedAnswers

#: Sums and the answers made of them are each kept for this long.
MAX_AGE_SECONDS = 2.5
DEFAULT_MINUTES = 5
MAX_MINUTES = 1440


class HeatmapQuery(Struct, frozen=True, kw_only=True):
    """How far back, and which zone (its id or name)."""

    minutes: Annotated[int, Meta(ge=1, le=MAX_MINUTES)] = DEFAULT_MINUTES
    zone: Name | None = None


class IncidentsQuery(Struct, frozen=True, kw_only=True):
    """Which open alerts."""

    severity: Severity | None = None
    zone: Name | None = None


class Maps:
    """The views; sums of the windows are shared for a few seconds, and so are whole answers."""

    def __init__(self) -> None:
        self._heat: SharedAnswers[int, list[CameraHeat]] = SharedAnswers(MAX_AGE_SECONDS)
        self._heatmaps: SharedAnswers[tuple[int, frozenset[str] | None], bytes] = SharedAnswers(MAX_AGE_SECONDS)

    async def heatmap(self, request: web.Request, query: HeatmapQuery) -> web.Response:
        """``GET /api/map/heatmap``: how congested the places of cameras were over the last minutes."""
        context = request.app[CONTEXT]
        await context.registry.need()
        chosen = await context.registry.choose(query.zone)

        async def sums() -> list[CameraHeat]:
            since, until = heat_span(datetime.now(UTC), query.minutes)
            return await context.database.ask(lambda pool: camera_heat(pool, since, until))

        async def points() -> bytes:
            heat = await self._heat.get(query.minutes, sums)
            among = heat if chosen is None else [camera for camera in heat if camera.camera_id in chosen]
            return encode_map(heat_points(among, context.registry.cameras))

        body = await self._heatmaps.get((query.minutes, chosen), points)
        return web.Response(body=body, content_type="application/json")


async def incidents(request: web.Request, query: IncidentsQuery) -> web.Response:
    """``GET /api/map/incidents``: open alerts whose cameras have a place, newest first."""
    context = request.app[CONTEXT]
    await context.registry.need()
    wanted = AlertFilter(severity=query.severity, camera_ids=await context.registry.choose(query.zone))
    found = await open_alerts(context)
    answer = []
    for alert in found.matching(wanted):
        place = None if alert.camera_id is None else context.registry.place(alert.camera_id)
        if alert.camera_id is not None and place is not None and is_about_traffic(alert):
            answer.append(
                MapIncident(
                    alert_id=alert.id,
                    camera_id=alert.camera_id,
                    latitude=place.latitude,
                    longitude=place.longitude,
                    severity=alert.severity,
                    alert_type=alert.alert_type,
                    title=alert.title,
                    triggered_at=alert.triggered_at,
                )
            )
    return web.Response(body=encode_map(answer), content_type="application/json", headers=found.headers)


def operations() -> list[Operation]:
    """What this module answers."""
    maps = Maps()
    return [
        Operation(
            method="GET",
            path="/api/map/heatmap",
            view=maps.heatmap,
            summary="How congested the places of cameras were over the last minutes",
            description=(
                "`weight` is the mean congestion score of a camera's windows, `vehicle_count` the mean number of "
                "vehicles in a window, rounded. Counted are the whole minutes of the clock that hold the last "
                "`minutes`, with the one under way. Cameras without a place or without any score are left out. At "
                "most 5 seconds old."
            ),
            tag=Tag.CURRENT,
            query_shape=HeatmapQuery,
            answer=list[HeatPoint],
            errors=(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
        ),
        Operation(
            method="GET",
            path="/api/map/incidents",
            view=incidents,
            summary="Open alerts where their cameras stand",
            description=(
                "Newest first. Alerts about no camera, those of cameras without a place and silent "
                "cameras are left out."
            ),
            tag=Tag.ALERTS,
            query_shape=IncidentsQuery,
            answer=list[MapIncident],
            errors=(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
            headers=(("X-Data-Source", "`postgres` while Redis is away"),),
        ),
    ]
