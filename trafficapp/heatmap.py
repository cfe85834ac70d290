"""The heatmap: how congested the places of cameras were over some minutes, from sums over their windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.maps import HeatPoint
from trafficapp.congestion import SCORE_DECIMALS
from trafficapp.stores.registry_queries import RegisteredCamera


@dataclass(frozen=True, slots=True)
class CameraHeat:
    """Sums over the camera-wide windows of a camera.

    Attributes:
        windows: how many there are.
        vehicles: sum of their vehicle counts.
        scored: how many of them have a score.
        score_e4: sum of those scores, in ten-thousandths.
    """

    camera_id: str
    windows: int
    vehicles: int
    scored: int
    score_e4: int


def heat_span(now: datetime, minutes: int) -> tuple[datetime, datetime]:
    """The whole minutes of the clock that hold the last ``minutes``, with the one under way: ``[since, until)``."""
    minute = timedelta(minutes=1)
    since = (now - minutes * minute).replace(second=0, microsecond=0)
    return since, now.replace(second=0, microsecond=0) + minute


def heat_points(heat: Iterable[CameraHeat], cameras: Mapping[str, RegisteredCamera]) -> list[HeatPoint]:
    """Points by camera_id; cameras without a place or without any score are left out."""
    points = []
    for one in sorted(heat, key=lambda one: one.camera_id):
        camera = cameras.get(one.camera_id)
        if camera is None or camera.latitude is None or camera.longitude is None or not one.scored:
            continue
        weight = round(one.score_e4 / one.scored / 10**SCORE_DECIMALS, SCORE_DECIMALS)
        points.append(
            HeatPoint(
                one.camera_id,
                camera.latitude,
                camera.longitude,
                weight=min(max(weight, 0.0), 1.0),
                vehicle_count=round(one.vehicles / one.windows),
            )
        )
    return points
