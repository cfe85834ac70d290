"""Simulated history as parquet files that `trafficapp train --from` reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trafficapp.simulation.city import City, Floats
from trafficapp.simulation.days import DayTraffic
from trafficapp.simulation.span import STEP_MINUTES, Span, step_means
from trafficapp.simulation.views import CameraView
from trafficapp.simulation.windows import WINDOWS_PER_MINUTE, Windows, camera_windows, lane_windows
from trafficapp.windows.congestion import CongestionScale

__all__ = ["STEP_MINUTES", "Span", "step_means", "write_history", "write_links"]

_TIME = pa.timestamp("us", "UTC")
_ROADS = pa.schema([("road_id", pa.string()), ("timestamp", _TIME), ("speed_kmh", pa.float32())])
_CAMERAS = pa.schema([("entity", pa.string()), ("timestamp", _TIME), ("congestion_score", pa.float32())])


def write_history(
    city: City,
    span: Span,
    roads: Path | None,
    cameras: Path | None,
    views: Sequence[CameraView],
    scales: Sequence[CongestionScale],
    progress: Callable[[int], None] = lambda minutes: None,
) -> tuple[int, int]:
    """Write the speed of each road in each step of 5 minutes, and the score of each camera and lane by the minute.

    A row's time is the begin of its step or minute. A lane is called ``cam_01/0``.

    Returns:
        rows of roads and of cameras.
    """
    rows = [0, 0]
    with ExitStack() as files:
        roads_file = files.enter_context(_writer(roads, _ROADS, span)) if roads else None
        cameras_file = files.enter_context(_writer(cameras, _CAMERAS, span)) if cameras else None
        for traffic in span.days(city, progress):
            if roads_file is not None:
                table = road_table(city, traffic)
                roads_file.write_table(table)
                rows[0] += table.num_rows
            if cameras_file is not None:
                lanes = lane_windows(city, views, traffic, scales)
                table = _camera_table(views, lanes, camera_windows(views, lanes, scales), traffic.begin)
                cameras_file.write_table(table)
                rows[1] += table.num_rows
    return rows[0], rows[1]


def _writer(path: Path, schema: pa.Schema, span: Span) -> pq.ParquetWriter:
    """A file that says itself that nothing in it was measured; models that are trained from it say so too."""
    said = {"source": f"simulated by trafficapp simulate, seed {span.seed}"}
    return pq.ParquetWriter(path, schema.with_metadata(said), compression="zstd")


def write_links(city: City, path: Path) -> int:
    """Write which roads follow each other, with the share of the traffic that goes that way; return the rows."""
    graph = city.graph
    table = pa.table(
        {
            "from_road": graph.edge_ids[graph.turn_from].tolist(),
            "to_road": graph.edge_ids[graph.turn_to].tolist(),
            "weight": city.turn_share.astype(np.float32),
        }
    )
    pq.write_table(table, path, compression="zstd")
    return int(table.num_rows)


def road_table(city: City, traffic: DayTraffic) -> pa.Table:
    """The measured speed of each road in each step of a day."""
    return _long(
        _ROADS, city.graph.edge_ids.tolist(), traffic.begin, STEP_MINUTES, np.round(step_means(traffic.measured_kmh), 2)
    )


def _camera_table(views: Sequence[CameraView], lanes: Windows, whole: Windows, begin: datetime) -> pa.Table:
    names = [view.camera_id for view in views]
    names += [f"{view.camera_id}/{lane.lane_id}" for view in views for lane in view.lanes]
    scores = np.concatenate([_minute_means(whole.score), _minute_means(lanes.score)], axis=1)
    return _long(_CAMERAS, names, begin, 1, np.round(scores, 4))


def _minute_means(scores: Floats) -> Floats:
    """Mean of the windows of each minute that have a score, NaN where none has."""
    windows = scores.reshape(-1, WINDOWS_PER_MINUTE, scores.shape[1])
    known = np.isfinite(windows)
    means: Floats = np.divide(
        np.where(known, windows, 0).sum(1), known.sum(1), out=np.full(known.shape[::2], np.nan), where=known.any(1)
    )
    return means


def _long(schema: pa.Schema, names: Sequence[str], begin: datetime, minutes: int, values: Floats) -> pa.Table:
    """One row a value that is known, ordered by time."""
    first_us, step_us = int(begin.timestamp()) * 1_000_000, minutes * 60_000_000
    times = first_us + step_us * np.repeat(np.arange(len(values)), len(names))
    codes = np.tile(np.arange(len(names), dtype=np.int32), len(values))
    known = np.isfinite(values).ravel()
    entities = pa.DictionaryArray.from_arrays(codes[known], pa.array(list(names))).cast(pa.string())
    arrays = [entities, pa.array(times[known]).cast(_TIME), pa.array(values.ravel()[known].astype(np.float32))]
    return pa.Table.from_arrays(arrays, schema=schema)
