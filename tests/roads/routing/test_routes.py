"""Routes are the quickest, avoid jams while there are any, and the alternatives are real ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.roads.routing.reference import Reference, arrival_by_the_clock
from tests.roads.towns import BLOCK, SOUTH, WEST, graph_of, town
from trafficapp.roads.graph.index import InvalidPlace, OffTheMap
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.routing.routes import Place, Recommendation, Route, RoutePlanner, Unreachable
from trafficapp.roads.routing.weights import HORIZONS_SECONDS, travel_times


def at_node(graph: RoadGraph, node: int) -> Place:
    return Place(float(graph.node_lat[node]), float(graph.node_lon[node]))


def set_speeds(planner: RoutePlanner, speeds: np.ndarray, version: str) -> None:
    planner.use(
        planner.prepare(
            travel_times(planner.graph, np.atleast_2d(speeds), HORIZONS_SECONDS[: len(np.atleast_2d(speeds))]), version
        )
    )


def answers(planner: RoutePlanner, count: int, seed: int = 1) -> list[Recommendation]:
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        one, other = rng.integers(planner.graph.node_count, size=2)
        if one != other:
            found.append(planner.recommend(at_node(planner.graph, one), at_node(planner.graph, other)))
    return found


def length_m(graph: RoadGraph, edges: set[int]) -> float:
    return float(graph.length_m[sorted(edges)].sum())


def assert_allowed(graph: RoadGraph, route: Route) -> None:
    turns = set(zip(graph.turn_from.tolist(), graph.turn_to.tolist(), strict=True))
    assert turns.issuperset(pairwise(route.edges))


def test_alternatives_are_different_and_not_much_longer(planner: RoutePlanner) -> None:
    counts = []
    for answer in answers(planner, 60):
        routes = [answer.recommended, *answer.alternatives]
        counts.append(len(routes))
        for route in routes:
            assert_allowed(planner.graph, route)
            assert route.eta_seconds <= 1.5 * answer.recommended.eta_seconds
            assert route.eta_seconds >= answer.recommended.eta_seconds - 0.001 * len(route.edges)
        for route in answer.alternatives:
            nodes = planner.graph.edge_from[list(route.edges)].tolist()
            assert len(set(nodes)) == len(nodes)
        for number, one in enumerate(routes):
            for other in routes[:number]:
                common = length_m(planner.graph, set(one.edges) & set(other.edges))
                assert common <= 0.7 * length_m(planner.graph, set(one.edges))
                assert common <= 0.7 * length_m(planner.graph, set(other.edges))
    assert max(counts) == 3
    assert min(counts) >= 1


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_alternatives_are_half_as_long_again_at_most_in_time_and_in_length(bologna: RoadGraph, seed: int) -> None:
    """Also where the quickest way is the long one, and a short one through a jam would be, too."""
    planner, rng = RoutePlanner(bologna), np.random.default_rng(seed)
    set_speeds(planner, bologna.free_flow_kmh * rng.uniform(0.1, 1.2, (4, bologna.edge_count)), "v")
    for answer in answers(planner, 20, seed):
        for route in answer.alternatives:
            assert route.eta_seconds <= 1.5 * answer.recommended.eta_seconds
            assert route.distance_m <= 1.5 * answer.recommended.distance_m


def test_a_jam_is_avoided_and_after_it_the_route_comes_back(planner: RoutePlanner) -> None:
    avoided = 0
    for before in answers(planner, 60):
        if not before.alternatives:
            continue
        inside = [edge for edge in before.recommended.edges[1:-1] if edge not in before.alternatives[0].edges]
        longest = max(inside, key=lambda edge: planner.graph.length_m[edge])
        begin, end = before.recommended.waypoints[0], before.recommended.waypoints[-1]
        speeds = np.full((4, planner.graph.edge_count), np.nan)
        places = Place(begin.lat, begin.lng), Place(end.lat, end.lng)
        usual = planner.recommend(*places).recommended
        if longest not in usual.edges:
            continue
        speeds[:, longest] = 0.0
        set_speeds(planner, speeds, "jam")
        during = planner.recommend(*places)
        assert during.version == "jam"
        assert longest not in during.recommended.edges
        speeds[:, longest] = np.nan
        set_speeds(planner, speeds, "clear")
        assert planner.recommend(*places).recommended == usual
        avoided += 1
    assert avoided >= 10


def test_a_jam_that_is_over_when_one_gets_there_is_no_reason_to_turn() -> None:
    """Eleven minutes of road, then a jam that is predicted to clear, or to come."""
    places = np.array([(44.5, 11.3), (44.5, 11.4), (44.5, 11.42), (44.51, 11.41)])
    graph = graph_of(places, [(0, 1), (1, 2), (1, 3), (3, 2)], speeds_kmh=[43, 50, 50, 50])
    planner = RoutePlanner(graph)
    begin, end = Place(44.5, 11.3001), Place(44.5, 11.42)
    direct, around = (0, 1), (0, 2, 3)
    for jam, expected in (([5, 50, 50, 50], direct), ([50, 5, 5, 5], around), ([5, 5, 5, 5], around)):
        speeds = np.full((4, graph.edge_count), np.nan)
        speeds[:, 1] = jam
        set_speeds(planner, speeds, "v")
        assert planner.recommend(begin, end).recommended.edges == expected
    # Who starts in the middle of the road gets to the jam that is over later.
    speeds[:, 1] = [5, 50, 50, 50]
    set_speeds(planner, speeds, "v")
    assert planner.recommend(Place(44.5, 11.39), end).recommended.edges == around
    assert planner.recommend(Place(44.5, 11.39), end, departure_seconds=600).recommended.edges == direct


def planner_of_seconds(
    places: list[tuple[float, float]], ends: list[tuple[int, int]], *rows: list[float]
) -> RoutePlanner:
    """A planner of edges between places (in blocks) that take so long at each horizon."""
    positions = np.array([(SOUTH + north * BLOCK, WEST + east * BLOCK) for north, east in places])
    lengths = graph_of(positions, ends).length_m
    speeds = lengths / np.array(rows) * 3.6
    graph = graph_of(positions, ends, speeds_kmh=np.clip(speeds.max(axis=0), 1, 200))
    planner = RoutePlanner(graph)
    set_speeds(planner, speeds, "v")
    return planner


def test_the_first_part_is_chosen_for_now_and_the_second_for_later() -> None:
    """Two forks one after another; no way is the quickest at both horizons' speeds."""
    places = [(0, 0), (9, 20), (-9, 20), (0, 40), (9, 60), (-9, 60), (0, 80)]
    ends = [(0, 1), (1, 3), (0, 2), (2, 3), (3, 4), (4, 6), (3, 5), (5, 6)]
    north_then_south = (0, 1, 6, 7)
    now = [160.0, 160, 200, 200, 160, 160, 200, 200]
    later = [200.0, 200, 160, 160, 200, 200, 160, 160]
    planner = planner_of_seconds(places, ends, now, later)
    begin, end = at_node(planner.graph, 0), at_node(planner.graph, 6)
    assert planner.recommend(begin, end).recommended.edges == north_then_south
    assert planner.recommend(begin, end, departure_seconds=2000).recommended.edges == (2, 3, 6, 7)


