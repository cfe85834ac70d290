"""Agent that keeps observations of roads in Postgres: role ``history``."""

from __future__ import annotations

from trafficapp.engine.app import TrafficApp
from trafficapp.stores.roads.observations_sink import HistoryRoadsSink
from trafficapp.topics import CITY_PARTITIONS, road_observations

NAME = "history_roads"


def register(app: TrafficApp) -> None:
    """Put the agent on an application."""
    sink = HistoryRoadsSink(app.settings, should_stop=lambda: app.should_stop)
    app.read_in_runs(road_observations(app.settings), sink, name=NAME, partitions=CITY_PARTITIONS)
    app.telemetry.watch_sink(NAME, sink.is_waiting)
    app.close_at_end(sink.close)
