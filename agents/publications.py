"""Tells what writes through the API left untold: role ``history``.

The process that writes tells it by itself; what is left over is that of a process that died, or of a
time when Kafka or Redis was away.
"""

from __future__ import annotations

import asyncio
import logging

from trafficapp.engine.app import TrafficApp
from trafficapp.stores.administration.threshold_queries import retell_thresholds
from trafficapp.stores.administration.zone_queries import retell_fences
from trafficapp.stores.postgres.connection import create_pool, is_transient
from trafficapp.stores.postgres.publications import Publisher
from trafficapp.stores.redis.connection import connect

logger = logging.getLogger(__name__)

_SWEEP_SECONDS = 2.0


def register(app: TrafficApp) -> None:
    """Put the sweep on an application. At its start thresholds and zones are told again, for new partitions."""
    settings = app.settings
    redis = connect(settings.redis.url.get_secret_value())
    publisher = Publisher(app.outbox, redis, settings.events.replay_events)
    app.close_at_end(redis.aclose)

    @app.task
    async def tell_left_over() -> None:
        retold = False
        async with create_pool(settings.postgres) as pool:
            while not app.should_stop:
                try:
                    if not retold:
                        await retell_thresholds(pool)
                        if settings.fleet.geofences:
                            await retell_fences(pool, settings)
                        retold = True
                    while await publisher.sweep(pool):
                        pass
                except Exception as error:
                    # the sinks beside us tell that Postgres is away
                    if not is_transient(error):
                        logger.exception("publications that were left over cannot be told")
                await asyncio.sleep(_SWEEP_SECONDS)
