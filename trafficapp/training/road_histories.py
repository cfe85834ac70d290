"""Histories of the speeds of roads, from files or from Postgres, with links from a file or from the road graph."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from trafficapp.forecast.learning.history import HistoryError, SpeedHistory, often_measured, read_history
from trafficapp.forecast.weather_inputs import middle_of
from trafficapp.roads.graph.road_graph import GraphError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings, Settings
from trafficapp.stores.postgres.connection import address_of
from trafficapp.stores.roads.history import StoredHistory, Watch, links_on_graph, read_road_history
from trafficapp.stores.weather.history import read_weather

#: In the place of a file of links: those of the road graph that the settings name.
GRAPH = "graph"


def span_to_learn(settings: Settings, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """What is learned from: up to now unless told, and the last ``forecast.train_days`` of it.

    Raises:
        HistoryError: the span is empty.
    """
    until = until or datetime.now(UTC)
    since = since or until - timedelta(days=settings.forecast.train_days)
    if since >= until:
        raise HistoryError(f"since ({since.isoformat()}) must be before until ({until.isoformat()})")
    return since, until


def from_postgres(settings: Settings, since: datetime | None, until: datetime | None, watch: Watch) -> StoredHistory:
    """What the feed said within a span; without one within the last ``forecast.train_days``.

    Raises:
        HistoryError: there is not enough, or no graph, or Postgres cannot be asked.
    """
    since, until = span_to_learn(settings, since, until)
    url = settings.postgres.url.get_secret_value()
    try:
        graph = city_graph(settings.roads)
        forecast = settings.forecast
        found = read_road_history(
            url,
            graph,
            settings.roads.zone,
            forecast.step_seconds,
            since,
            until,
            watch,
            zeros_are_missing=forecast.zero_speeds == "missing",
        )
        history = found.history
        with psycopg.connect(url, connect_timeout=10, application_name="trafficapp train") as connection:
            span = (history.start, len(history.speeds_kmh), history.step_seconds)
            weather = read_weather(connection, middle_of(graph), *span, settings.weather)
        return replace(found, history=replace(history, weather=weather))
    except GraphError as error:
        raise HistoryError(str(error)) from None
    except psycopg.Error as error:
        raise HistoryError(f"Postgres at {address_of(url)} cannot be asked: {' '.join(str(error).split())}") from None


def from_file(
    path: Path,
    zone: str,
    step_seconds: int,
    links: str | None,
    roads: RoadSettings,
    *,
    zeros_are_missing: bool = True,
) -> StoredHistory:
    """A history of a file.

    Args:
        path: of the file, as `trafficapp.forecast.learning.history.read_history` takes it.
        zone: the city's time zone.
        step_seconds: length of a step, for parquet.
        links: a file of links, or ``graph``, which takes the road ids of the file for those of the road graph.
        roads: where the road graph is.
        zeros_are_missing: whether a speed of 0 says that nothing was measured.

    Raises:
        HistoryError: a file is something else, or none of its roads is on the graph.
    """
    link_file = None if links in (None, GRAPH) else Path(str(links))
    history, left_out = often_measured(
        read_history(path, zone=zone, step_seconds=step_seconds, links=link_file, zeros_are_missing=zeros_are_missing)
    )
    if links == GRAPH:
        history = _linked(path, history, roads)
    return StoredHistory(history, named(path), left_out)


def _linked(path: Path, history: SpeedHistory, roads: RoadSettings) -> SpeedHistory:
    try:
        graph = city_graph(roads)
    except GraphError as error:
        raise HistoryError(str(error)) from None
    of_road: dict[str, list[str]] = {road: [] for road in history.road_ids}
    for road, edge in zip(graph.road_ids.tolist(), graph.edge_ids.tolist(), strict=True):
        for name in {road, edge} & of_road.keys():
            of_road[name].append(edge)
    if not any(of_road.values()):
        raise HistoryError(f"{path}: none of its roads is on the road graph of {graph.city}")
    return replace(history, links=links_on_graph(graph, of_road, history.road_ids))


def named(path: Path) -> str:
    """What a file says about where it is from, else its name."""
    if path.suffix != ".parquet":
        return path.name
    try:
        said = (pq.read_schema(path).metadata or {}).get(b"source")
    except (OSError, pa.ArrowException):
        return path.name
    return f"{path.name}: {said.decode()}" if said else path.name
