"""Regional outages: cameras of one area that are silent together."""

from __future__ import annotations

from msgspec import Struct


class Outage(Struct, frozen=True, kw_only=True):
    """Cameras of one area that fell silent together.

    Attributes:
        outage_id: of its alert (`regional_outage` in ``/api/quality/alerts``), the same while it goes on.
        since: when the first of its cameras was told, RFC 3339.
        latitude, longitude: middle of its cameras when it was opened, degrees WGS 84.
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
