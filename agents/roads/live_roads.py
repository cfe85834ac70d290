"""Agent that keeps the newest observation of every road in Redis: role ``live``."""

from __future__ import annotations

from trafficapp.engine.app import TrafficApp
from trafficapp.engine.kafka import aiokafka_config
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import KafkaReadBack
from trafficapp.stores.roads.current import CURRENT_SECONDS
from trafficapp.stores.roads.live_sinks import LiveRoadsSink
from trafficapp.topics import CITY_PARTITIONS, road_observations

NAME = "live_roads"


def register(app: TrafficApp) -> None:
    """Put the agent on an application."""
    settings, topic = app.settings, road_observations(app.settings)
    client = connect(settings.redis.url.get_secret_value())
    read_back = KafkaReadBack(topic, aiokafka_config(settings), CURRENT_SECONDS)
    sink = LiveRoadsSink(
        client,
        topic,
        read_back,
        app.telemetry.sink_rows.labels(NAME).inc,
        on_dropped=lambda reason: app.telemetry.events_dropped.labels(reason).inc(),
    )
    app.read_in_runs(topic, sink, name=NAME, partitions=CITY_PARTITIONS)
    app.telemetry.watch_sink(NAME, sink.is_waiting)
    app.close_at_end(client.aclose)
