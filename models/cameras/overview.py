"""The city at a glance: the event ``traffic_metrics_update``."""

from __future__ import annotations

from msgspec import Struct

from models.cameras.registry import CameraCongestion
from models.cameras.window_rows import Level


class LevelThresholds(Struct, frozen=True):
    """Scores from which a level holds, ascending; below `moderate` it is LOW."""

    moderate: float
    high: float
    severe: float


class CityOverview(Struct, frozen=True):
    """What the newest windows of all cameras come to that are at most a minute behind the newest of them.

    When even that window ended more than two minutes ago by the clock, level, score and speed are unknown; the
    vehicles and cameras are those of then. The numbers mean the same as in `models.cameras.dashboard.DashboardSummary`.

    Attributes:
        last_updated: end of the newest window, RFC 3339 UTC; None when no camera ever reported.
        overall_congestion_score: mean over the cameras that have one, each with the weight of its vehicles.
        avg_speed_kmh: likewise.
        vehicle_count: sum over the cameras.
        active_alerts: open alerts; silent cameras are none.
        thresholds: what the level of a score follows from.
        cameras: ordered by camera_id, unhealthy ones among them.
        healthy_share: of the cameras, 0 to 1: those that score, speed and vehicles are of; None without any.
        unhealthy_cameras: those of the cameras that are left out of them, in order (docs/quality.md).
    """

    last_updated: str | None
    overall_congestion_level: Level
    overall_congestion_score: float | None
    avg_speed_kmh: float | None
    vehicle_count: int
    active_alerts: int
    thresholds: LevelThresholds
    cameras: list[CameraCongestion]
    healthy_share: float | None = None
    unhealthy_cameras: list[str] = []
