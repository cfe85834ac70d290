"""The heatmap: how busy and congested the places of cameras were over some minutes, from sums over their windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.cameras.maps import HeatPoint
from trafficapp.administration.registered import RegisteredCamera
from trafficapp.settings import Settings
from trafficapp.windows.congestion import SCORE_DECIMALS

_COUNT_DECIMALS = 2


@dataclass(frozen=True, slots=True)
class CameraHeat:
    """Sums over the camera-wide windows of a camera.

    Attributes:
        windows: how many there are.
        vehicles: sum of their vehicle counts.
        scored: how many of them have a score.
        score_e4: sum of those scores, in ten-thousandths.
        last_window: end of the newest one, RFC 3339 UTC.
    """

    camera_id: str
    windows: int
    vehicles: int
    scored: int
    score_e4: int
    last_window: str | None = None


def heat_span(now: datetime, minutes: int) -> tuple[datetime, datetime]:
    """The last ``minutes``: ``[since, until)``."""
    return now - timedelta(minutes=minutes), now


def full_counts(settings: Settings) -> Callable[[str], int]:
    """How many vehicles in a window count as full, by camera."""
    general = settings.congestion.max_count
    special = {camera_id: camera.max_count or general for camera_id, camera in settings.cameras.items()}
    return lambda camera_id: special.get(camera_id, general)


def heat_points(
    heat: Iterable[CameraHeat], cameras: Mapping[str, RegisteredCamera], full: Callable[[str], int]
) -> list[HeatPoint]:
    """Points by camera_id; cameras without a place are left out.

    Args:
        heat: of cameras that have windows.
        cameras: their places.
        full: as `full_counts` gives it.
    """
    points = []
    for one in sorted(heat, key=lambda one: one.camera_id):
        camera = cameras.get(one.camera_id)
        if camera is None or camera.latitude is None or camera.longitude is None:
            continue
        mean = one.vehicles / one.windows
        score = one.score_e4 / one.scored / 10**SCORE_DECIMALS if one.scored else None
        points.append(
            HeatPoint(
                camera_id=one.camera_id,
                latitude=camera.latitude,
                longitude=camera.longitude,
                road_segment=camera.road_segment,
                weight=round(min(mean / full(one.camera_id), 1.0), SCORE_DECIMALS),
                intensity=None if score is None else round(min(max(score, 0.0), 1.0), SCORE_DECIMALS),
                avg_vehicle_count=round(mean, _COUNT_DECIMALS),
                vehicle_count=round(mean),
                last_window=one.last_window,
            )
        )
    return points
