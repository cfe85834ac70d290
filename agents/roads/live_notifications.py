"""Agent that tells everybody of notifications about roads: role ``live``."""

from __future__ import annotations

from trafficapp.engine.app import TrafficApp
from trafficapp.engine.kafka import aiokafka_config
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import KafkaReadBack
from trafficapp.stores.roads.live_notifications_sink import LiveNotificationsSink
from trafficapp.topics import CITY_PARTITIONS, NOTIFICATIONS

NAME = "live_notifications"

#: How far back an empty server is filled.
_READ_BACK_SECONDS = 86_400


def register(app: TrafficApp) -> None:
    """Put the agent on an application."""
    client = connect(app.settings.redis.url.get_secret_value())
    read_back = KafkaReadBack(NOTIFICATIONS, aiokafka_config(app.settings), _READ_BACK_SECONDS)
    sink = LiveNotificationsSink(
        client,
        read_back,
        app.telemetry.sink_rows.labels(NAME).inc,
        on_dropped=lambda reason: app.telemetry.events_dropped.labels(reason).inc(),
    )
    app.read_in_runs(NOTIFICATIONS, sink, name=NAME, partitions=CITY_PARTITIONS)
    app.telemetry.watch_sink(NAME, sink.is_waiting)
    app.close_at_end(client.aclose)
