"""How fast may be driven: the same as when every piece of every road is looked at."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.limits import SpeedLimits
from trafficapp.settings import Settings

METRES = 6_371_008.8 * math.pi / 180


@pytest.fixture(scope="module")
def graph() -> RoadGraph:
    """The city's, with many limits, so that it matters which road it is."""
    shipped = city_graph(Settings().roads)
    return replace(shipped, free_flow_kmh=np.array([30.0 + 10 * (edge % 7) for edge in range(shipped.edge_count)]))


@pytest.fixture(scope="module")
def pieces(graph: RoadGraph) -> list[tuple[float, float, float, float, float]]:
    found = []
    for edge in range(graph.edge_count):
        begin, end = graph.shape_offsets[edge : edge + 2].tolist()
        line = list(zip(graph.shape_lat[begin:end].tolist(), graph.shape_lon[begin:end].tolist(), strict=True))
        found += [(*one, *other, float(graph.free_flow_kmh[edge])) for one, other in pairwise(line)]
    return found


def metres_off(lat: float, lon: float, piece: tuple[float, float, float, float, float]) -> float:
    """By halving: where along the piece it is nearest."""
    lat1, lon1, lat2, lon2, _ = piece
    shrunk = math.cos(math.radians(lat))

    def off(along: float) -> float:
        north, east = lat1 + along * (lat2 - lat1) - lat, (lon1 + along * (lon2 - lon1) - lon) * shrunk
        return math.hypot(north, east) * METRES

    low, high = 0.0, 1.0
    for _ in range(40):
        third = (high - low) / 3
        low, high = (low, high - third) if off(low + third) < off(high - third) else (low + third, high)
    return off((low + high) / 2)


def test_it_is_that_of_the_nearest_roads_that_lead_there(
    graph: RoadGraph, pieces: list[tuple[float, float, float, float, float]]
) -> None:
    limits, dice = SpeedLimits(graph), random.Random(1)
    known = 0
    for _ in range(120):
        lat1, lon1, lat2, lon2, _ = dice.choice(pieces)
        along, heading = dice.random(), dice.choice((None, dice.uniform(0, 360)))
        lat = lat1 + along * (lat2 - lat1) + dice.gauss(0, 12) / METRES
        lon = lon1 + along * (lon2 - lon1) + dice.gauss(0, 12) / METRES
        near = [piece for piece in pieces if abs(piece[0] - lat) < 0.006 and abs(piece[1] - lon) < 0.006]
        found = sorted((metres_off(lat, lon, piece), piece[4]) for piece in near if leads(piece, heading))
        if any(abs(one[0] - limit) < 0.3 for one in found for limit in (25, found[0][0] + 10)):
            continue  # maps differ by this
        there = [one for one in found if one[0] <= 25 and one[0] <= found[0][0] + 10]
        right = max((one[1] for one in there), default=None)
        assert limits.limit_at(lat, lon, heading) == right
        lowest = limits.lowest_near(lat, lon)
        known += right is not None
        assert right is None or (lowest is not None and lowest <= right)
    assert known > 40


def leads(piece: tuple[float, float, float, float, float], heading: float | None) -> bool:
    if heading is None:
        return True
    lat1, lon1, lat2, lon2, _ = piece
    own = math.degrees(math.atan2((lon2 - lon1) * math.cos(math.radians(lat1)), lat2 - lat1))
    return abs((own - heading + 180) % 360 - 180) <= 45


def test_where_no_road_is_there_is_no_limit(graph: RoadGraph) -> None:
    limits = SpeedLimits(graph)
    assert limits.limit_at(-33.9, -18.4, 90.0) is None
    assert limits.lowest_near(-33.9, -18.4) is None
