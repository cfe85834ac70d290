"""Which places lie in a zone: of zones that cover a city, each place lies in exactly one."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from trafficapp.administration.zones import LonLat, closed_ring, places_inside

SQUARE: list[LonLat] = [(11.0, 44.0), (12.0, 44.0), (12.0, 45.0), (11.0, 45.0)]


def is_inside(ring: list[LonLat], *places: LonLat) -> list[bool]:
    found: list[bool] = places_inside(closed_ring(ring), np.array(places)).tolist()
    return found


def test_a_border_belongs_to_the_zone_on_its_east_and_north() -> None:
    for ring in (SQUARE, SQUARE[::-1]):
        west_and_south = is_inside(ring, (11.0, 44.5), (11.5, 44.0), (11.0, 44.0))
        east_and_north = is_inside(ring, (12.0, 44.5), (11.5, 45.0), (12.0, 45.0), (12.0, 44.0), (11.0, 45.0))
        assert (west_and_south, east_and_north) == ([True] * 3, [False] * 5)


@given(
    # half-way from there to a corner must not be rounded onto the border of the square
    st.floats(11.000001, 11.999999),
    st.floats(44.000001, 44.999999),
    st.lists(st.tuples(st.floats(11.0, 11.999999), st.floats(44.0, 44.999999)), min_size=1, max_size=30),
)
def test_zones_that_cover_a_city_count_each_place_once(x: float, y: float, places: list[LonLat]) -> None:
    """Four triangles around a place anywhere in a square, asked for places anywhere, on borders and corners, too."""
    corner = [*SQUARE, SQUARE[0]]
    zones = [[corner[number], corner[number + 1], (x, y)] for number in range(4)]
    on_borders = [(x, y), (11.0, 44.0), *(((x + a) / 2, (y + b) / 2) for a, b in SQUARE)]
    asked = np.array([*places, *on_borders])
    counts = sum(places_inside([*zone, zone[0]], asked).astype(int) for zone in zones)
    assert np.all(counts == 1)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=30))
def test_off_the_border_it_is_what_geometry_says(places: list[LonLat]) -> None:
    ring = closed_ring([(-0.9, -0.8), (0.7, -0.9), (0.2, 0.1), (0.9, 0.8), (-0.6, 0.9), (-0.1, 0.0)])
    polygon, points = shapely.Polygon(ring), shapely.points(places)
    clear = shapely.distance(polygon.exterior, points) > 1e-9
    found, right = places_inside(ring, np.array(places)), shapely.contains(polygon, points)
    assert np.array_equal(found[clear], right[clear])
