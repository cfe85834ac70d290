"""Roads of a feed and vehicles are put onto the edges they are on, in their direction."""

from __future__ import annotations

import numpy as np
import pytest

from tests.roads.towns import BLOCK, SOUTH, WEST, graph_of, town
from trafficapp.roads.graph.index import InvalidPlace, RoadIndex
from trafficapp.roads.graph.matching import TooLarge, match_road, match_vehicle
from trafficapp.roads.graph.road_graph import RoadGraph

TOWN = RoadIndex.build(town(3, 5))
#: About five metres to the north.
ASIDE = 0.00005


def edges(index: RoadIndex, coordinates: list[tuple[float, float]]) -> list[tuple[int, int]]:
    """The matched edges as (from, to)."""
    graph = index.graph
    return [(int(graph.edge_from[one.edge]), int(graph.edge_to[one.edge])) for one in match_road(index, coordinates)]


def test_a_road_is_on_the_edges_of_its_direction_in_order() -> None:
    row = [(SOUTH + BLOCK + ASIDE, WEST + BLOCK * column) for column in (0.9, 2, 3.1)]
    assert edges(TOWN, row) == [(6, 7), (7, 8)]
    assert edges(TOWN, row[::-1]) == [(8, 7), (7, 6)]


def test_a_road_round_a_corner() -> None:
    corner = [(SOUTH, WEST), (SOUTH, WEST + BLOCK), (SOUTH + BLOCK, WEST + BLOCK)]
    assert edges(TOWN, corner) == [(0, 1), (1, 6)]


def test_a_road_that_is_a_part_of_an_edge_covers_that_share() -> None:
    (match,) = match_road(TOWN, [(SOUTH, WEST + 0.2 * BLOCK), (SOUTH, WEST + 0.5 * BLOCK)])
    assert match.edge == 0
    assert match.share == pytest.approx(0.3, abs=0.1)
    assert match.distance_m < 0.5


def test_a_road_that_is_not_on_the_map_is_on_no_edge() -> None:
    assert match_road(TOWN, [(SOUTH + 0.5 * BLOCK, WEST), (SOUTH + 0.5 * BLOCK, WEST + BLOCK)]) == []
    assert match_road(TOWN, [(0.0, 0.0), (0.0, 1.0)]) == []


def test_of_parallel_roads_the_nearest_counts() -> None:
    apart = 0.00018  # 20 m
    graph = graph_of(
        np.array([(44.5, 11.3), (44.5, 11.303), (44.5 + apart, 11.3), (44.5 + apart, 11.303)]), [(0, 1), (2, 3)]
    )
    assert edges(RoadIndex.build(graph), [(44.5 + ASIDE, 11.3), (44.5 + ASIDE, 11.303)]) == [(0, 1)]


def test_every_road_of_bologna_is_found_beside_itself(bologna: RoadGraph) -> None:
    index, rng = RoadIndex.build(bologna), np.random.default_rng(5)
    for edge in np.flatnonzero(bologna.length_m > 30).tolist():
        part = slice(int(bologna.shape_offsets[edge]), int(bologna.shape_offsets[edge + 1]))
        line = np.column_stack([bologna.shape_lat[part], bologna.shape_lon[part]]) + rng.normal(0, 2e-5, 2)
        matches = match_road(index, [(lat, lon) for lat, lon in line.tolist()])
        assert edge in {match.edge for match in matches}
        assert len(matches) <= 2


@pytest.mark.parametrize(
    "coordinates",
    [[], [(44.5, 11.3)], [(44.5, 11.3), (44.5, 11.3)], [(44.5, np.nan), (44.5, 11.3)], [(44.5, 11.3), (120.0, 11.3)]],
)
def test_roads_that_are_none_are_refused(coordinates: list[tuple[float, float]]) -> None:
    with pytest.raises(InvalidPlace):
        match_road(TOWN, coordinates)


def test_a_vehicle_is_on_the_edge_it_drives_along() -> None:
    place = SOUTH + BLOCK + ASIDE, WEST + 1.5 * BLOCK
    graph = TOWN.graph
    for heading, expected in ((90.0, (6, 7)), (275.0, (7, 6)), (450.0, (6, 7))):
        found = match_vehicle(TOWN, *place, heading)
        assert found is not None
        assert (graph.edge_from[found.edge], graph.edge_to[found.edge]) == expected
        assert found.fraction == pytest.approx(0.5, abs=0.01)
        assert found.distance_m == pytest.approx(5.6, abs=0.1)
    assert match_vehicle(TOWN, *place, 0.0) is None
    assert match_vehicle(TOWN, *place) is not None
    assert match_vehicle(TOWN, SOUTH + 0.5 * BLOCK, WEST + 0.5 * BLOCK) is None
    with pytest.raises(InvalidPlace):
        match_vehicle(TOWN, *place, np.nan)


def test_a_line_all_over_the_city_is_no_road(bologna: RoadGraph) -> None:
    index, rng = RoadIndex.build(bologna), np.random.default_rng(5)
    south, west = bologna.node_lat.min(), bologna.node_lon.min()
    line = np.array([south, west]) + rng.uniform(0, 0.02, (1000, 2))
    with pytest.raises(TooLarge, match="km, more than 100"):
        match_road(index, [(lat, lon) for lat, lon in line.tolist()])
    with pytest.raises(TooLarge, match="10001 points"):
        match_road(index, [(44.5, 11.3)] * 10_001)


def ways(count: int, kilometres: float) -> RoadIndex:
    """As many edges beside each other, to and fro, and how long each is."""
    east = 11.3 + kilometres / 79.3
    return RoadIndex.build(graph_of(np.array([(44.5, 11.3), (44.5, east)]), [(0, 1), (1, 0)] * (count // 2)))


def test_a_road_is_compared_with_so_many_edges_and_no_more() -> None:
    short = [(44.5, 11.3), (44.5, 11.303)]
    assert len(match_road(ways(1000, 0.24), short)) == 500
    with pytest.raises(TooLarge, match="beside 1002 edges, more than 1,000"):
        match_road(ways(1002, 0.24), short)
    assert len(match_road(ways(12, 40), [(44.5, 11.3), (44.5, 11.8)])) == 6
    with pytest.raises(TooLarge, match="km of edges, more than 500"):
        match_road(ways(14, 40), [(44.5, 11.3), (44.5, 11.8)])


def test_of_a_road_that_turns_back_on_itself_the_way_there_counts() -> None:
    there = [(SOUTH, WEST), (SOUTH, WEST + BLOCK)]
    assert edges(TOWN, [*there, there[0]]) == [(0, 1)]
    # places that follow themselves say nothing
    assert edges(TOWN, [there[0], *there, there[1], there[1]]) == [(0, 1)]
