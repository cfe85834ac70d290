"""``/api/map``: the heatmap and the open alerts where their cameras stand."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from aiohttp import web
from msgspec import Meta, Struct

from models.alerts import AlertRow
from models.cameras.maps import Heatmap, HeatPoint, MapIncident, encode_map
from models.cameras.window_rows import WindowRow
from trafficapp.analytics.heatmap import CameraHeat, full_counts, heat_points, heat_span
from trafficapp.stores.alerts.queries import AlertFilter
from trafficapp.stores.cameras.current import newest_of
from trafficapp.stores.cameras.dashboard_queries import camera_heat, newest_rows
from trafficapp.stores.redis.connection import CurrentState
from web.alerts.open_alerts import open_alerts
from web.alerts.views import with_severity
from web.serving.answers import MAY_BE_FROM_POSTGRES, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.shapes import Name
from web.serving.shared_answers import SharedAnswers

#: Sums and the answers made of them are each kept for this long.
MAX_AGE_SECONDS = 2.5
#: Fields of an incident that are those of its alert, and of the newest window of its camera.
_OF_ALERT = ("road_segment", "severity", "alert_type", "title", "triggered_at")
_OF_WINDOW = ("vehicle_count", "queue_length", "avg_speed_kmh", "counts_by_class", "window_end")

DEFAULT_MINUTES = 5
MAX_MINUTES = 1440


class HeatmapQuery(Struct, frozen=True, kw_only=True):
    """How far back, and which zone (its id or name); ``format=array`` asks for the points alone."""

    minutes: Annotated[int, Meta(ge=1, le=MAX_MINUTES)] = DEFAULT_MINUTES
    format: Literal["object", "array"] = "object"
    zone: Name | None = None


class IncidentsQuery(Struct, frozen=True, kw_only=True):
    """Which open alerts.

    Attributes:
        severity: WARNING, CRITICAL or EMERGENCY; or the alert's own level, LOW, MODERATE, HIGH or SEVERE; in any case,
            and as in ``/api/alerts``. No alerts for any other word.
    """

    severity: Annotated[str, Meta(max_length=64)] | None = None
    zone: Name | None = None


class Maps:
    """The views; sums of the windows are shared for a few seconds, and so are whole answers."""

    def __init__(self) -> None:
        self._heat: SharedAnswers[int, list[CameraHeat]] = SharedAnswers(MAX_AGE_SECONDS)
        self._heatmaps: SharedAnswers[tuple[int, str, frozenset[str] | None], bytes] = SharedAnswers(MAX_AGE_SECONDS)

    async def heatmap(self, request: web.Request, query: HeatmapQuery) -> web.Response:
        """How busy and how congested the places of cameras were over the last minutes.

        Over the windows that began in the last `minutes`: `weight` is the mean number of vehicles in a window as a
        share of those that count as full (`congestion.max_count`), `intensity` the mean congestion score, null when no
        window has one. Cameras without a place are left out. At most 5 seconds old. `format=array` gives the points
        without the object around them.
        """
        context = request.app[CONTEXT]
        await context.registry.need()
        chosen = await context.registry.choose(query.zone)

        async def sums() -> list[CameraHeat]:
            since, until = heat_span(datetime.now(UTC), query.minutes)
            return await context.database.ask(lambda pool: camera_heat(pool, since, until))

        async def points() -> bytes:
            heat = await self._heat.get(query.minutes, sums)
            among = heat if chosen is None else [camera for camera in heat if camera.camera_id in chosen]
            found = heat_points(among, context.registry.cameras, full_counts(context.settings))
            return encode_map(found if query.format == "array" else Heatmap(query.minutes, found))

        body = await self._heatmaps.get((query.minutes, query.format, chosen), points)
        return json_answer(body)


async def incidents(request: web.Request, query: IncidentsQuery) -> web.Response:
    """Open alerts where their cameras stand.

    Newest first. Alerts about no camera, those of cameras without a place and silent cameras are left out.
    """
    context = request.app[CONTEXT]
    await context.registry.need()
    wanted = AlertFilter(camera_ids=await context.registry.choose(query.zone), quality=False)
    wanted = with_severity(wanted, query.severity) if query.severity else wanted
    found = await open_alerts(context)
    placed = [
        (alert, alert.camera_id)
        for alert in found.matching(wanted)
        if alert.camera_id is not None and context.registry.place(alert.camera_id)
    ]
    windows = await _newest_windows(context, {camera_id for _, camera_id in placed})
    body = encode_map([_incident(context, alert, camera_id, windows.get(camera_id)) for alert, camera_id in placed])
    return json_answer(body, found.headers)


async def _newest_windows(context: WebContext, camera_ids: Collection[str]) -> dict[str, WindowRow]:
    if not camera_ids:
        return {}
    try:
        rows = await from_redis(newest_of(CurrentState(context.redis), sorted(camera_ids)))
    except RedisAway:
        rows = await context.database.ask(lambda pool: newest_rows(pool, camera_ids))
    return {row.camera_id: row for row in rows}


def _incident(context: WebContext, alert: AlertRow, camera_id: str, window: WindowRow | None) -> MapIncident:
    place = context.registry.place(camera_id)
    assert place is not None  # noqa: S101 - only such are asked for
    level, score = alert.congestion_level, alert.congestion_score
    if level is None and window is not None:
        level, score = window.congestion_level, window.congestion_score
    return MapIncident(
        alert_id=alert.id,
        camera_id=camera_id,
        latitude=place.latitude,
        longitude=place.longitude,
        congestion_level=level,
        score=score,
        **_fields(alert, _OF_ALERT),
        **_fields(window, _OF_WINDOW),
    )


def _fields(source: AlertRow | WindowRow | None, names: Iterable[str]) -> dict[str, Any]:
    """Fields under the names that they have; None each when there is nothing that has them."""
    return {name: None if source is None else getattr(source, name) for name in names}


def operations() -> list[Operation]:
    """What this module answers."""
    maps = Maps()
    return [
        Operation("GET /api/map/heatmap", maps.heatmap, Tag.CURRENT, Heatmap | list[HeatPoint], errors=(404, 503)),
        Operation(
            "GET /api/map/incidents",
            incidents,
            Tag.ALERTS,
            list[MapIncident],
            errors=(404, 503),
            headers=(MAY_BE_FROM_POSTGRES,),
        ),
    ]
