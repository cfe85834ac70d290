"""Agents that keep history in Postgres: raw events and finished windows.

They run in a process of their own (role ``history``) with a consumer group of its own, so that Postgres
may be away for an hour while windows and the current state go on.
"""

from __future__ import annotations

import logging

from trafficapp.application import TrafficApp
from trafficapp.stores.history_events import HistoryEventsSink
from trafficapp.stores.history_metrics import HistoryMetricsSink
from trafficapp.stores.postgres import create_pool, is_transient
from trafficapp.stores.retention import sweep
from trafficapp.topics import EVENTS_RAW, METRICS

logger = logging.getLogger(__name__)


def register(app: TrafficApp) -> None:
    """Put both agents and the hourly retention sweep on an application."""
    settings = app.settings
    events = HistoryEventsSink(settings, should_stop=lambda: app.should_stop)
    metrics = HistoryMetricsSink(settings, should_stop=lambda: app.should_stop)
    app.read_in_runs(EVENTS_RAW, events, name="history_events")
    app.read_in_runs(METRICS, metrics, name="history_metrics")
    app.telemetry.watch_sink("history_events", events.is_waiting)
    app.telemetry.watch_sink("history_metrics", metrics.is_waiting)
    app.close_at_end(events.close)
    app.close_at_end(metrics.close)

    async def sweep_once() -> None:
        try:
            async with create_pool(settings.postgres) as pool:
                await sweep(pool, settings.retention)
        except Exception as error:
            if not is_transient(error):
                raise
            logger.warning("the retention sweep is put off: %r", error)

    @app.task
    async def retention_at_start() -> None:
        # a timer sleeps first, and a worker may be restarted within every hour
        await sweep_once()

    @app.timer(interval=settings.retention.sweep_seconds, on_leader=False)
    async def retention() -> None:
        await sweep_once()
