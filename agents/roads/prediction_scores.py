"""Compares predictions of roads and of cameras with what came, every minute: role ``history``."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from trafficapp.engine.app import TrafficApp
from trafficapp.engine.history_telemetry import AccuracyTelemetry
from trafficapp.stores.cameras.prediction_scores import CameraComparer
from trafficapp.stores.postgres.connection import create_pool, is_transient
from trafficapp.stores.roads.prediction_scores import PredictionComparer, accuracy

logger = logging.getLogger(__name__)

_TURN_SECONDS = 60.0

#: Between two chunks of a long past, so that catching up leaves room to the sinks.
_PAUSE_SECONDS = 0.2
_TURNS_A_DAY = round(86_400 / _TURN_SECONDS)


def register(app: TrafficApp) -> None:
    """Put the comparison on an application."""
    telemetry = AccuracyTelemetry(app.telemetry.registry)
    comparer, of_cameras = PredictionComparer(app.settings), CameraComparer(app.settings)

    @app.task
    async def compare_predictions() -> None:
        turn = 0
        async with create_pool(app.settings.postgres) as pool:
            while not app.should_stop:
                try:
                    await comparer.compare(pool, lambda: asyncio.sleep(_PAUSE_SECONDS))
                    await of_cameras.compare(pool)
                    now = datetime.now(UTC)
                    found, _ = await accuracy(pool, now - timedelta(hours=1), now)
                    telemetry.show(found)
                    if turn % _TURNS_A_DAY == 0:
                        await comparer.forget_old(pool)
                        await of_cameras.forget_old(pool)
                    turn += 1
                except Exception as error:
                    # the sinks beside us tell that Postgres is away
                    if not is_transient(error):
                        logger.exception("predictions cannot be compared with what came")
                await asyncio.sleep(_TURN_SECONDS)