TWO_ROADS = [(0, 0), (0, 20), (0, 40), (8, 20)]


def test_a_way_that_is_quick_only_later_is_no_alternative_now() -> None:
    ends = [(0, 1), (1, 2), (0, 3), (3, 2)]
    planner = planner_of_seconds(TWO_ROADS, ends, [155.0, 155, 3000, 3000], [400.0, 400, 160, 160])
    begin, end = at_node(planner.graph, 0), at_node(planner.graph, 2)
    answer = planner.recommend(begin, end)
    assert answer.recommended.edges == (0, 1)
    assert answer.alternatives == []
    assert planner.recommend(begin, end, departure_seconds=500).recommended.edges == (2, 3)


@pytest.mark.parametrize(("beside", "offered"), [(70.0, True), (110.0, False)])
def test_another_road_all_the_way_is_an_alternative_if_it_is_not_much_longer(beside: float, offered: bool) -> None:
    ends = [(0, 1), (1, 2), (0, 3), (3, 2)]
    planner = planner_of_seconds(TWO_ROADS, ends, [60.0, 60, beside, beside])
    answer = planner.recommend(at_node(planner.graph, 0), at_node(planner.graph, 2))
    assert [route.edges for route in answer.alternatives] == ([(2, 3)] if offered else [])


def test_a_detour_around_a_piece_of_the_way_is_no_alternative() -> None:
    """Half of the way differs, it takes 1.4 times as long, but nobody would leave the road to come back to it."""
    places = [(0, 0), (0, 10), (0, 30), (0, 40), (8, 20)]
    ends = [(0, 1), (1, 2), (2, 3), (1, 4), (4, 2)]
    planner = planner_of_seconds(places, ends, [25.0, 50, 25, 45, 45])
    answer = planner.recommend(at_node(planner.graph, 0), at_node(planner.graph, 3))
    assert answer.recommended.edges == (0, 1, 2)
    assert answer.alternatives == []


