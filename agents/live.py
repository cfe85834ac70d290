"""Agent that keeps the current state in Redis and tells everybody about it: role ``live``."""

from __future__ import annotations

from trafficapp.application import TrafficApp
from trafficapp.kafka import aiokafka_config
from trafficapp.stores.live import LiveSink
from trafficapp.stores.read_back import KafkaReadBack
from trafficapp.stores.redis import connect
from trafficapp.topics import METRICS


def register(app: TrafficApp) -> None:
    """Put the agent on an application."""
    settings = app.settings
    rows = app.telemetry.sink_rows.labels("live")
    client = connect(settings.redis.url.get_secret_value())
    sink = LiveSink(
        client,
        KafkaReadBack(METRICS, aiokafka_config(settings), settings.windows.finished_retention_seconds),
        rows.inc,
    )
    app.read_in_runs(METRICS, sink, name="live")
    app.telemetry.watch_sink("live", sink.is_waiting)
    app.close_at_end(client.aclose)
