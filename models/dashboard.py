"""Bodies of ``/api/dashboard/...``."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from models.window_rows import Level


class DashboardSummary(Struct, frozen=True, kw_only=True):
    """The city in six numbers; null where nothing is known.

    The speed, the score and its level are of the newest windows of all cameras that are not more than a minute behind
    the camera whose window is newest; unknown when even that one ended
    more than two minutes ago by the clock. Each camera weighs as many times as it saw vehicles in that window.

    Attributes:
        total_incidents_24h: alerts triggered within 24 hours; silent cameras are none.
        avg_speed_kmh: over the cameras that have a speed.
        overall_congestion_level: of the score, by the thresholds in force; UNKNOWN without one.
        overall_congestion_score: 0..1 over the cameras that have a score.
        active_alerts: open alerts; silent cameras are none.
        last_updated: end of the newest window.
    """

    total_incidents_24h: int | None
    avg_speed_kmh: float | None
    overall_congestion_level: Level
    overall_congestion_score: float | None
    active_alerts: int
    last_updated: str | None


class RecentDetection(Struct, frozen=True):
    """A detection as it was sent; the speed is null when none was reported."""

    camera_id: str
    timestamp: str
    vehicle_class: str
    speed_kmh: float | None
    lane_id: int | None


encode_dashboard = msgspec.json.Encoder().encode
