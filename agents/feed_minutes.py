"""How much comes in and what is refused of it, minute by minute, in Postgres: role ``history``."""

from __future__ import annotations

import asyncio
import logging

from aiokafka.errors import KafkaError

from trafficapp.engine.app import TrafficApp
from trafficapp.incoming import incoming_feeds
from trafficapp.stores.feeds.minutes import FeedMinutes
from trafficapp.stores.feeds.refused_sink import RefusedSink
from trafficapp.stores.postgres.connection import create_pool, is_transient
from trafficapp.topics import DEAD_LETTERS

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 30.0


def register(app: TrafficApp) -> None:
    """Put the sink of dead letters and the look at offsets on an application."""
    settings = app.settings
    sink = RefusedSink(settings, should_stop=lambda: bool(app.should_stop))
    app.read_in_runs(DEAD_LETTERS, sink, name="history_refusals")
    app.telemetry.watch_sink("history_refusals", sink.is_waiting)
    app.close_at_end(sink.close)
    minutes = FeedMinutes(settings, list(dict.fromkeys(one.topic for one in incoming_feeds(settings, app.feeds))))

    @app.task
    async def count_what_comes_in() -> None:
        async with create_pool(settings.postgres) as pool:
            while not app.should_stop:
                try:
                    await minutes.look(pool)
                except (KafkaError, OSError) as error:
                    logger.info("what comes in cannot be counted now: %r", error)
                except Exception as error:
                    # the sinks beside us tell that Postgres is away
                    if not is_transient(error):
                        logger.exception("what comes in cannot be counted")
                await asyncio.sleep(_LOOK_SECONDS)
