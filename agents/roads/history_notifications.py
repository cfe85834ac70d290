"""Agent that keeps notifications about roads in Postgres: role ``history``."""

from __future__ import annotations

from trafficapp.engine.app import TrafficApp
from trafficapp.stores.roads.notifications_sink import HistoryNotificationsSink
from trafficapp.topics import CITY_PARTITIONS, NOTIFICATIONS

NAME = "history_notifications"


def register(app: TrafficApp) -> None:
    """Put the agent on an application."""
    sink = HistoryNotificationsSink(app.settings, should_stop=lambda: app.should_stop)
    app.read_in_runs(NOTIFICATIONS, sink, name=NAME, partitions=CITY_PARTITIONS)
    app.telemetry.watch_sink(NAME, sink.is_waiting)
    app.close_at_end(sink.close)
