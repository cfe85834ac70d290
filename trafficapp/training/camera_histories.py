"""Histories of the congestion scores of cameras and lanes, with who is linked with whom."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import numpy as np

import trafficapp.sources
from trafficapp.cameras.files import Accepted, UnreadableFile, format_of, read_cameras
from trafficapp.forecast.cameras import ScoreWindow, camera_links, window_of
from trafficapp.forecast.clock import Floats
from trafficapp.forecast.history import HistoryError, SpeedHistory, read_history
from trafficapp.forecast.neighbours import RoadLinks
from trafficapp.forecast.quantities import CONGESTION_SCORE
from trafficapp.roads.graph import GraphError
from trafficapp.roads.shipped import city_graph
from trafficapp.settings import RoadSettings, Settings
from trafficapp.stores.camera_scores import camera_scores, minutes_of_windows, roads_of_cameras
from trafficapp.stores.postgres import connection_settings

#: The cameras of the shipped recording, with the road segment that each sees.
SHIPPED_CAMERAS = Path(trafficapp.sources.__file__).parent / "data" / "bologna-cameras.json"

log = logging.getLogger(__name__)

_MINUTE = timedelta(minutes=1)
_DAY_MINUTES = 1440


def from_file(path: Path, roads: RoadSettings, cameras: Path = SHIPPED_CAMERAS) -> SpeedHistory:
    """A history of the columns ``entity``, ``timestamp`` and ``congestion_score``.

    Args:
        path: parquet.
        roads: which graph the cameras stand on.
        cameras: a file of them, as for ``trafficapp cameras import``, that says which road segment each one sees.

    Raises:
        HistoryError: a file is something else.
    """
    history = read_history(path, zone=roads.zone, quantity=CONGESTION_SCORE)
    try:
        rows = [row for row in read_cameras(cameras.read_bytes(), format_of(cameras)) if isinstance(row, Accepted)]
    except (OSError, UnreadableFile) as error:
        raise HistoryError(f"{cameras}: {error}") from None
    road_of = {row.camera.camera_id: row.camera.road_segment for row in rows if row.camera.road_segment is not None}
    return replace(history, links=_links(history.road_ids, road_of, roads))


async def from_postgres(settings: Settings, days: float) -> SpeedHistory:
    """A history of the windows of the last days.

    Raises:
        HistoryError: there are none.
        OSError, asyncpg.PostgresError: the database does not answer.
    """
    connection = await asyncpg.connect(**connection_settings(settings.postgres.url.get_secret_value()))
    try:
        span = await minutes_of_windows(connection, datetime.now(UTC) - timedelta(days=days))
        if span is None:
            raise HistoryError(f"no camera had a window within the last {days:g} days")
        start, end = span
        road_of = await roads_of_cameras(connection)
        parts: list[ScoreWindow] = []
        # the last minute is not over
        while start < end:
            until = min(start + timedelta(minutes=_DAY_MINUTES), end)
            parts.append(await _part(connection, start, until))
            start = until
    finally:
        await connection.close()
    entities = tuple(sorted({entity for part in parts for entity in part.entities}))
    if not entities:
        raise HistoryError(f"no camera had a congestion score within the last {days:g} days")
    scores = np.concatenate([_columns(part, entities) for part in parts])
    begin = end - len(scores) * _MINUTE
    zone, links = settings.roads.zone, _links(entities, road_of, settings.roads)
    return SpeedHistory(entities, begin, CONGESTION_SCORE.step_seconds, scores, zone, links, CONGESTION_SCORE)


async def _part(connection: asyncpg.Connection[asyncpg.Record], since: datetime, until: datetime) -> ScoreWindow:
    last_time = int(until.timestamp()) - CONGESTION_SCORE.step_seconds
    return window_of(await camera_scores(connection, since, until), last_time, (until - since) // _MINUTE)


def _columns(part: ScoreWindow, entities: tuple[str, ...]) -> Floats:
    """The scores of a part with a column for each of these, in their order."""
    scores = np.full((len(part.scores), len(entities)), np.nan, np.float32)
    place = {entity: column for column, entity in enumerate(entities)}
    scores[:, [place[entity] for entity in part.entities]] = part.scores
    return scores


def _links(entities: tuple[str, ...], road_of: Mapping[str, str], roads: RoadSettings) -> RoadLinks:
    try:
        graph = city_graph(roads)
    except GraphError as error:
        log.warning("%s; cameras are linked with their lanes only", error)
        graph = None
    return camera_links(entities, road_of, graph)
