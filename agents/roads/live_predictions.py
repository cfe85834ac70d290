"""Agent that keeps the newest prediction of every road in Redis: role ``live``."""

from __future__ import annotations

from models.roads.predictions import decode_prediction
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.kafka import aiokafka_config
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import KafkaReadBack
from trafficapp.stores.roads.current_predictions import PREDICTED_KEY, PREDICTED_SECONDS, prediction_key
from trafficapp.stores.roads.live_sinks import LiveRoadsSink, RoadKeys
from trafficapp.topics import CITY_PARTITIONS, PREDICTIONS

NAME = "live_predictions"
KEYS = RoadKeys("prediction of a road", PREDICTED_KEY, prediction_key, PREDICTED_SECONDS, check=decode_prediction)


def register(app: TrafficApp) -> None:
    """Put the agent on an application."""
    client = connect(app.settings.redis.url.get_secret_value())
    read_back = KafkaReadBack(PREDICTIONS, aiokafka_config(app.settings), PREDICTED_SECONDS)
    sink = LiveRoadsSink(
        client,
        PREDICTIONS,
        read_back,
        app.telemetry.sink_rows.labels(NAME).inc,
        KEYS,
        on_dropped=lambda reason: app.telemetry.events_dropped.labels(reason).inc(),
    )
    app.read_in_runs(PREDICTIONS, sink, name=NAME, partitions=CITY_PARTITIONS)
    app.telemetry.watch_sink(NAME, sink.is_waiting)
    app.close_at_end(client.aclose)
