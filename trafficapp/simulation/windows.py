"""What cameras count in simulated traffic: finished windows, for history. Live, real windows are made of detections.

Vehicles come independently of each other, so their number in a window is a Poisson number around density times length
seen plus flow times window. How many stand varies from window to window about the share that the mean speed gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trafficapp.congestion import COUNT_WEIGHT, SCORE_DECIMALS, SLOWNESS_WEIGHT, STOPPED_WEIGHT, CongestionScale
from trafficapp.simulation.city import City, Floats, Integers
from trafficapp.simulation.days import DayTraffic
from trafficapp.simulation.standing import moving_kmh, standing_share
from trafficapp.simulation.views import CameraView

WINDOW_SECONDS = 5
WINDOWS_PER_MINUTE = 60 // WINDOW_SECONDS

_SPEED_DEVIATION = 0.06
_STANDING_DEVIATION = 0.5


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
    edges = np.array([view.edge for view in views for _ in view.lanes])
    seen_km = np.array([lane.length_m / 1000 for view in views for lane in view.lanes])
    speed = np.repeat(traffic.speed_kmh[:, edges], WINDOWS_PER_MINUTE, axis=0)
    flow_vph = np.repeat(traffic.flow_vph[:, edges] / city.graph.lanes[edges], WINDOWS_PER_MINUTE, axis=0)
    present = np.minimum(flow_vph / speed * seen_km, city.jam_vpkm[edges] / city.graph.lanes[edges] * seen_km)
    passing = flow_vph * WINDOW_SECONDS / 3600
    vehicles, some, other = _drawn(traffic, present + passing)
    detections = np.maximum(
        vehicles, np.rint(vehicles * WINDOW_SECONDS * present / np.maximum(present + passing, 1e-9))
    )
    share = standing_share(speed)
    spread = _STANDING_DEVIATION * np.sqrt(share * (1 - share) / np.maximum(vehicles, 1))
    standing = np.clip(share + spread * some, 0.0, 1.0)
    kmh = moving_kmh(speed) * (1 - standing) * (1 + _SPEED_DEVIATION * other)
    queue = np.minimum(np.ceil(standing * vehicles - 1e-9), vehicles).astype(np.int64)
    empty = vehicles == 0
    kmh[empty] = standing[empty] = np.nan
    by_lane = [scale for view, scale in zip(views, scales, strict=True) for _ in view.lanes]
    return _scored(vehicles, detections.astype(np.int64), kmh, standing, queue, by_lane)


def _drawn(traffic: DayTraffic, expected: Floats) -> tuple[Integers, Floats, Floats]:
    """Numbers of vehicles, and two normal numbers for each window; a minute's depend on nothing outside of it."""
    vehicles, normal = np.zeros(expected.shape, np.int64), np.zeros((2, *expected.shape))
    first = int((traffic.begin - traffic.chance.first).total_seconds()) // 60
    for minute in range(len(traffic.speed_kmh)):
        windows = slice(minute * WINDOWS_PER_MINUTE, (minute + 1) * WINDOWS_PER_MINUTE)
        chance = traffic.chance.windows(first + minute)
        vehicles[windows] = chance.poisson(expected[windows])
        normal[:, windows] = chance.normal(size=normal[:, windows].shape)
    return vehicles, normal[0], normal[1]


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
