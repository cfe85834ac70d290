"""Regional outages: cameras of one area that are silent together."""

from __future__ import annotations

from msgspec import Struct


class Outage(Struct, frozen=True, kw_only=True):
    """Cameras of one area that fell silent together.

    Attributes:
        outage_id: the same while the camera that fell silent first is silent.
        since: when that was told, RFC 3339.
        latitude, longitude: middle of its cameras, degrees WGS 84.
        cameras: that are silent, in order.
        alerts: ids of their ``camera_silent`` alerts, which it stands for.
        message: for people.
    """

    outage_id: str
    since: str
    latitude: float
    longitude: float
    cameras: list[str]
    alerts: list[str]
    message: str