def test_a_detour_from_another_road_is_no_second_alternative() -> None:
    places = [(0, 0), (0, 40), (10, 10), (10, 30), (16, 20)]
    ends = [(0, 1), (0, 2), (2, 3), (3, 1), (2, 4), (4, 3)]
    planner = planner_of_seconds(places, ends, [200.0, 80, 60, 80, 50, 50])
    answer = planner.recommend(at_node(planner.graph, 0), at_node(planner.graph, 1))
    assert answer.recommended.edges == (0,)
    assert [route.edges for route in answer.alternatives] == [(1, 2, 3)]


def test_under_changing_speeds_arrivals_are_those_of_a_search_by_the_clock() -> None:
    graph = town(7, 7)
    slow = replace_lengths(graph, 30)
    planner = RoutePlanner(slow)
    rng = np.random.default_rng(4)
    base = rng.uniform(5, 60, slow.edge_count)
    set_speeds(planner, base * rng.uniform(0.5, 1.5, (4, slow.edge_count)), "v")
    times, worse = planner.conditions.times, []
    for _ in range(60):
        one, other = rng.permutation(slow.node_count)[:2].tolist()
        found = planner.recommend(at_node(slow, one), at_node(slow, other)).recommended
        exact = arrival_by_the_clock(slow, times, one, other, 0.0)
        assert found.eta_seconds >= exact - 1e-6
        worse.append(found.eta_seconds / exact - 1)
    assert np.mean(worse) < 0.005
    assert max(worse) < 0.1


def replace_lengths(graph: RoadGraph, times_longer: float) -> RoadGraph:
    """The same town, its roads so much longer than they look: drives take long."""
    return replace(graph, length_m=graph.length_m * times_longer)


def test_etas_between_junctions_are_those_of_the_reference(planner: RoutePlanner) -> None:
    graph = planner.graph
    reference = Reference(graph, graph.free_flow_seconds)
    rng = np.random.default_rng(2)
    for one, other in rng.integers(graph.node_count, size=(60, 2)).tolist():
        if one == other:
            continue
        found = planner.recommend(at_node(graph, one), at_node(graph, other)).recommended
        # Lines end at the border of a junction, and all roads within 10 m count as being there.
        assert found.eta_seconds <= reference.cost(one, other) * 1.001 + 20


def test_places_along_an_edge() -> None:
    planner = RoutePlanner(town(1, 3))
    route = planner.recommend(Place(SOUTH, WEST + 0.25 * BLOCK), Place(SOUTH, WEST + 0.75 * BLOCK)).recommended
    assert route.edges == (0,)
    assert route.distance_m == pytest.approx(planner.graph.length_m[0] / 2, rel=1e-3)
    assert route.eta_seconds == pytest.approx(planner.graph.free_flow_seconds[0] / 2, rel=1e-3)
    assert [(point.lat, round(point.lng, 5)) for point in route.waypoints] == [(SOUTH, 11.30025), (SOUTH, 11.30075)]
    back = planner.recommend(Place(SOUTH, WEST + 0.75 * BLOCK), Place(SOUTH, WEST + 0.25 * BLOCK)).recommended
    assert back.edges == (1,)
    assert back.eta_seconds == pytest.approx(route.eta_seconds)


