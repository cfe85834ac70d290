"""Flow, headway, vehicles in view and percentile speeds of a lane, from sums of its windows.

A vehicle that is in view when a window begins was in the one before as well, so the vehicles of windows cannot be added
up. By the conservation of vehicles (Lighthill, Whitham: On Kinematic Waves II, 1955, (1)) those that come within a
window are those seen in it, less those that were there when it began; of these there are as many as are in view at a
time, on average: detections in a picture. So flow = Σ (vehicles − detections/pictures) / Σ length of the windows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from models.cameras.lanes import LaneFigures
from models.cameras.window_rows import SpeedCounts
from trafficapp.windows.speed_sketch import percentiles

_UNIT = 10_000
_US_PER_HOUR = 3_600_000_000


@dataclass(slots=True)
class LaneSums:
    """Sums of windows of a lane, or of the whole camera.

    Attributes:
        lane_id: None of the whole camera.
        window_us: length of the windows, microseconds.
        vehicles: distinct ones of each window, added up.
        viewed: windows whose pictures were counted.
        in_view_e4: of these, vehicles in view at a time, added up, in units of 1e-4.
        speed_counts: the sketch of the speeds.
    """

    camera_id: str
    lane_id: int | None
    windows: int = 0
    window_us: int = 0
    vehicles: int = 0
    viewed: int = 0
    in_view_e4: int = 0
    speed_counts: SpeedCounts = field(default_factory=dict)


def vehicles_per_hour(sums: LaneSums) -> float | None:
    """The flow; None where there are windows whose pictures were not counted, or none at all."""
    if not sums.windows or sums.viewed < sums.windows:
        return None
    came = max(sums.vehicles - sums.in_view_e4 / _UNIT, 0.0)
    return came * _US_PER_HOUR / sums.window_us


def lane_figures(sums: LaneSums) -> LaneFigures:
    """What is told of a lane."""
    flow = vehicles_per_hour(sums)
    p15, p50, p85, p95 = percentiles(sums.speed_counts)
    return LaneFigures(
        camera_id=sums.camera_id,
        lane_id=sums.lane_id,
        windows=sums.windows,
        observed_hours=round(sums.window_us / _US_PER_HOUR, 4),
        speeds=sum(sums.speed_counts.values()),
        p15_speed_kmh=p15,
        p50_speed_kmh=p50,
        p85_speed_kmh=p85,
        p95_speed_kmh=p95,
        flow_vehicles_per_hour=None if flow is None else round(flow, 1),
        # of the whole camera it would be that of all lanes together, which no driver sees
        headway_seconds=None if not flow or sums.lane_id is None else round(3600 / flow, 2),
        vehicles_in_view=round(sums.in_view_e4 / _UNIT / sums.viewed, 3) if sums.viewed else None,
    )
