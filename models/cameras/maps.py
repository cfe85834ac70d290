"""Bodies of ``/api/map/...``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from models.alerts import AlertType, Severity
from models.cameras.window_rows import Level


class HeatPoint(Struct, frozen=True, kw_only=True):
    """How busy and how congested the place of a camera was over some minutes.

    Attributes:
        weight: vehicles in a window, on average, as a share of those that count as full.
        intensity: mean congestion score of its windows, of those that have one; None when none has.
        avg_vehicle_count: vehicles in a window, on average.
        vehicle_count: the same, rounded to a whole number.
        last_window: end of the newest window.
    """

    camera_id: str
    latitude: float
    longitude: float
    road_segment: str | None
    weight: Annotated[float, Meta(ge=0, le=1)]
    intensity: Annotated[float, Meta(ge=0, le=1)] | None
    avg_vehicle_count: float
    vehicle_count: int
    last_window: str | None


class Heatmap(Struct, frozen=True):
    """The places of cameras over the last ``window_minutes``."""

    window_minutes: int
    points: list[HeatPoint]


class MapIncident(Struct, frozen=True, kw_only=True):
    """An open alert where its camera stands, with what the camera sees now.

    Attributes:
        congestion_level, score: of the newest window that the alert is about; of the camera's newest window when
            the alert is about none.
        vehicle_count, queue_length, avg_speed_kmh, counts_by_class: of the camera's newest window; None when it has
            none among the current ones.
        window_end: end of that window.
    """

    alert_id: str
    camera_id: str
    latitude: float
    longitude: float
    road_segment: str | None
    severity: Severity
    alert_type: AlertType
    title: str
    triggered_at: str
    congestion_level: Level | None
    score: float | None
    vehicle_count: int | None
    queue_length: int | None
    avg_speed_kmh: float | None
    counts_by_class: dict[str, int] | None
    window_end: str | None


encode_map = msgspec.json.Encoder().encode
