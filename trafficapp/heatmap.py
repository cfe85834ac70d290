"""Points of the heat map: where it is congested and how much, from finished windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean

from models.heatmap import HeatmapPoint
from trafficapp.congestion import SCORE_DECIMALS

#: A camera's place: latitude and longitude, WGS 84.
LatLon = tuple[float, float]


def weight(scores: Iterable[float | None]) -> float:
    """How hot a point is, 0 to 1: the mean of the congestion scores, those of windows without a speed left out."""
    known = [score for score in scores if score is not None]
    return round(min(max(fmean(known), 0.0), 1.0), SCORE_DECIMALS) if known else 0.0


def heatmap(
    windows: Mapping[str, tuple[Iterable[float | None], int]], places: Mapping[str, LatLon]
) -> list[HeatmapPoint]:
    """The points of cameras, by camera_id; a camera without a place is left out.

    Args:
        windows: for each camera the scores of its windows and how many vehicles to show.
        places: where cameras are.
    """
    return [
        HeatmapPoint(camera_id, *places[camera_id], weight(scores), vehicle_count)
        for camera_id, (scores, vehicle_count) in sorted(windows.items())
        if camera_id in places
    ]
