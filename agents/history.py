"""Agents that keep history in Postgres: raw events, finished windows and alerts.

They run in a process of their own (role ``history``) with a consumer group of its own, so that Postgres
may be away for an hour while windows and the current state go on.
"""

from __future__ import annotations

import logging
from typing import Any

from trafficapp.engine.app import TrafficApp
from trafficapp.stores.alarms.shelves import kept_alarm_tables
from trafficapp.stores.alerts.history_sink import HistoryAlertsSink
from trafficapp.stores.cameras.events_sink import HistoryEventsSink
from trafficapp.stores.cameras.windows_sink import HistoryMetricsSink
from trafficapp.stores.feeds.refused_sink import KEPT_MINUTES
from trafficapp.stores.feeds.table import kept_tables
from trafficapp.stores.postgres.connection import create_pool, is_transient
from trafficapp.stores.postgres.retention import sweep
from trafficapp.stores.postgres.sink import HistorySink
from trafficapp.topics import ALERTS, EVENTS_RAW, METRICS

logger = logging.getLogger(__name__)

#: How long what windows give to the sums of lanes waits, so that much of it is added at once.
_SETTLE_SECONDS = 60.0


def register(app: TrafficApp) -> None:
    """Put the agents and the hourly retention sweep on an application."""
    settings = app.settings
    windows = HistoryMetricsSink(settings, should_stop=lambda: app.should_stop)
    sinks: dict[str, HistorySink[Any]] = {
        EVENTS_RAW: HistoryEventsSink(settings, should_stop=lambda: app.should_stop),
        METRICS: windows,
        ALERTS: HistoryAlertsSink(settings, should_stop=lambda: app.should_stop),
    }
    names = {EVENTS_RAW: "history_events", METRICS: "history_metrics", ALERTS: "history_alerts"}
    for topic, sink in sinks.items():
        app.read_in_runs(topic, sink, name=names[topic])
        app.telemetry.watch_sink(names[topic], sink.is_waiting)
        app.close_at_end(sink.close)

    @app.timer(interval=_SETTLE_SECONDS, on_leader=False)
    async def add_to_sums_of_lanes() -> None:
        try:
            await windows.flush()
        except Exception as error:
            if not is_transient(error):
                raise
            logger.warning("sums of lanes wait: %r", error)

    kept = [*kept_alarm_tables(settings.retention), *KEPT_MINUTES]

    async def sweep_once() -> None:
        try:
            async with create_pool(settings.postgres) as pool:
                await sweep(pool, settings.retention, [*kept_tables(app.feeds, settings), *kept])
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
