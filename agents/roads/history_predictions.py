"""Agent that keeps predictions of roads in Postgres: role ``history``."""

from __future__ import annotations

from trafficapp.engine.app import TrafficApp
from trafficapp.stores.roads.predictions_sink import HistoryPredictionsSink
from trafficapp.topics import CITY_PARTITIONS, PREDICTIONS

NAME = "history_predictions"


def register(app: TrafficApp) -> None:
    """Put the agent on an application."""
    sink = HistoryPredictionsSink(app.settings, should_stop=lambda: app.should_stop)
    app.read_in_runs(PREDICTIONS, sink, name=NAME, partitions=CITY_PARTITIONS)
    app.telemetry.watch_sink(NAME, sink.is_waiting)
    app.close_at_end(sink.close)
