"""The city at a glance, from the newest window of each camera."""

from __future__ import annotations

from collections.abc import Iterable

from models.cameras import CameraCongestion
from models.overview import CityOverview, LevelThresholds
from models.timestamps import epoch_us
from trafficapp.congestion import SCORE_DECIMALS, CongestionScale

#: A camera that is further behind the newest of all says nothing of now.
CURRENT_WITHIN_SECONDS = 60.0

_SPEED_DECIMALS = 2


def overview(cameras: Iterable[CameraCongestion], active_alerts: int, scale: CongestionScale) -> CityOverview:
    """Sum up the newest windows of cameras, one row a camera; the scale gives the levels their thresholds."""
    rows = sorted(cameras, key=lambda row: row.camera_id)
    score = weighted_mean(((row.congestion_score, row.vehicle_count) for row in rows), SCORE_DECIMALS)
    return CityOverview(
        last_updated=max((row.window_end for row in rows), key=epoch_us, default=None),
        overall_congestion_level=scale.level(score),
        overall_congestion_score=score,
        avg_speed_kmh=weighted_mean(((row.avg_speed_kmh, row.vehicle_count) for row in rows), _SPEED_DECIMALS),
        vehicle_count=sum(row.vehicle_count for row in rows),
        active_alerts=active_alerts,
        thresholds=LevelThresholds(scale.moderate, scale.high, scale.severe),
        cameras=rows,
    )


def weighted_mean(weighted: Iterable[tuple[float | None, int]], decimals: int) -> float | None:
    """The mean of what is known; None when nothing is, or nothing weighs anything."""
    total, weight = 0.0, 0
    for value, count in weighted:
        if value is not None:
            total += value * count
            weight += count
    return round(total / weight, decimals) if weight else None