def test_waypoints_name_the_road_that_goes_on() -> None:
    planner = RoutePlanner(town(2, 2))
    route = planner.recommend(Place(SOUTH, WEST + BLOCK / 2), Place(SOUTH + BLOCK / 2, WEST + BLOCK)).recommended
    names = [(point.road_name) for point in route.waypoints]
    assert names == ["Row 0", "Column 1", "Column 1"]
    assert (route.waypoints[1].lat, route.waypoints[1].lng) == pytest.approx((SOUTH, WEST + BLOCK))


def test_congestion_is_summed_up() -> None:
    graph = town(1, 4)
    planner = RoutePlanner(graph)
    speeds = np.full((4, graph.edge_count), np.nan)
    speeds[:, 0], speeds[:, 2] = 10, 25
    set_speeds(planner, speeds, "v")
    found = planner.recommend(Place(SOUTH, WEST), Place(SOUTH, WEST + 3 * BLOCK)).recommended.congestion
    block_km = float(graph.length_m[0]) / 1000
    assert found.high_km == pytest.approx(block_km)
    assert found.medium_km == pytest.approx(block_km)
    assert found.known_share == pytest.approx(2 / 3)
    assert found.delay_seconds == pytest.approx(graph.free_flow_seconds[0] * (4 + 1))
    assert found.level == "medium"
    assert found.worst_road == "Row 0"


def test_congestion_is_what_the_feed_would_call_so() -> None:
    """Its free flow counts where it tells a speed: that of roads slower, and of one faster than the graph has them."""
    graph = town(1, 4)
    planner = RoutePlanner(graph)
    speeds, free_kmh = np.full((4, graph.edge_count), np.nan), np.full(graph.edge_count, np.nan)
    speeds[:, 0], free_kmh[0] = 16, 16
    speeds[:, 2], free_kmh[2] = 65, 220
    free_kmh[4] = 10
    set_speeds(planner, speeds, "v")
    asked = Place(SOUTH, WEST), Place(SOUTH, WEST + 3 * BLOCK)
    found = planner.recommend(*asked, free_flow_kmh=free_kmh).recommended.congestion
    block_km = float(graph.length_m[0]) / 1000
    assert found.high_km == pytest.approx(block_km)
    assert (found.medium_km, found.delay_seconds, found.worst_road) == (0, pytest.approx(0, abs=1e-6), None)
    # without it there is only the graph's
    found = planner.recommend(*asked).recommended.congestion
    assert (found.medium_km, found.high_km) == (pytest.approx(block_km), 0)


def test_the_same_question_has_the_same_answer(bologna: RoadGraph, planner: RoutePlanner) -> None:
    assert answers(planner, 20) == answers(RoutePlanner(bologna), 20)


def test_places_off_the_map_are_told(planner: RoutePlanner) -> None:
    home = at_node(planner.graph, 0)
    with pytest.raises(OffTheMap, match=r"no road of bologna within 500 m of latitude 45, longitude 11"):
        planner.recommend(home, Place(45, 11))
    with pytest.raises(OffTheMap, match="seem to be swapped"):
        planner.recommend(Place(home.lon, home.lat), home)
    for lat, lon in ((np.nan, 11.0), (44.5, np.inf), (91.0, 11.0), (44.5, -181.0)):
        with pytest.raises(InvalidPlace):
            planner.recommend(home, Place(lat, lon))
    with pytest.raises(ValueError, match="a departure"):
        planner.recommend(home, home, departure_seconds=-1)


def test_what_cannot_be_reached_is_told() -> None:
    places = np.array([(44.5, 11.3), (44.5, 11.301), (44.5, 11.32), (44.5, 11.321)])
    planner = RoutePlanner(graph_of(places, [(0, 1), (2, 3)], names=["West", "East"]))
    with pytest.raises(Unreachable, match=r"\(near 'West'\) to .* \(near 'East'\)"):
        planner.recommend(Place(44.5, 11.3005), Place(44.5, 11.3205))
    with pytest.raises(Unreachable):
        planner.recommend(Place(44.5, 11.3008), Place(44.5, 11.3002))


