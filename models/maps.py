"""Bodies of ``/api/map/...``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from models.alerts import AlertType, Severity


class HeatPoint(Struct, frozen=True):
    """How congested the place of a camera was over some minutes.

    Attributes:
        weight: mean congestion score of its windows, of those that have one.
        vehicle_count: vehicles in a window, on average, rounded.
    """

    camera_id: str
    latitude: float
    longitude: float
    weight: Annotated[float, Meta(ge=0, le=1)]
    vehicle_count: int


class MapIncident(Struct, frozen=True):
    """An open alert where its camera stands."""

    alert_id: str
    camera_id: str
    latitude: float
    longitude: float
    severity: Severity
    alert_type: AlertType
    title: str
    triggered_at: str


encode_map = msgspec.json.Encoder().encode
