"""Events that come by the clock: ``traffic_metrics_update`` and ``heatmap_update``.

Turns are numbered by the time since the epoch, so that all live workers agree on them; whoever takes a
turn first tells the event.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from redis.asyncio import Redis

from models.alerts import is_about_traffic
from models.cameras.registry import CameraCongestion
from models.cameras.window_rows import WindowRow
from models.events import EventName
from trafficapp.administration.registered import RegisteredCamera
from trafficapp.analytics.heatmap import CameraHeat, full_counts, heat_points, heat_span
from trafficapp.analytics.overview import is_current, overview
from trafficapp.settings import Settings
from trafficapp.stores.administration.threshold_queries import scale_in_force
from trafficapp.stores.alerts.current import CurrentAlerts
from trafficapp.stores.cameras.current import reporting_rows
from trafficapp.stores.cameras.dashboard_queries import camera_heat
from trafficapp.stores.cameras.health import unhealthy_cameras
from trafficapp.stores.cameras.registry_queries import registered
from trafficapp.stores.postgres.connection import create_pool, is_transient
from trafficapp.stores.redis.connection import UNAVAILABLE, CurrentState
from trafficapp.stores.redis.event_log import beside, emit, take_turn
from trafficapp.windows.congestion import CongestionScale

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

logger = logging.getLogger(__name__)

#: What ``heatmap_update`` covers, the same as ``GET /api/map/heatmap`` without a parameter.
HEATMAP_MINUTES = 5

_REFRESH_SECONDS = 10.0
_RETRY_SECONDS = 2.0
_AWAY_SECONDS = 1.0

_encode = msgspec.json.Encoder().encode


class Surroundings:
    """What the events need from Postgres, kept while it is away: places of cameras, thresholds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: Pool | None = None
        self.cameras: Mapping[str, RegisteredCamera] = {}
        congestion = settings.congestion
        self.scale = CongestionScale(
            moderate=congestion.threshold_moderate, high=congestion.threshold_high, severe=congestion.threshold_severe
        )

    async def refresh(self) -> None:
        """Read them.

        Raises:
            asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.connection.is_transient` tells apart.
        """
        async with create_pool(self._settings.postgres) as pool:
            await self._read(pool)

    async def keep_fresh(self) -> None:
        """Read them again and again, until cancelled."""
        async with create_pool(self._settings.postgres) as pool:
            self._pool = pool
            while True:
                try:
                    await self._read(pool)
                    pause = _REFRESH_SECONDS
                except Exception as error:
                    if not is_transient(error):
                        logger.exception("places of cameras and thresholds cannot be read; what was known stays")
                    pause = _RETRY_SECONDS
                await asyncio.sleep(pause)

    async def heat(self, now: datetime) -> list[CameraHeat]:
        """Sums of the cameras' windows of the last `HEATMAP_MINUTES`, as ``GET /api/map/heatmap`` has them.

        Raises:
            asyncpg.PostgresError, OSError: as `refresh`.
        """
        since, until = heat_span(now, HEATMAP_MINUTES)
        if self._pool is not None:
            return await camera_heat(self._pool, since, until)
        async with create_pool(self._settings.postgres) as pool:
            return await camera_heat(pool, since, until)

    async def _read(self, pool: Pool) -> None:
        cameras, _ = await registered(pool)
        scale = await scale_in_force(pool, self._settings.congestion)
        self.cameras = {camera.camera_id: camera for camera in cameras}
        self.scale = scale


class PeriodicEvents:
    """Tells the events of the clock, in turns with the other live workers.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
        settings: of this process.
        surroundings: what is not in Redis.
    """

    def __init__(self, client: Redis, settings: Settings, surroundings: Surroundings) -> None:
        self._client = client
        self._settings = settings
        self._surroundings = surroundings

    async def run(self) -> None:
        """Tell both events until cancelled."""
        events = self._settings.events
        await asyncio.gather(
            self._by_the_clock("traffic_metrics_update", events.metrics_seconds, self.metrics_update),
            self._by_the_clock("heatmap_update", events.heatmap_seconds, self.heatmap_update),
        )

    async def metrics_update(self) -> bytes:
        """The data of ``traffic_metrics_update``, rows of cameras, and beside it the city's overview."""
        active = sum(map(is_about_traffic, await CurrentAlerts(self._client).all_open()))
        state = CurrentState(self._client)
        rows = await reporting_rows(state)
        current = is_current(await state.put_at(), datetime.now(UTC))
        scale, unhealthy = self._surroundings.scale, await unhealthy_cameras(self._client)

        def encoded() -> bytes:
            city = overview(map(_congestion, rows), active, scale, current, unhealthy)
            return beside(_encode(rows), overview=_encode(city))

        return await asyncio.to_thread(encoded)

    async def heatmap_update(self) -> bytes:
        """The data of ``heatmap_update``: `models.cameras.maps.HeatPoint`, means of the last `HEATMAP_MINUTES`."""
        heat, places = await self._surroundings.heat(datetime.now(UTC)), self._surroundings.cameras
        full = full_counts(self._settings)
        return await asyncio.to_thread(lambda: _encode(heat_points(heat, places, full)))

    async def _by_the_clock(self, name: EventName, seconds: float, data: Callable[[], Awaitable[bytes]]) -> None:
        while True:
            number = int(time.time() // seconds) + 1
            await asyncio.sleep(number * seconds - time.time())
            try:
                if await take_turn(self._client, name, number):
                    await emit(self._client, name, await data(), kept_events=self._settings.events.replay_events)
            except UNAVAILABLE:
                await asyncio.sleep(_AWAY_SECONDS)  # the sinks tell that Redis is away
            except Exception as error:
                # while Postgres is away there is no mean to tell; its sinks say that it is
                if not is_transient(error):
                    logger.exception("%s cannot be told", name)


def _congestion(row: WindowRow) -> CameraCongestion:
    return msgspec.convert(row, CameraCongestion, from_attributes=True)
