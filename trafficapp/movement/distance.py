"""Distances between single places, in plain numbers; `trafficapp.roads.graph.earth` has many at once."""

from __future__ import annotations

from math import asin, cos, hypot, pi, sin, sqrt

#: Mean radius, IUGG.
EARTH_RADIUS_M = 6_371_008.8
_RADIANS = pi / 180
METRES_PER_DEGREE = EARTH_RADIUS_M * _RADIANS
#: Places no farther apart, degrees, lie on a flat map.
_FLAT = 0.2


def metres_between(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Great-circle distance of two places, degrees WGS 84; of places near each other exact to a millionth."""
    north, east = other_latitude - latitude, other_longitude - longitude
    if -_FLAT < north < _FLAT and -_FLAT < east < _FLAT:
        return hypot(north, east * cos((latitude + other_latitude) / 2 * _RADIANS)) * METRES_PER_DEGREE
    across, along = sin(north / 2 * _RADIANS), sin(east / 2 * _RADIANS)
    # haversine
    chord = across * across + cos(latitude * _RADIANS) * cos(other_latitude * _RADIANS) * along * along
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(chord, 1.0)))
