"""What notifications about a road are judged by."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from models.roads.predictions import PredictionSource


class RoadCondition(Struct, frozen=True, kw_only=True):
    """A road at one of its observations.

    Attributes:
        observed_at_us: when its speed was measured, microseconds since the epoch.
        jam_factor: 0 (free) to 10 (closed).
        speeds_before: earlier measurements as (microseconds, km/h), in any order; those that are not of the last
            ``notifications.sudden_jam_minutes`` are left out.
        predicted_kmh: at the three horizons, made when this observation was the newest; None while there is no
            prediction, which says nothing about heavy_congestion: it neither raises nor ends one.
        predicted_by: who predicted. A forecast of the time of day says how the road is on other days, and so counts
            like none; one of the last value says that it stays as it is now, and counts.
        closed: nobody may drive there. That is no jam, so only severe_traffic tells it, in words of its own.
    """

    road_id: str
    road_name: str
    observed_at_us: int
    current_speed_kmh: float
    free_flow_kmh: float
    jam_factor: float
    speeds_before: Sequence[tuple[int, float]] = ()
    predicted_kmh: Sequence[float] | None = None
    predicted_by: PredictionSource | None = None
    closed: bool = False