def test_from_a_road_that_leads_nowhere_one_starts_on_the_next() -> None:
    graph = graph_of(np.array([(44.5, 11.3), (44.5, 11.301), (44.5003, 11.3), (44.5003, 11.302)]), [(0, 1), (2, 3)])
    found = RoutePlanner(graph).recommend(Place(44.5, 11.3005), Place(44.5003, 11.3018))
    assert found.recommended.edges == (1,)
    assert found.origin_moved_m == pytest.approx(33.4, abs=0.1)


def car_park(aisles: int, road_blocks: int = 40, gap: float = 0.3) -> RoadGraph:
    """A road from west to east, and north of it a car park of so many aisles, both ways, that no way leads out of."""
    places = [(0.0, float(block)) for block in range(road_blocks)]
    ends = [way for block in range(road_blocks - 1) for way in ((block, block + 1), (block + 1, block))]
    names = ["Road"] * len(ends)
    # a lane along the heads of the aisles
    for aisle in range(aisles):
        foot, head = len(places), len(places) + 1
        places += [(gap + 0.4, aisle * 0.05), (gap, aisle * 0.05)]
        ends += [(foot, head), (head, foot)]
        if aisle:
            ends += [(foot, foot - 2), (foot - 2, foot)]
        names += ["Aisle"] * (4 if aisle else 2)
    positions = np.array([(SOUTH + north * BLOCK, WEST + east * BLOCK) for north, east in places])
    return graph_of(positions, ends, names=names)


@pytest.mark.parametrize("aisles", [1, 16, 100])
def test_out_of_an_island_of_any_size_one_starts_on_the_nearest_road(aisles: int) -> None:
    planner = RoutePlanner(car_park(aisles))
    inside = Place(SOUTH + 0.6 * BLOCK, WEST + 0.5 * BLOCK * min(aisles - 1, 1))
    far = Place(SOUTH, WEST + 30 * BLOCK)
    there = planner.recommend(inside, far)
    assert {planner.graph.road_name(edge) for edge in there.recommended.edges} == {"Road"}
    assert there.detached == ("origin",)
    assert there.origin_moved_m == pytest.approx(0.6 * 111.195, abs=0.5)
    assert there.destination_moved_m == pytest.approx(0, abs=0.01)
    begin = there.recommended.waypoints[0]
    assert (begin.lat, begin.lng) == pytest.approx((SOUTH, inside.lon), abs=1e-6)
    back = planner.recommend(far, inside)
    assert back.detached == ("destination",)
    assert back.destination_moved_m == pytest.approx(0.6 * 111.195, abs=0.5)
    end = back.recommended.waypoints[-1]
    assert (end.lat, end.lng) == pytest.approx((SOUTH, inside.lon), abs=1e-6)
    assert there.recommended.distance_m == pytest.approx(back.recommended.distance_m, rel=1e-3)


def test_a_large_island_is_left_however_far_its_border_is() -> None:
    """No road of the rest is within the reach of a place, and the destination is nearer to the island."""
    places = [(float(row), float(column)) for row in range(120) for column in range(20)]
    ends = []
    for row in range(120):
        for column in range(20):
            node = row * 20 + column
            if column < 19:
                ends += [(node, node + 1), (node + 1, node)]
            if row < 119 and row != 9:  # no way between these rows
                ends += [(node, node + 20), (node + 20, node)]
    graph = graph_of(np.array([(SOUTH + north * BLOCK, WEST + east * BLOCK) for north, east in places]), ends)
    planner = RoutePlanner(graph)
    inside, outside = Place(SOUTH + BLOCK, WEST + 9.5 * BLOCK), Place(SOUTH + 13 * BLOCK, WEST + 9.5 * BLOCK)
    there = planner.recommend(inside, outside)
    assert there.detached == ("origin",)
    assert there.origin_moved_m == pytest.approx(9 * 111.195, rel=1e-3)
    assert planner.recommend(outside, inside).destination_moved_m == pytest.approx(9 * 111.195, rel=1e-3)
    # what is on the island stays there
    assert planner.recommend(inside, Place(SOUTH + 2 * BLOCK, WEST)).detached == ()


