"""Distances between single places, in plain numbers; `trafficapp.roads.graph.earth` has many at once."""

from __future__ import annotations

from math import asin, cos, pi, sin, sqrt

from trafficapp.roads.graph.earth import EARTH_RADIUS_M

_RADIANS = pi / 180


def metres_between(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Great-circle distance of two places, degrees WGS 84 (haversine)."""
    phi, other_phi = latitude * _RADIANS, other_latitude * _RADIANS
    across = sin((other_phi - phi) / 2)
    along = sin((other_longitude - longitude) * _RADIANS / 2)
    chord = across * across + cos(phi) * cos(other_phi) * along * along
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(chord, 1.0)))
