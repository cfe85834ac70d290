"""Distances and headings on the ground, for a city: a flat map around a place is exact to a percent there."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, atan2, atanh, cos, cosh, degrees, hypot, radians, sin, sinh, sqrt

import numpy as np
import numpy.typing as npt

from trafficapp.movement.distance import EARTH_RADIUS_M, METRES_PER_DEGREE

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


#: WGS 84.
_MAJOR_AXIS_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563


@dataclass(frozen=True, slots=True)
class TransverseMercator:
    """A transverse Mercator map on WGS 84, exact to a millimetre within 30 degrees of its meridian.

    Series of Krüger to the fourth order in the third flattening (Karney: Transverse Mercator with an accuracy of a few
    nanometers, 2011, equations 11, 15 and 36).

    Attributes:
        meridian: longitude of its middle, degrees.
        scale: on the meridian.
        false_east: metres that are added to the east.
        false_north: metres that are added to the north.
    """

    meridian: float
    scale: float = 0.9996
    false_east: float = 500_000.0
    false_north: float = 0.0

    def degrees(self, east: float, north: float) -> tuple[float, float]:
        """Latitude and longitude of a place on the map."""
        n = _FLATTENING / (2 - _FLATTENING)
        radius = self.scale * _MAJOR_AXIS_M / (1 + n) * (1 + n**2 / 4 + n**4 / 64)
        xi, eta = (north - self.false_north) / radius, (east - self.false_east) / radius
        beta = (
            n / 2 - 2 * n**2 / 3 + 37 * n**3 / 96 - n**4 / 360,
            n**2 / 48 + n**3 / 15 - 437 * n**4 / 1440,
            17 * n**3 / 480 - 37 * n**4 / 840,
            4397 * n**4 / 161_280,
        )
        around = xi - sum(b * sin(2 * j * xi) * cosh(2 * j * eta) for j, b in enumerate(beta, 1))
        aside = eta - sum(b * cos(2 * j * xi) * sinh(2 * j * eta) for j, b in enumerate(beta, 1))
        # the conformal latitude, and from it the geographic one by Newton's steps
        conformal = sin(around) / hypot(sinh(aside), cos(around))
        tangent = conformal
        squared = _FLATTENING * (2 - _FLATTENING)
        eccentricity = sqrt(squared)
        for _ in range(5):
            sigma = sinh(eccentricity * atanh(eccentricity * tangent / hypot(1, tangent)))
            there = tangent * hypot(1, sigma) - sigma * hypot(1, tangent)
            tangent += (
                (conformal - there)
                / hypot(1, there)
                * (1 + (1 - squared) * tangent**2)
                / ((1 - squared) * hypot(1, tangent))
            )
        return degrees(atan(tangent)), self.meridian + degrees(atan2(sinh(aside), cos(around)))


def utm_map(zone: int, southern: bool = False) -> TransverseMercator:
    """The map of a zone of UTM, 1 to 60."""
    return TransverseMercator(zone * 6 - 183.0, false_north=10_000_000.0 if southern else 0.0)
