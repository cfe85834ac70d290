"""Regional outages: cameras of one area that fell silent together, as one.

What takes many cameras away at once is a line, a switch or a power supply, not thirty cameras. Which silent cameras
are one outage follows from where they stand and when they fell silent alone, so every worker says the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, hypot, radians
from typing import NamedTuple
from uuid import UUID, uuid5

from models.quality.outages import Outage
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.movement.distance import METRES_PER_DEGREE
from trafficapp.settings.quality import QualitySettings

_NAMESPACE = UUID("0d6f3a1c-58c0-5b0e-8c7f-6f6a4d5b9e21")


class SilentCamera(NamedTuple):
    """A camera that sends nothing: its open alert, where it stands (degrees WGS 84), when the alert was raised."""

    camera_id: str
    alert_id: str
    latitude: float
    longitude: float
    since_us: int


def outages_of(silent: Iterable[SilentCamera], settings: QualitySettings) -> list[Outage]:
    """Outages among silent cameras, the largest first.

    Two cameras belong together when they stand within ``outage_reach_m`` and fell silent within ``outage_seconds`` of
    each other, and so on from camera to camera. Fewer than ``outage_cameras`` are none. One goes on under the same id
    as long as the camera that fell silent first does.
    """
    rest = sorted(silent, key=lambda one: (one.since_us, one.camera_id))
    found = []
    while rest:
        together, open_ = [rest[0]], [rest.pop(0)]
        while open_:
            one = open_.pop()
            near = [other for other in rest if _belong_together(one, other, settings)]
            rest = [other for other in rest if other not in near]
            together += near
            open_ += near
        if len(together) >= settings.outage_cameras:
            found.append(_outage(together))
    return sorted(found, key=lambda one: (-len(one.cameras), one.outage_id))


def _belong_together(one: SilentCamera, other: SilentCamera, settings: QualitySettings) -> bool:
    if abs(one.since_us - other.since_us) > settings.outage_seconds * MICROSECONDS_PER_SECOND:
        return False
    north = one.latitude - other.latitude
    east = (one.longitude - other.longitude) * cos(radians(one.latitude))
    return hypot(north, east) * METRES_PER_DEGREE <= settings.outage_reach_m


def _outage(together: list[SilentCamera]) -> Outage:
    first = min(together, key=lambda one: (one.since_us, one.camera_id))
    cameras = sorted(one.camera_id for one in together)
    return Outage(
        outage_id=str(uuid5(_NAMESPACE, first.alert_id)),
        since=rfc3339(first.since_us),
        latitude=round(sum(one.latitude for one in together) / len(together), 6),
        longitude=round(sum(one.longitude for one in together) / len(together), 6),
        cameras=cameras,
        alerts=sorted(one.alert_id for one in together),
        message=f"{len(cameras)} cameras of one area are silent: a regional outage",
    )
