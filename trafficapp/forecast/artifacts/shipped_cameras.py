"""Whether a camera is one of those that the shipped model of cameras was trained on: names alone do not say so.

Half the world calls its first camera ``cam_01``; a model of another city's has nothing to say about it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from trafficapp.cameras.files import Accepted, Format, read_cameras
from trafficapp.roads.graph.earth import metres_along
from trafficapp.sources.recordings import cameras_path

#: A camera within so many metres of the place is the same one, registered by another hand.
SAME_PLACE_M = 250.0


class KnownCamera(Protocol):
    """What is registered of a camera."""

    @property
    def latitude(self) -> float | None:
        """Degrees, WGS 84."""

    @property
    def longitude(self) -> float | None:
        """Degrees, WGS 84."""


class _Place(NamedTuple):
    latitude: float
    longitude: float


def why_foreign(camera_id: str, registered: KnownCamera | None) -> str | None:
    """Why a camera is not the one of this name that the shipped model knows; None when it is.

    Args:
        camera_id: its name, which the model knows.
        registered: what is registered under it.
    """
    if registered is None or registered.latitude is None or registered.longitude is None:
        return "nobody registered where it stands"
    place = _places().get(camera_id)
    if place is None:
        return "no place is known of the model's"
    here, there = (np.array([one]) for one in (registered.latitude, place.latitude))
    metres = float(metres_along(here, np.array([registered.longitude]), there, np.array([place.longitude]))[0])
    return None if metres <= SAME_PLACE_M else f"it stands {metres / 1000:,.1f} km away from the model's"


@lru_cache(maxsize=1)
def _places() -> dict[str, _Place]:
    rows = read_cameras(cameras_path().read_bytes(), Format.JSON)
    found = [row.camera for row in rows if isinstance(row, Accepted)]
    return {
        camera.camera_id: _Place(camera.latitude, camera.longitude)
        for camera in found
        if camera.latitude is not None and camera.longitude is not None
    }