def test_from_one_island_to_another_both_ends_are_moved() -> None:
    near, far = car_park(16), car_park(16)
    count = near.node_count
    places = np.column_stack([near.node_lat, near.node_lon])
    second = np.column_stack([far.node_lat[40:], far.node_lon[40:] + 35 * BLOCK])
    ends = list(zip(near.edge_from.tolist(), near.edge_to.tolist(), strict=True))
    ends += [(a + count - 40, b + count - 40) for a, b in ends if a >= 40]
    planner = RoutePlanner(graph_of(np.vstack([places, second]), ends))
    found = planner.recommend(Place(SOUTH + 0.5 * BLOCK, WEST), Place(SOUTH + 0.5 * BLOCK, WEST + 35 * BLOCK))
    assert found.detached == ("origin", "destination")
    assert (found.origin_moved_m, found.destination_moved_m) == pytest.approx((55.6, 55.6), abs=0.2)


def test_a_start_behind_closed_roads_is_moved_as_well() -> None:
    """Roads that are closed for now make an island as missing ones do, and it is none when they are open again."""
    places = [(0.0, float(block)) for block in range(10)] + [(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]
    ends = [way for block in range(9) for way in ((block, block + 1), (block + 1, block))]
    ends += [(1, 10), (10, 1), (10, 11), (11, 10), (11, 12), (12, 11)]
    positions = np.array([(SOUTH + north * BLOCK, WEST + east * BLOCK) for north, east in places])
    planner = RoutePlanner(graph_of(positions, ends))
    times = planner.conditions.times
    asked = Place(SOUTH + BLOCK, WEST + 1.8 * BLOCK), Place(SOUTH, WEST + 8 * BLOCK)
    assert planner.recommend(*asked).detached == ()
    seconds = times.seconds.copy()
    seconds[:, 18:20] = np.inf
    planner.use(planner.prepare(replace(times, seconds=seconds), "closed"))
    found = planner.recommend(*asked)
    assert found.detached == ("origin",)
    # roads that are ten metres farther count as near as the nearest, here as everywhere
    assert found.origin_moved_m == pytest.approx(111.2, abs=1.5)
    # nobody is moved onto a closed road, were it nearer
    found = planner.recommend(Place(SOUTH, WEST + 0.8 * BLOCK), Place(SOUTH + 0.5 * BLOCK, WEST + BLOCK))
    assert found.detached == ("destination",)
    assert not {18, 19} & set(found.recommended.edges)
    assert found.destination_moved_m == pytest.approx(55.6, abs=1.5)


def test_travel_times_of_another_graph_are_refused(planner: RoutePlanner) -> None:
    other = RoutePlanner(town(2, 2))
    with pytest.raises(ValueError, match="of another graph"):
        planner.use(other.conditions)


def test_the_line_of_a_route_follows_its_roads(planner: RoutePlanner) -> None:
    for answer in answers(planner, 20):
        for route in (answer.recommended, *answer.alternatives):
            points = [(point.lat, point.lng) for point in route.waypoints]
            assert all(one != other for one, other in pairwise(points))
            line = shapely.linestrings(planner.index.flat.metres(*np.array(points).T))
            roads = shapely.unary_union(planner.index.lines[list(route.edges)])
            # lines of this network stop at the borders of the junctions, and are thinned out by 5 m
            assert max(shapely.distance(shapely.points(shapely.get_coordinates(line)), roads)) < 0.2
            assert shapely.length(line) == pytest.approx(route.distance_m, rel=0.25, abs=60)
            names = [point.road_name for point in route.waypoints]
            ridden = [planner.graph.road_name(edge) for edge in route.edges]
            assert list(dict.fromkeys(names)) == [name for name in dict.fromkeys(ridden) if name in names]
