"""Where a message may be of: the world, or the bounds of the city."""

from __future__ import annotations

from models.cameras.detections import Rejected
from trafficapp.settings.city import Bounds


def check_place(latitude: float, longitude: float, bounds: Bounds | None) -> None:
    """Refuse a place that cannot be.

    Args:
        latitude: degrees WGS 84.
        longitude: likewise.
        bounds: of the city; None is the world.

    Raises:
        Rejected: it is no place on earth, or none of the city; says so where the two numbers look swapped.
    """
    # a number that is none is not between any
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        told = f"latitude {latitude:g}, longitude {longitude:g}"
        raise Rejected("invalid_place", f"{told} is no place{_swapped(latitude, longitude)}")
    if latitude == longitude == 0:
        # on the open sea, south of Ghana; readers of NMEA say it of a receiver that has no fix
        raise Rejected("invalid_place", "latitude 0, longitude 0 is what receivers tell that know no place")
    if bounds is None or _is_within(latitude, longitude, bounds):
        return
    hint = "; they look swapped" if _is_within(longitude, latitude, bounds) else ""
    south, west, north, east = bounds
    raise Rejected(
        "outside_city",
        f"latitude {latitude:g}, longitude {longitude:g} is outside the city, latitude {south:g} to {north:g}, "
        f"longitude {west:g} to {east:g}{hint}",
    )


def _is_within(latitude: float, longitude: float, bounds: Bounds) -> bool:
    south, west, north, east = bounds
    return south <= latitude <= north and west <= longitude <= east


def _swapped(latitude: float, longitude: float) -> str:
    return "; they look swapped" if abs(latitude) <= 180 and abs(longitude) <= 90 else ""
