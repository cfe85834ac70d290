"""The city at a glance, from the newest window of each camera."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Iterable
from datetime import datetime

from models.cameras.dashboard import LevelCounts, WorstCamera
from models.cameras.overview import CityOverview, LevelThresholds
from models.cameras.registry import CameraCongestion
from models.timestamps import epoch_us
from trafficapp.windows.congestion import SCORE_DECIMALS, CongestionScale

#: A camera that is further behind the newest of all says nothing of now.
CURRENT_WITHIN_SECONDS = 60.0

_SPEED_DECIMALS = 2


#: When no window came for longer, nothing is known of now.
KNOWN_FOR_SECONDS = 120.0


def is_current(put_at: float | None, now: datetime) -> bool:
    """Whether the newest windows speak of now.

    Args:
        put_at: when a window came last, in epoch seconds. The windows' own times do not count: a recording of
            last year may be played now.
        now: aware.
    """
    return put_at is not None and now.timestamp() - put_at <= KNOWN_FOR_SECONDS


def overview(
    cameras: Iterable[CameraCongestion],
    active_alerts: int,
    scale: CongestionScale,
    current: bool = True,
    unhealthy: Collection[str] = (),
) -> CityOverview:
    """Sum up the newest windows of cameras.

    Args:
        cameras: one row a camera.
        active_alerts: how many.
        scale: gives the levels their thresholds.
        current: whether the windows speak of now; if not, there is no level, score or speed.
        unhealthy: cameras that are left out of the figures.
    """
    rows = sorted(cameras, key=lambda row: row.camera_id)
    believed = [row for row in rows if row.camera_id not in unhealthy]
    weighed = believed if current else []
    score = weighted_mean(((row.congestion_score, row.vehicle_count) for row in weighed), SCORE_DECIMALS)
    return CityOverview(
        last_updated=max((row.window_end for row in rows), key=epoch_us, default=None),
        overall_congestion_level=scale.level(score),
        overall_congestion_score=score,
        avg_speed_kmh=weighted_mean(((row.avg_speed_kmh, row.vehicle_count) for row in weighed), _SPEED_DECIMALS),
        vehicle_count=sum(row.vehicle_count for row in believed),
        active_alerts=active_alerts,
        thresholds=LevelThresholds(scale.moderate, scale.high, scale.severe),
        cameras=rows,
        healthy_share=round(len(believed) / len(rows), 4) if rows else None,
        unhealthy_cameras=[row.camera_id for row in rows if row.camera_id in unhealthy],
    )


def level_counts(cameras: Iterable[CameraCongestion]) -> LevelCounts:
    """How many cameras are at each level."""
    found = Tally(row.congestion_level for row in cameras)
    return LevelCounts(low=found["LOW"], moderate=found["MODERATE"], high=found["HIGH"], severe=found["SEVERE"])


def worst_camera(cameras: Iterable[CameraCongestion]) -> WorstCamera | None:
    """The camera with the highest score, of equal ones the first by its id; None when none has a score."""
    scored = [(-row.congestion_score, row.camera_id, row) for row in cameras if row.congestion_score is not None]
    if not scored:
        return None
    score, camera_id, row = min(scored, key=lambda one: one[:2])
    return WorstCamera(camera_id, row.congestion_level, -score)


def weighted_mean(weighted: Iterable[tuple[float | None, int]], decimals: int) -> float | None:
    """The mean of what is known; None when nothing is, or nothing weighs anything."""
    total, weight = 0.0, 0
    for value, count in weighted:
        if value is not None:
            total += value * count
            weight += count
    return round(total / weight, decimals) if weight else None
