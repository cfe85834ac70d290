"""Edges within reach and ways between edges are those that a plain search finds."""

from __future__ import annotations

import heapq
from math import inf

import numpy as np
import pytest
import shapely

from tests.matching.conftest import RULE
from tests.roads.towns import by_chance
from trafficapp.matching.candidates import candidates_of
from trafficapp.matching.roads import FARTHEST_M, MatchingRoads
from trafficapp.roads.graph.road_graph import RoadGraph


def lines_of(roads: MatchingRoads) -> list[shapely.LineString]:
    graph = roads.graph
    points = roads.flat.metres(graph.shape_lat, graph.shape_lon)
    return [
        shapely.LineString(points[begin:end])
        for begin, end in zip(graph.shape_offsets, graph.shape_offsets[1:], strict=False)
    ]


def ways_from(roads: MatchingRoads, edge: int) -> dict[int, float]:
    """From the end of an edge to the beginning of others, by the book (Dijkstra)."""
    graph, lines, found = roads.graph, lines_of(roads), dict[int, float]()
    ahead = [(0.0, edge, True)]
    while ahead:
        metres, at, first = heapq.heappop(ahead)
        if not first:
            if at in found or metres > FARTHEST_M:
                continue
            found[at] = metres
            metres += lines[at].length
        for turn in graph.turns_out_of[at]:
            onto = graph.turn_heads[turn]
            gap = shapely.Point(lines[at].coords[-1]).distance(shapely.Point(lines[onto].coords[0]))
            heapq.heappush(ahead, (metres + gap, onto, False))
    return found


@pytest.fixture(params=["bologna", 3, 8])
def made(request: pytest.FixtureRequest, roads: MatchingRoads) -> MatchingRoads:
    return roads if request.param == "bologna" else MatchingRoads.build(by_chance(request.param), RULE.reach_m)


def test_edges_within_reach_are_found_with_places_on_them(made: MatchingRoads) -> None:
    rng = np.random.default_rng(4)
    graph = made.graph
    points = made.flat.metres(graph.shape_lat, graph.shape_lon)
    near = points[rng.integers(len(points), size=150)] + rng.normal(0, 25, (150, 2))
    nothing = np.full(150, np.nan)
    found = candidates_of(made, RULE, near[:, 0], near[:, 1], nothing, nothing)
    got = {
        (fix, edge): (offset, distance)
        for fix, edge, offset, distance in zip(
            found.fix.tolist(), found.edge.tolist(), found.offset_m.tolist(), found.distance_m.tolist(), strict=True
        )
    }
    lines = lines_of(made)
    expected = {
        (fix, edge)
        for fix, place in enumerate(near)
        for edge, line in enumerate(lines)
        if line.distance(shapely.Point(place)) <= RULE.reach_m
    }
    assert set(got) == expected
    assert len(got) == len(found.fix) > 100
    for (fix, edge), (offset, distance) in got.items():
        assert distance == pytest.approx(lines[edge].distance(shapely.Point(near[fix])), abs=1e-6)
        assert lines[edge].interpolate(offset).distance(shapely.Point(near[fix])) == pytest.approx(distance, abs=1e-6)


def test_ways_are_the_shortest_over_allowed_turns(made: MatchingRoads) -> None:
    edges = np.arange(made.graph.edge_count)
    for edge in range(0, made.graph.edge_count, 7):
        expected = ways_from(made, edge)
        got = made.ways.metres(np.full(len(edges), edge), edges)
        assert got.tolist() == pytest.approx([expected.get(other, inf) for other in edges.tolist()], abs=0.1)


def test_a_graph_without_turns_has_no_ways() -> None:
    graph = by_chance(3)
    none = np.empty(0, np.int64)
    arrays = {
        **{name: getattr(graph, name) for name in RoadGraph.__dataclass_fields__},
        "turn_from": none,
        "turn_to": none,
        "turn_seconds": np.empty(0),
    }
    made = MatchingRoads.build(RoadGraph(**arrays), RULE.reach_m)
    assert made.ways.metres(np.array([0]), np.array([1])).tolist() == [inf]
