"""What cameras count in simulated traffic: finished windows, for history. Live, real windows are made of detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trafficapp.simulation.city import City, Floats, Integers
from trafficapp.simulation.days import DayTraffic
from trafficapp.simulation.passages import WINDOW_SECONDS, WINDOWS_PER_MINUTE, sightings
from trafficapp.simulation.views import CameraView
from trafficapp.windows.congestion import COUNT_WEIGHT, SCORE_DECIMALS, SLOWNESS_WEIGHT, STOPPED_WEIGHT, CongestionScale

__all__ = ["WINDOWS_PER_MINUTE", "WINDOW_SECONDS", "Windows", "camera_windows", "lane_windows"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of several places, each array of shape (windows, places); a window without vehicles is none.

    Attributes:
        vehicles: distinct vehicles.
        detections: of one picture a second.
        speed_kmh: mean, NaN where nothing was seen.
        standing: share of speeds below 5 km/h, NaN likewise.
        queue: vehicles seen standing.
        score: congestion score, NaN likewise.
    """

    vehicles: Integers
    detections: Integers
    speed_kmh: Floats
    standing: Floats
    queue: Integers
    score: Floats

    def cut(self, windows: slice) -> Windows:
        """Some of the windows."""
        return Windows(*(values[windows] for values in vars(self).values()))


def lane_windows(
    city: City, views: Sequence[CameraView], traffic: DayTraffic, scales: Sequence[CongestionScale]
) -> Windows:
    """Windows of all lanes of all cameras, in order of the cameras and their lanes.

    Args:
        city: the city.
        views: the cameras.
        traffic: what they look at.
        scales: constants of the score of each camera.
    """
    seen = sightings(city, views, traffic)
    with np.errstate(invalid="ignore"):
        kmh, standing = seen.speed_sum_kmh / seen.detections, seen.standing / seen.detections
    by_lane = [scale for view, scale in zip(views, scales, strict=True) for _ in view.lanes]
    return _scored(seen.vehicles, seen.detections, kmh, standing, seen.queue, by_lane)


def camera_windows(views: Sequence[CameraView], lanes: Windows, scales: Sequence[CongestionScale]) -> Windows:
    """The same windows for each camera as a whole."""
    begins = np.cumsum([0, *(len(view.lanes) for view in views)])[:-1]

    def total(values: Floats | Integers) -> Floats:
        added: Floats = np.add.reduceat(values, begins, axis=1)
        return added

    detections = total(lanes.detections)
    with np.errstate(invalid="ignore"):
        kmh = total(np.nan_to_num(lanes.speed_kmh) * lanes.detections) / detections
        standing = total(np.nan_to_num(lanes.standing) * lanes.detections) / detections
    counts = [total(values).astype(np.int64) for values in (lanes.vehicles, lanes.detections, lanes.queue)]
    return _scored(counts[0], counts[1], kmh, standing, counts[2], scales)


def _scored(
    vehicles: Integers, detections: Integers, kmh: Floats, standing: Floats, queue: Integers,
    scales: Sequence[CongestionScale],
) -> Windows:  # fmt: skip
    """Add the score; the formula is that of `CongestionScale.score`, for whole arrays."""
    kmh, standing = np.round(kmh, 4), np.round(standing, 4)
    fullness = np.minimum(vehicles / np.array([scale.max_count for scale in scales]), 1.0)
    slowness = 1 - np.minimum(kmh / np.array([scale.max_speed_kmh for scale in scales]), 1.0)
    score = COUNT_WEIGHT * fullness + SLOWNESS_WEIGHT * slowness + STOPPED_WEIGHT * standing
    return Windows(vehicles, detections, kmh, standing, queue, np.round(np.clip(score, 0, 1), SCORE_DECIMALS))
