"""Zones: rings on the map, whether they are areas at all, and which places lie in them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import shapely

#: A place as (longitude, latitude), WGS 84.
LonLat: TypeAlias = tuple[float, float]


class NotAnArea(ValueError):
    """Points that enclose no area; the message says why, and where."""


def closed_ring(points: Sequence[LonLat]) -> list[LonLat]:
    """The ring through points, its last point the first one again; points repeated on the spot are left out.

    Raises:
        NotAnArea: fewer than three places, or the ring crosses itself, touches itself or has no inside.
    """
    ring = [point for point, before in zip(points, [None, *points[:-1]], strict=True) if point != before]
    if len(ring) > 1 and ring[0] == ring[-1]:
        ring.pop()
    if len(set(ring)) < 3:
        raise NotAnArea(f"an area needs 3 different points, not {len(set(ring))}")
    if shapely.MultiPoint(ring).convex_hull.area == 0:
        raise NotAnArea("the points lie on a line")
    ring.append(ring[0])
    polygon = shapely.Polygon(ring)
    if not polygon.is_valid:
        raise NotAnArea(_fault(polygon))
    return ring


def places_inside(ring: Sequence[LonLat], places: np.ndarray) -> np.ndarray:
    """Which of some places (rows of longitude, latitude) lie in a closed ring, as booleans.

    Of zones that share a border, a place on it belongs to one: to that on its east or north. So zones that cover a city
    count each place once. That is the crossing-number rule with half-open edges (Haines, Point in Polygon Strategies,
    Graphics Gems IV, 1994); libraries of geometry count such a place to both zones, or to none.
    """
    x, y = places[:, 0], places[:, 1]
    inside = np.zeros(len(places), dtype=bool)
    for (x1, y1), (x2, y2) in pairwise(ring):
        if y1 == y2:
            continue
        if y1 > y2:
            # both zones of a border reckon with the same numbers
            x1, y1, x2, y2 = x2, y2, x1, y1
        spans = (y1 <= y) & (y < y2)
        inside ^= spans & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return inside


def lies_inside(ring: Sequence[LonLat], longitude: float, latitude: float) -> bool:
    """Whether one place lies in a closed ring, by the rule of `places_inside`, which is quick for many only."""
    inside = False
    x1, y1 = ring[0]
    for x2, y2 in ring:
        if (y1 <= latitude) != (y2 <= latitude):
            # both zones of a border reckon with the same numbers
            if y1 < y2:
                inside ^= longitude < x1 + (latitude - y1) / (y2 - y1) * (x2 - x1)
            else:
                inside ^= longitude < x2 + (latitude - y2) / (y1 - y2) * (x1 - x2)
        x1, y1 = x2, y2
    return inside


def _fault(polygon: shapely.Polygon) -> str:
    """Why a polygon is not valid, with the place in words: GEOS says ``Self-intersection[11.34 44.49]``."""
    reason, _, place = shapely.is_valid_reason(polygon).partition("[")
    try:
        longitude, latitude = (float(number) for number in place.rstrip("]").split())
    except ValueError:
        return f"the points enclose no simple area: {reason}"
    return f"the points enclose no simple area: {reason.lower()} at latitude {latitude:.6f}, longitude {longitude:.6f}"
