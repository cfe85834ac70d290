"""Ways are the quickest ones, whatever the graph, and travel times never change under a question."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import inf

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.roads.routing.reference import Reference, cost_of
from tests.roads.towns import by_chance, town
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.routing.router import CchRouter, Metric, State, node_states


def cost(metric: Metric, graph: RoadGraph, from_node: int, to_node: int) -> float:
    """The router's cost between nodes, checked against its own edges."""
    way = metric.way(*node_states(metric, graph, from_node, to_node))
    if way is None:
        return inf
    assert graph.edge_from[way.edges[0]] == from_node
    assert graph.edge_to[way.edges[-1]] == to_node
    assert way.seconds == pytest.approx(cost_of(graph, metric.seconds, way.edges))
    return way.seconds


def assert_like_reference(metric: Metric, graph: RoadGraph, pairs: np.ndarray) -> None:
    reference = Reference(graph, metric.seconds)
    for from_node, to_node in pairs.tolist():
        if from_node != to_node:
            expected = reference.cost(from_node, to_node)
            assert cost(metric, graph, from_node, to_node) == pytest.approx(expected, rel=1e-3)


@given(st.integers(0, 2**32 - 1))
@example(0)
def test_costs_are_those_of_the_reference(seed: int) -> None:
    graph = by_chance(seed)
    rng = np.random.default_rng(seed)
    pairs = rng.integers(graph.node_count, size=(8, 2))
    metric = CchRouter(graph).customize(graph.free_flow_seconds)
    assert_like_reference(metric, graph, pairs)
    changed = rng.integers(graph.edge_count, size=3)
    assert_like_reference(metric.updated(dict(zip(changed.tolist(), [1.0, 500.0, inf], strict=True))), graph, pairs)


def test_bologna_like_reference(bologna: RoadGraph) -> None:
    rng = np.random.default_rng(7)
    metric = CchRouter(bologna).customize(bologna.free_flow_seconds * rng.uniform(1, 8, bologna.edge_count))
    assert_like_reference(metric, bologna, rng.integers(bologna.node_count, size=(200, 2)))


def test_times_by_way_of_edges_are_those_of_the_two_halves(bologna: RoadGraph) -> None:
    metric = CchRouter(bologna).customize(bologna.free_flow_seconds)
    origins, destinations = node_states(metric, bologna, 3, 90)
    there, on = metric.seconds_by_way_of(origins, destinations, np.arange(bologna.edge_count))
    for edge in range(bologna.edge_count):
        first, second = metric.way(origins, [State(edge, 0.0)]), metric.way([State(edge, 0.0)], destinations)
        assert there[edge] == pytest.approx(inf if first is None else first.seconds, rel=1e-3, abs=0.05)
        assert on[edge] == pytest.approx(inf if second is None else second.seconds, rel=1e-3, abs=0.05)


def test_new_times_leave_the_old_ones_as_they_are() -> None:
    graph = town(4, 4)
    before = CchRouter(graph).customize(graph.free_flow_seconds)
    quick = cost(before, graph, 0, 15)
    after = before.updated(dict.fromkeys(range(graph.edge_count), 100.0))
    assert cost(after, graph, 0, 15) == pytest.approx(600.0)
    assert cost(before, graph, 0, 15) == quick
    with pytest.raises(ValueError, match="read-only"):
        before.seconds[0] = 1.0


def test_many_threads_ask_while_times_change() -> None:
    graph = town(8, 8)
    router = CchRouter(graph)
    current = [router.customize(np.full(graph.edge_count, 1.0))]

    def ask(number: int) -> None:
        for _ in range(200):
            metric = current[0]
            pace = float(metric.seconds[0])
            way = metric.way(*node_states(metric, graph, number, 63 - number))
            assert way is not None
            assert way.seconds == pytest.approx(pace * len(way.edges))

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(4)]
        for pace in range(2, 50):
            current[0] = router.customize(np.full(graph.edge_count, float(pace)))
        for one in asked:
            one.result()


@pytest.mark.parametrize("seconds", [0.0, -1.0, np.nan, 1e12])
def test_times_that_are_none_are_refused(seconds: float) -> None:
    graph = town(2, 2)
    times = graph.free_flow_seconds.copy()
    times[3] = seconds
    with pytest.raises(ValueError, match="edge 'e3' cannot take"):
        CchRouter(graph).customize(times)


@pytest.mark.parametrize("state", [State(-1, 0.0), State(8, 0.0), State(0, -1.0), State(0, np.nan), State(0, inf)])
def test_states_that_are_none_are_refused(state: State) -> None:
    graph = town(2, 2)
    metric = CchRouter(graph).customize(graph.free_flow_seconds)
    with pytest.raises(ValueError, match="no state"):
        metric.way([state], [State(0, 0.0)])


def test_edges_that_are_none_are_refused() -> None:
    graph = town(2, 2)
    metric = CchRouter(graph).customize(graph.free_flow_seconds)
    with pytest.raises(ValueError, match="not in the graph"):
        metric.updated({99: 1.0})
    with pytest.raises(ValueError, match="travel times for 8 edges"):
        CchRouter(graph).customize(np.ones(3))
