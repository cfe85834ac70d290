"""Histories of the congestion scores of cameras and lanes, with who is linked with whom."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import asyncpg
import numpy as np

import trafficapp.sources
from trafficapp.cameras.files import Accepted, UnreadableFile, format_of, read_cameras
from trafficapp.forecast.cameras import ScoreWindow, camera_links, window_of
from trafficapp.forecast.clock import Floats
from trafficapp.forecast.learning.history import LEAST_SHARE, HistoryError, SpeedHistory, often_measured, read_history
from trafficapp.forecast.neighbours import RoadLinks
from trafficapp.forecast.quantities import CONGESTION_SCORE
from trafficapp.roads.graph.road_graph import GraphError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings, Settings
from trafficapp.stores.cameras.scores import (
    camera_scores,
    minutes_of_windows,
    roads_of_cameras,
    simulated_within,
    span_of_windows,
)
from trafficapp.stores.postgres.connection import address_of, connection_settings
from trafficapp.stores.roads.history import (
    LEAST_DAYS,
    StoredHistory,
    Watch,
    days_of,
    simulated_share,
    source_of,
)
from trafficapp.training.road_histories import named, span_to_learn

#: The cameras of the shipped recording, with the road segment that each sees.
SHIPPED_CAMERAS = Path(trafficapp.sources.__file__).parent / "data" / "bologna-cameras.json"

log = logging.getLogger(__name__)

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


def from_file(path: Path, roads: RoadSettings, cameras: Path = SHIPPED_CAMERAS) -> StoredHistory:
    """A history of the columns ``entity``, ``timestamp`` and ``congestion_score``.

    Args:
        path: parquet.
        roads: which graph the cameras stand on.
        cameras: a file of them, as for ``trafficapp cameras import``, that says which road segment each one sees.

    Raises:
        HistoryError: a file is something else.
    """
    history, left_out = often_measured(read_history(path, zone=roads.zone, quantity=CONGESTION_SCORE))
    try:
        rows = [row for row in read_cameras(cameras.read_bytes(), format_of(cameras)) if isinstance(row, Accepted)]
    except (OSError, UnreadableFile) as error:
        raise HistoryError(f"{cameras}: {error}") from None
    road_of = {row.camera.camera_id: row.camera.road_segment for row in rows if row.camera.road_segment is not None}
    return StoredHistory(replace(history, links=_links(history.road_ids, road_of, roads)), named(path), left_out)


def from_postgres(settings: Settings, since: datetime | None, until: datetime | None, watch: Watch) -> StoredHistory:
    """What the cameras saw within a span; without one within the last ``forecast.train_days``.

    Raises:
        HistoryError: there is not enough, or Postgres cannot be asked.
    """
    since, until = span_to_learn(settings, since, until)
    url = settings.postgres.url.get_secret_value()
    try:
        return asyncio.run(_from_postgres(url, settings.roads, since, until, watch))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise HistoryError(f"Postgres at {address_of(url)} cannot be asked: {error}") from None


async def _from_postgres(
    url: str, roads: RoadSettings, since: datetime, until: datetime, watch: Watch
) -> StoredHistory:
    span = f"between {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC"
    connection = await asyncpg.connect(**connection_settings(url))
    try:
        minutes = await minutes_of_windows(connection, since, until)
        if minutes is None:
            raise HistoryError(
                f"Postgres has no windows of cameras {span}; let cameras send, or fill it with "
                "`trafficapp simulate --history`"
            )
        start, end = minutes  # the last minute may not be over
        if end - start < timedelta(days=LEAST_DAYS):
            days = (end - start) / timedelta(days=1)
            raise HistoryError(
                f"Postgres has windows of cameras of {days:.1f} days {span}; at least {LEAST_DAYS} are needed to train"
            )
        start = await _first_scores(connection, start, end)
        parts, bounds = list[ScoreWindow](), list(pairwise(days_of(start, end)))
        for done, (begin, finish) in enumerate(bounds, 1):
            parts.append(await _part(connection, begin, finish))
            watch(done, len(bounds))
        road_of = await roads_of_cameras(connection)
        simulated = simulated_share(await simulated_within(connection, start, end), start, end)
    finally:
        await connection.close()
    names = sorted({entity for part in parts for entity in part.entities})
    scores = np.concatenate([_columns(part, names) for part in parts])
    kept = np.isfinite(scores).mean(0) >= LEAST_SHARE
    entities = tuple(name for name, keep in zip(names, kept, strict=True) if keep)
    links, step = _links(entities, road_of, roads), CONGESTION_SCORE.step_seconds
    scores = np.ascontiguousarray(scores[:, kept])
    history = SpeedHistory(entities, start, step, scores, roads.zone, links, CONGESTION_SCORE)
    return StoredHistory(history, source_of("traffic_metrics", simulated), int((~kept).sum()))


async def _first_scores(connection: asyncpg.Connection[asyncpg.Record], start: datetime, end: datetime) -> datetime:
    """The first minute with windows themselves: sums reach further back than the scores that are learnt from."""
    found = await span_of_windows(connection, start, end)
    length = timedelta(0) if found is None else found[1] - found[0] + _MINUTE
    if found is None or length < timedelta(days=LEAST_DAYS):
        raise HistoryError(
            f"Postgres has scores of {length / _HOUR:.0f} hours of cameras, {24 * LEAST_DAYS} are needed; simulated "
            "history has them with `trafficapp simulate --history 14d --windows 14d`"
        )
    return max(start, found[0].replace(second=0, microsecond=0))


async def _part(connection: asyncpg.Connection[asyncpg.Record], since: datetime, until: datetime) -> ScoreWindow:
    last_time = int(until.timestamp()) - CONGESTION_SCORE.step_seconds
    scores = await camera_scores(connection, since, until, with_unhealthy=False)
    return window_of(scores, last_time, (until - since) // _MINUTE)


def _columns(part: ScoreWindow, entities: Sequence[str]) -> Floats:
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
