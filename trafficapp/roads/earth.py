"""Distances and headings on the ground, for a city: a flat map around a place is exact to a percent there."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians

import numpy as np
import numpy.typing as npt

#: Mean radius, IUGG.
EARTH_RADIUS_M = 6_371_008.8
METRES_PER_DEGREE = EARTH_RADIUS_M * np.pi / 180

_Floats = npt.NDArray[np.float64]


def metres_along(lat_a: _Floats, lon_a: _Floats, lat_b: _Floats, lon_b: _Floats) -> _Floats:
    """Great-circle distances between places, pair by pair (haversine)."""
    phi_a, phi_b = np.radians(lat_a), np.radians(lat_b)
    half_lat, half_lon = (phi_b - phi_a) / 2, np.radians(np.subtract(lon_b, lon_a)) / 2
    chord = np.sin(half_lat) ** 2 + np.cos(phi_a) * np.cos(phi_b) * np.sin(half_lon) ** 2
    metres: _Floats = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(chord, 0, 1)))
    return metres


@dataclass(frozen=True, slots=True)
class FlatMap:
    """A map in metres, east and north, true to scale near one latitude (equirectangular)."""

    latitude: float

    def metres(self, lat: _Floats, lon: _Floats) -> _Floats:
        """Rows of (east, north) in metres."""
        east = np.asarray(lon, float) * METRES_PER_DEGREE * cos(radians(self.latitude))
        return np.column_stack([np.ravel(east), np.ravel(np.asarray(lat, float)) * METRES_PER_DEGREE])

    def degrees(self, east: float, north: float) -> tuple[float, float]:
        """Latitude and longitude of a place on the map."""
        return north / METRES_PER_DEGREE, east / (METRES_PER_DEGREE * cos(radians(self.latitude)))


def headings(steps: _Floats) -> _Floats:
    """Compass headings, degrees clockwise from north in [0, 360), of rows of (east, north) steps."""
    degrees: _Floats = np.degrees(np.arctan2(steps[:, 0], steps[:, 1])) % 360
    return degrees


def between_headings(one: _Floats, other: _Floats) -> _Floats:
    """Angles between headings, 0 to 180 degrees."""
    degrees: _Floats = abs((np.asarray(one) - other + 180) % 360 - 180)
    return degrees
