"""Travel times follow the speeds that are told, are bounded, and nobody overtakes by leaving later."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.roads.towns import town
from trafficapp.roads.routing.road_speeds import speeds_of_edges
from trafficapp.roads.routing.weights import FASTEST_TO_FREE_FLOW, SLOWEST_KMH, free_flow, travel_times

GRAPH = town(2, 2)
NAN = np.nan


def speeds(*rows: float) -> np.ndarray:
    """The same speed for all edges at each horizon."""
    return np.repeat(np.array(rows)[:, None], GRAPH.edge_count, axis=1)


def test_nothing_known_is_free_flow() -> None:
    times = free_flow(GRAPH)
    assert times.seconds[0] == pytest.approx(GRAPH.free_flow_seconds)
    assert not times.known.any()


def test_a_missing_speed_is_that_of_an_earlier_horizon_else_of_a_later_one() -> None:
    times = travel_times(GRAPH, speeds(NAN, 20, NAN, 30))
    assert GRAPH.length_m[0] / times.seconds[:, 0] * 3.6 == pytest.approx([20, 20, 20, 30])
    assert times.known.all()


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=4, max_size=4))
def test_times_are_bounded_whatever_is_told(told: list[float]) -> None:
    times = travel_times(GRAPH, speeds(*told))
    assert np.isfinite(times.seconds).all()
    assert (times.seconds >= GRAPH.free_flow_seconds / FASTEST_TO_FREE_FLOW * 0.999).all()
    assert (times.seconds <= GRAPH.length_m / SLOWEST_KMH * 3.6 * 1.001).all()


def test_impossible_speeds_count_as_not_told_and_are_counted() -> None:
    times = travel_times(GRAPH, speeds(-5, 999, np.inf, NAN))
    assert times.seconds[0] == pytest.approx(GRAPH.free_flow_seconds)
    assert times.refused == 3 * GRAPH.edge_count


def test_standing_traffic_is_slow_but_not_forever() -> None:
    assert travel_times(GRAPH, speeds(0, 0, 0, 0)).seconds == pytest.approx(
        np.tile(GRAPH.length_m / SLOWEST_KMH * 3.6, (4, 1))
    )


def test_a_vehicle_meets_the_speed_predicted_for_the_time_it_gets_there() -> None:
    times = travel_times(GRAPH, speeds(50, 25, 10, 5))
    whole = GRAPH.length_m[0] * 3.6
    assert [times.at(at) for at in (0, 299, 300, 899, 900, 1499, 1500, 99_999)] == [0, 0, 1, 1, 2, 2, 3, 3]
    for at, speed_kmh in ((0, 50), (400, 25), (1000, 10), (5000, 5)):
        assert times.leave(0, at) - at == pytest.approx(whole / speed_kmh)
    # Two seconds at 50 km/h, the rest at 25.
    assert times.leave(0, 298) == pytest.approx(300 + (GRAPH.length_m[0] - 2 * 50 / 3.6) / 25 * 3.6)
    assert times.leave(0, 298, 0.5, 0.5) == 298


@given(
    st.lists(st.floats(0, 130), min_size=4, max_size=4),
    st.floats(0, 2000),
    st.floats(0, 2000),
)
def test_who_leaves_later_never_arrives_earlier(told: list[float], one: float, other: float) -> None:
    times = travel_times(GRAPH, speeds(*told))
    first, second = sorted((one, other))
    assert times.leave(0, first) <= times.leave(0, second) + 1e-6


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="for 4 horizons, 8 edges"):
        travel_times(GRAPH, speeds(50))
    with pytest.raises(ValueError, match="do not ascend"):
        travel_times(GRAPH, speeds(50, 40), (0, 0))


def test_roads_on_one_edge_share_it_by_the_time_their_pieces_take() -> None:
    shares = {"slow": [(0, 0.5)], "quick": [(0, 0.5), (1, 1.0)], "stop": [(2, 1.0)]}
    told = {"slow": [10.0, None], "quick": [40.0, 40.0], "stop": [0.0, -1.0], "unknown": [99.0, 99.0]}
    found = speeds_of_edges(GRAPH, shares, told, 2)
    assert found[:, 0] == pytest.approx([16.0, 40.0])
    assert found[:, 1] == pytest.approx([40.0, 40.0])
    assert found[0, 2] == SLOWEST_KMH
    assert np.isnan(found[1, 2])
    assert np.isnan(found[:, 3:]).all()
