"""Bodies of ``/api/dashboard/...``."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from models.cameras.window_rows import Level


class LevelCounts(Struct, frozen=True, kw_only=True, rename="upper"):
    """How many cameras are at each level; those without a score are at none."""

    low: int = 0
    moderate: int = 0
    high: int = 0
    severe: int = 0


class WorstCamera(Struct, frozen=True):
    """The camera with the highest score of its newest window."""

    camera_id: str
    congestion_level: Level
    congestion_score: float


class DashboardSummary(Struct, frozen=True, kw_only=True):
    """The city in some numbers; null where nothing is known.

    The speed, the score and its level are of the newest windows of all cameras that are not more than a minute behind
    the camera whose window is newest; unknown when even that one ended
    more than two minutes ago by the clock. Each camera weighs as many times as it saw vehicles in that window.

    Attributes:
        total_incidents_24h: alerts triggered within 24 hours; silent cameras are none.
        avg_speed_kmh, average_speed_kmh: over the cameras that have a speed.
        overall_congestion_level: of the score, by the thresholds in force; UNKNOWN without one.
        overall_congestion_score: 0..1 over the cameras that have a score.
        active_alerts: open alerts; silent cameras are none.
        last_updated: end of the newest window.
        generated_at: when this was put together.
        average_speed_kmh_5m: the mean of all windows that began in the last five minutes and have a speed.
        average_congestion_score_5m: likewise of the scores.
        total_cameras_active: the cameras that the speed and the score are of.
        total_vehicles_last_window: what they saw in their newest windows.
        congestion_breakdown: their levels.
        worst_camera: the one of them with the highest score.
        healthy_share: of the cameras that report, 0 to 1: those that all this is of but the means of five minutes. Who
            is unhealthy by ``/api/quality``, or has a lane that is, is left out. Null when no camera reports.
    """

    total_incidents_24h: int | None
    avg_speed_kmh: float | None
    overall_congestion_level: Level
    overall_congestion_score: float | None
    active_alerts: int
    last_updated: str | None
    generated_at: str
    average_speed_kmh: float | None
    average_speed_kmh_5m: float | None
    average_congestion_score_5m: float | None
    total_cameras_active: int
    total_vehicles_last_window: int
    congestion_breakdown: LevelCounts
    worst_camera: WorstCamera | None
    healthy_share: float | None = None


class RecentDetection(Struct, frozen=True, kw_only=True):
    """A detection as it was sent; the speed is null when none was reported.

    Attributes:
        vehicle_class, class: the same.
    """

    camera_id: str
    timestamp: str
    vehicle_id: str
    vehicle_class: str
    class_: str = msgspec.field(name="class")
    lane_id: int | None
    speed_kmh: float | None
    confidence: float


encode_dashboard = msgspec.json.Encoder().encode
