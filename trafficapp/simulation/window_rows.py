"""Simulated windows as rows of ``traffic_metrics``, and as sums by the minute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import msgspec
import numpy as np

from trafficapp.simulation.city import Floats, Integers
from trafficapp.simulation.vehicles import FLEET
from trafficapp.simulation.views import CameraView
from trafficapp.simulation.windows import WINDOW_SECONDS, WINDOWS_PER_MINUTE, Windows
from trafficapp.windows.congestion import CongestionScale

WINDOW_COLUMNS = (
    *("camera_id", "window_start", "lane_id", "window_end", "vehicle_count", "counts_by_class", "avg_speed_kmh"),
    *("stopped_ratio", "queue_length", "congestion_level", "congestion_score", "detections"),
)

#: Shape (minutes, cameras, sums); the sums in the order of `trafficapp.stores.cameras.rollups.SUMS`.
MinuteSums: TypeAlias = Integers

_WINDOW_US = WINDOW_SECONDS * 1_000_000
_encode = msgspec.json.Encoder().encode


def minute_sums(whole: Windows, scales: Sequence[CongestionScale]) -> MinuteSums:
    """What migration 0010 sums up of the windows of each minute."""
    severe = np.array([scale.severe for scale in scales])
    high = np.array([scale.high for scale in scales])
    there, score = whole.vehicles > 0, np.nan_to_num(whole.score, nan=-1.0)
    known = score >= 0
    columns = (
        there,
        whole.vehicles,
        known,
        np.where(known, np.rint(score * 10_000), 0),
        known,
        np.where(known, np.rint(np.nan_to_num(whole.speed_kmh) * 10_000), 0),
        np.where(score >= severe, _WINDOW_US, 0),
        np.where((score >= high) & (score < severe), _WINDOW_US, 0),
        there,
        np.where(there, whole.queue, 0),
    )
    windows = np.stack([np.asarray(column, np.int64) for column in columns], axis=-1)
    sums: MinuteSums = windows.reshape(-1, WINDOWS_PER_MINUTE, *windows.shape[1:]).sum(1)
    return sums


def window_rows(
    views: Sequence[CameraView], scales: Sequence[CongestionScale], lanes: Windows, whole: Windows, begin: datetime,
    chance: np.random.Generator,
) -> Iterator[tuple[Any, ...]]:  # fmt: skip
    """Yield rows in the order of `WINDOW_COLUMNS`, times as datetimes; windows without vehicles are left out."""
    by_class = chance.multinomial(lanes.vehicles, [share for _, share, _, _ in FLEET])
    begins = np.cumsum([0, *(len(view.lanes) for view in views)])[:-1]
    lane_names = [(view.camera_id, lane.lane_id) for view in views for lane in view.lanes]
    lane_scales = [scale for view, scale in zip(views, scales, strict=True) for _ in view.lanes]
    yield from _rows(lane_names, lane_scales, lanes, by_class, begin)
    whole_names = [(view.camera_id, None) for view in views]
    yield from _rows(whole_names, scales, whole, np.add.reduceat(by_class, begins, axis=1), begin)


def _rows(
    names: Sequence[tuple[str, int | None]], scales: Sequence[CongestionScale], windows: Windows, by_class: Integers,
    begin: datetime,
) -> Iterator[tuple[Any, ...]]:  # fmt: skip
    length = timedelta(seconds=WINDOW_SECONDS)
    for number in range(len(windows.vehicles)):
        start = begin + number * length
        now = windows.cut(slice(number, number + 1))
        columns = zip(
            names, scales, by_class[number].tolist(), now.vehicles[0].tolist(), _known(now.speed_kmh[0]),
            _known(now.standing[0]), now.queue[0].tolist(), _known(now.score[0]), now.detections[0].tolist(),
            strict=True,
        )  # fmt: skip
        for (camera_id, lane_id), scale, classes, vehicles, speed, standing, queue, score, detections in columns:
            if vehicles:
                counts = _encode({kind[0]: count for kind, count in zip(FLEET, classes, strict=True) if count}).decode()
                yield (
                    camera_id, start, lane_id, start + length, vehicles, counts, speed, standing, queue,
                    scale.level(score), score, detections,
                )  # fmt: skip


def _known(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
