"""``/api/dashboard``: the city in some numbers, and the newest detections."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from models.alerts import is_about_traffic
from models.cameras.dashboard import DashboardSummary, RecentDetection, encode_dashboard
from models.cameras.registry import CameraCongestion
from models.timestamps import epoch_us, rfc3339
from trafficapp.analytics.overview import CURRENT_WITHIN_SECONDS, is_current, level_counts, overview, worst_camera
from trafficapp.stores.administration.threshold_queries import scale_in_force
from trafficapp.stores.alerts.queries import triggered_since
from trafficapp.stores.cameras.current import reporting_cameras
from trafficapp.stores.cameras.dashboard_queries import city_means, newest_windows
from trafficapp.stores.cameras.event_queries import recent_detections
from trafficapp.stores.cameras.health import unhealthy_cameras
from trafficapp.stores.redis.connection import CurrentState
from trafficapp.windows.congestion import CongestionScale
from web.alerts.open_alerts import open_alerts
from web.serving.answers import FROM_POSTGRES, MAY_BE_FROM_POSTGRES, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shared_answers import SharedAnswers

MAX_AGE_SECONDS = 1.0
MAX_DETECTIONS = 100
DEFAULT_DETECTIONS = 10

_INCIDENTS_OF = timedelta(hours=24)
_MEANS_OVER = timedelta(minutes=5)
#: The summary does not wait longer than this for what only Postgres knows.
_POSTGRES_WITHIN_SECONDS = 3.0


class EventsQuery(Struct, frozen=True):
    """How many detections."""

    limit: Annotated[int, Meta(ge=1, le=MAX_DETECTIONS)] = DEFAULT_DETECTIONS


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    headers: Mapping[str, str]


class Dashboard:
    """The views; what they answer is shared for a second."""

    def __init__(self) -> None:
        self._summary: SharedAnswers[None, _Answer] = SharedAnswers(MAX_AGE_SECONDS)
        self._detections: SharedAnswers[None, list[RecentDetection]] = SharedAnswers(MAX_AGE_SECONDS)

    async def summary(self, request: web.Request) -> web.Response:
        """The city in some numbers.

        Speed, score and level are of the newest windows of all cameras that are at most a minute behind the newest of
        them; each camera weighs as many times as it saw vehicles. They are those of the event `traffic_metrics_update`.
        `total_incidents_24h` and the means of five minutes are null while Postgres is away, the others where nothing is
        known, as when no window came for two minutes. Cameras that are not to be believed (`/api/quality`) are left
        out of all but the means of five minutes; `healthy_share` says how many of those that report are not left out.
        Silent cameras count neither among incidents nor among active alerts. At most a second old.
        """
        context = request.app[CONTEXT]
        answer = await self._summary.get(None, lambda: _summary(context))
        return json_answer(answer.body, answer.headers)

    async def events(self, request: web.Request, query: EventsQuery) -> web.Response:
        """The newest detections.

        Of those stored last the ones with the newest times, newest first. At most a second old.
        """
        database = request.app[CONTEXT].database

        async def newest() -> list[RecentDetection]:
            return await database.ask(lambda pool: recent_detections(pool, MAX_DETECTIONS))

        detections = await self._detections.get(None, newest)
        return json_answer(encode_dashboard(detections[: query.limit]))


async def _summary(context: WebContext) -> _Answer:
    now = datetime.now(UTC)
    (windows, current, window_headers), alerts, incidents, scale, (speed_kmh, score), unhealthy = await asyncio.gather(
        _current_windows(context),
        open_alerts(context),
        _incidents(context),
        _scale(context),
        _means(context, now),
        _unhealthy(context),
    )
    active = sum(map(is_about_traffic, alerts.rows))
    # the same figures as in the event traffic_metrics_update
    city = overview(windows, active, scale, current, unhealthy)
    active_cameras = [row for row in city.cameras if row.camera_id not in unhealthy] if current else []
    summary = DashboardSummary(
        total_incidents_24h=incidents,
        avg_speed_kmh=city.avg_speed_kmh,
        overall_congestion_level=city.overall_congestion_level,
        overall_congestion_score=city.overall_congestion_score,
        active_alerts=city.active_alerts,
        last_updated=city.last_updated,
        generated_at=rfc3339(epoch_us(now)),
        average_speed_kmh=city.avg_speed_kmh,
        average_speed_kmh_5m=speed_kmh,
        average_congestion_score_5m=score,
        total_cameras_active=len(active_cameras),
        total_vehicles_last_window=sum(row.vehicle_count for row in active_cameras),
        congestion_breakdown=level_counts(active_cameras),
        worst_camera=worst_camera(active_cameras),
        healthy_share=city.healthy_share if current else None,
    )
    return _Answer(encode_dashboard(summary), {**window_headers, **alerts.headers})


async def _current_windows(context: WebContext) -> tuple[list[CameraCongestion], bool, Mapping[str, str]]:
    """The newest window of each camera that is up to date, whether they speak of now, and headers of the answer."""
    try:
        windows, current = await from_redis(_reporting(CurrentState(context.redis)))
    except RedisAway:
        within = timedelta(seconds=CURRENT_WITHIN_SECONDS)
        return await context.database.ask(lambda pool: newest_windows(pool, within)), True, FROM_POSTGRES
    return windows, current, {}


async def _reporting(state: CurrentState) -> tuple[list[CameraCongestion], bool]:
    windows = await reporting_cameras(state)
    return windows, is_current(await state.put_at(), datetime.now(UTC))


async def _unhealthy(context: WebContext) -> frozenset[str]:
    """Cameras that are not to be believed; none while Redis, which knows them, is away."""
    try:
        return await from_redis(unhealthy_cameras(context.redis))
    except RedisAway:
        return frozenset()


async def _incidents(context: WebContext) -> int | None:
    since = datetime.now(UTC) - _INCIDENTS_OF
    try:
        return await context.database.ask(lambda pool: triggered_since(pool, since), _POSTGRES_WITHIN_SECONDS)
    except ProblemError:
        return None  # unknown while Postgres is away; the rest is known


async def _means(context: WebContext, now: datetime) -> tuple[float | None, float | None]:
    try:
        return await context.database.ask(
            lambda pool: city_means(pool, now - _MEANS_OVER, now), _POSTGRES_WITHIN_SECONDS
        )
    except ProblemError:
        return None, None


async def _scale(context: WebContext) -> CongestionScale:
    """The thresholds in force; those of the settings while Postgres is away."""
    settings = context.settings.congestion
    try:
        return await context.database.ask(lambda pool: scale_in_force(pool, settings), _POSTGRES_WITHIN_SECONDS)
    except ProblemError:
        return CongestionScale(
            moderate=settings.threshold_moderate, high=settings.threshold_high, severe=settings.threshold_severe
        )


def operations() -> list[Operation]:
    """What this module answers."""
    dashboard = Dashboard()
    return [
        Operation(
            "GET /api/dashboard/summary",
            dashboard.summary,
            Tag.CURRENT,
            DashboardSummary,
            errors=(503,),
            headers=(MAY_BE_FROM_POSTGRES,),
        ),
        Operation("GET /api/dashboard/events", dashboard.events, Tag.CURRENT, list[RecentDetection], errors=(503,)),
    ]
