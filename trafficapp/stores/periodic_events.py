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
from models.cameras import CameraCongestion
from models.events import EventName
from trafficapp.congestion import SCORE_DECIMALS, CongestionScale
from trafficapp.heatmap import CameraHeat, full_counts, heat_points
from trafficapp.overview import is_current, overview
from trafficapp.settings import Settings
from trafficapp.stores.current_alerts import CurrentAlerts
from trafficapp.stores.current_windows import reporting_cameras
from trafficapp.stores.live_events import emit, take_turn
from trafficapp.stores.postgres import create_pool, is_transient
from trafficapp.stores.redis import UNAVAILABLE, CurrentState
from trafficapp.stores.registry_queries import RegisteredCamera, registered
from trafficapp.stores.threshold_queries import scale_in_force

if TYPE_CHECKING:
    from trafficapp.stores.postgres import Pool

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 10.0
_RETRY_SECONDS = 2.0
_AWAY_SECONDS = 1.0

_encode = msgspec.json.Encoder().encode


class Surroundings:
    """What the events need from Postgres, kept while it is away: places of cameras, thresholds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.cameras: Mapping[str, RegisteredCamera] = {}
        congestion = settings.congestion
        self.scale = CongestionScale(
            moderate=congestion.threshold_moderate, high=congestion.threshold_high, severe=congestion.threshold_severe
        )

    async def refresh(self) -> None:
        """Read them.

        Raises:
            asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.is_transient` tells apart.
        """
        async with create_pool(self._settings.postgres) as pool:
            await self._read(pool)

    async def keep_fresh(self) -> None:
        """Read them again and again, until cancelled."""
        async with create_pool(self._settings.postgres) as pool:
            while True:
                try:
                    await self._read(pool)
                    pause = _REFRESH_SECONDS
                except Exception as error:
                    if not is_transient(error):
                        logger.exception("places of cameras and thresholds cannot be read; what was known stays")
                    pause = _RETRY_SECONDS
                await asyncio.sleep(pause)

    async def _read(self, pool: Pool) -> None:
        cameras, _ = await registered(pool)
        scale = await scale_in_force(pool, self._settings.congestion)
        self.cameras = {camera.camera_id: camera for camera in cameras}
        self.scale = scale


class PeriodicEvents:
    """Tells the events of the clock, in turns with the other live workers.

    Args:
        client: from `trafficapp.stores.redis.connect`.
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
        """The data of ``traffic_metrics_update``: a `models.overview.CityOverview`."""
        active = sum(map(is_about_traffic, await CurrentAlerts(self._client).all_open()))
        state = CurrentState(self._client)
        rows = await reporting_cameras(state)
        current = is_current(await state.put_at(), datetime.now(UTC))
        scale = self._surroundings.scale
        return await asyncio.to_thread(lambda: _encode(overview(rows, active, scale, current)))

    async def heatmap_update(self) -> bytes:
        """The data of ``heatmap_update``: a list of `models.maps.HeatPoint`, each of a camera's newest window."""
        rows, places = await reporting_cameras(CurrentState(self._client)), self._surroundings.cameras
        full = full_counts(self._settings)
        return await asyncio.to_thread(lambda: _encode(heat_points(map(_heat, rows), places, full)))

    async def _by_the_clock(self, name: EventName, seconds: float, data: Callable[[], Awaitable[bytes]]) -> None:
        while True:
            number = int(time.time() // seconds) + 1
            await asyncio.sleep(number * seconds - time.time())
            try:
                if await take_turn(self._client, name, number):
                    await emit(self._client, name, await data(), kept_events=self._settings.events.replay_events)
            except UNAVAILABLE:
                await asyncio.sleep(_AWAY_SECONDS)  # the sinks tell that Redis is away
            except Exception:
                logger.exception("%s cannot be told", name)


def _heat(row: CameraCongestion) -> CameraHeat:
    score = row.congestion_score
    return CameraHeat(
        camera_id=row.camera_id,
        windows=1,
        vehicles=row.vehicle_count,
        scored=0 if score is None else 1,
        score_e4=0 if score is None else round(score * 10**SCORE_DECIMALS),
        last_window=row.window_end,
    )
