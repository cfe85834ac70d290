"""Cameras and zones as administrators registered them."""

from __future__ import annotations

from dataclasses import dataclass

from trafficapp.administration.zones import LonLat


@dataclass(frozen=True, slots=True)
class RegisteredCamera:
    """A camera; latitude and longitude are there together or not at all."""

    camera_id: str
    name: str
    latitude: float | None
    longitude: float | None
    road_segment: str | None


@dataclass(frozen=True, slots=True)
class RegisteredZone:
    """A zone; the ring is closed."""

    id: int
    name: str
    ring: list[LonLat]
