"""Zones: rings on the map, whether they are areas at all, and which places lie in them."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Which of some places (rows of longitude, latitude) lie in a ring or on its border, as booleans."""
    polygon = shapely.Polygon(ring)
    shapely.prepare(polygon)
    inside: np.ndarray = shapely.intersects_xy(polygon, places[:, 0], places[:, 1])
    return inside


def _fault(polygon: shapely.Polygon) -> str:
    """Why a polygon is not valid, with the place in words: GEOS says ``Self-intersection[11.34 44.49]``."""
    reason, _, place = shapely.is_valid_reason(polygon).partition("[")
    try:
        longitude, latitude = (float(number) for number in place.rstrip("]").split())
    except ValueError:
        return f"the points enclose no simple area: {reason}"
    return f"the points enclose no simple area: {reason.lower()} at latitude {latitude:.6f}, longitude {longitude:.6f}"
