"""What incidents do to roads: which edges, how slow, closed or not; and who gets to them first."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from models.incidents.current import Incident
from tests.incidents.places import incident
from tests.roads.routing.reference import Reference
from tests.roads.towns import BLOCK, SOUTH, WEST, town
from trafficapp.incidents.effects import effect_of, effects_of
from trafficapp.incidents.units import Unit, nearest_units
from trafficapp.roads.graph.index import OffTheMap, RoadIndex
from trafficapp.roads.routing.routes import Place, RoutePlanner
from trafficapp.roads.routing.weights import closed_to_traffic, free_flow, slowed, travel_times
from trafficapp.settings import IncidentSettings

GRAPH = town(4, 4)
INDEX = RoadIndex.build(GRAPH)
PLANNER = RoutePlanner(GRAPH)
SETTINGS = IncidentSettings()


def edge(one: tuple[int, int], other: tuple[int, int]) -> int:
    """The edge from a junction (row, column) to the next."""
    tail, head = (row * 4 + column for row, column in (one, other))
    (found,) = np.flatnonzero((GRAPH.edge_from == tail) & (GRAPH.edge_to == head)).tolist()
    return int(found)


def at(row: float, column: float, **changes: Any) -> Incident:
    return incident(latitude=SOUTH + row * BLOCK, longitude=WEST + column * BLOCK, **changes)


THERE, BACK = edge((1, 1), (1, 2)), edge((1, 2), (1, 1))


# ---------------------------------------------------------------------- which edges


def test_an_incident_is_on_both_directions_of_its_road() -> None:
    effect = effect_of(INDEX, at(1.1, 1.5), SETTINGS)
    assert effect is not None
    assert set(effect.edges) == {THERE, BACK}
    assert (effect.speed_share, effect.document(INDEX).road_name) == (0.49, "Row 1")


@pytest.mark.parametrize(("heading", "expected"), [(90, {THERE}), (270, {BACK}), (60, {THERE}), (0, {THERE, BACK})])
def test_its_heading_says_which_direction_where_one_leads_there(heading: float, expected: set[int]) -> None:
    effect = effect_of(INDEX, at(1.0, 1.5, heading=heading), SETTINGS)
    assert effect is not None
    assert set(effect.edges) == expected


def test_at_a_crossing_it_is_on_one_of_the_streets() -> None:
    effect = effect_of(INDEX, at(1, 1), SETTINGS)
    assert effect is not None
    assert len({GRAPH.road_name(one) for one in effect.edges}) == 1


@pytest.mark.parametrize(
    "nothing",
    [
        at(1, 1.5, state="reported"),
        at(1, 1.5, state="cleared"),
        at(1, 1.5, state="rejected"),
        at(1, 1.5, kind="theft"),
        at(-10, 1.5),
        incident(latitude=11.3, longitude=44.5),
    ],
)
def test_what_is_doubtful_or_over_or_elsewhere_does_nothing(nothing: Incident) -> None:
    assert effect_of(INDEX, nothing, SETTINGS) is None


def test_a_closure_closes_whatever_else_is_there_and_the_worst_slows() -> None:
    effects = effects_of(
        INDEX,
        [
            at(1, 1.5, incident_id="a", severity="low"),
            at(1, 1.5, incident_id="b", severity="critical"),
            at(2, 1.5, incident_id="c", closed=True, kind="road_closure", updated_at="2026-01-14T12:30:00Z"),
            at(2, 1.5, incident_id="d", closed=True, kind="accident"),
        ],
        SETTINGS,
    )
    assert effects.shares == {THERE: 0.35, BACK: 0.35}
    closed = edge((2, 1), (2, 2))
    assert set(effects.closed_at) == {closed, edge((2, 2), (2, 1))}
    assert effects.closed_at[closed].isoformat() == "2026-01-14T12:30:00+00:00"
    assert set(effects.without("c").closed_at) == set(effects.closed_at)
    assert effects.without("c").name != effects.name
    assert {one.incident.incident_id for one in effects.on_edge[THERE]} == {"a", "b"}


# ---------------------------------------------------------------------- travel times


def test_what_is_not_measured_takes_longer_by_the_share_that_is_left() -> None:
    usual = travel_times(GRAPH, np.full((1, GRAPH.edge_count), 20.0), (0.0,))
    times = slowed(usual, GRAPH, {THERE: 0.5}, are_measured=False)
    assert times.seconds[0, THERE] == pytest.approx(usual.seconds[0, THERE] * 2)
    assert times.speeds_kmh[0, THERE] == pytest.approx(10)
    others = np.arange(GRAPH.edge_count) != THERE
    assert (times.seconds[:, others] == usual.seconds[:, others]).all()


@pytest.mark.parametrize(("measured_kmh", "expected_kmh"), [(50, 25), (30, 25), (10, 10), (np.nan, 25)])
def test_a_measured_speed_has_the_incident_in_it_and_is_not_slowed_twice(
    measured_kmh: float, expected_kmh: float
) -> None:
    speeds = np.full((1, GRAPH.edge_count), np.nan)
    speeds[0, THERE] = measured_kmh
    times = slowed(travel_times(GRAPH, speeds, (0.0,)), GRAPH, {THERE: 0.5}, are_measured=True)
    assert GRAPH.length_m[THERE] / times.seconds[0, THERE] * 3.6 == pytest.approx(expected_kmh)


def test_what_is_closed_stays_closed_and_what_is_slow_is_not() -> None:
    closed = closed_to_traffic(free_flow(GRAPH), [BACK])
    times = slowed(closed, GRAPH, {BACK: 0.5, THERE: 1e-9}, are_measured=False)
    assert times.seconds[0, BACK] == inf
    assert times.seconds[0, THERE] == 86_400
    PLANNER.prepare(times, "slow")


# ---------------------------------------------------------------------- units


def unit(name: str, row: float, column: float) -> Unit:
    return Unit(name, "police", SOUTH + row * BLOCK, WEST + column * BLOCK, 0)


def test_the_quickest_come_first_and_not_the_nearest_as_the_crow_flies() -> None:
    times = closed_to_traffic(free_flow(GRAPH), [edge((1, 0), (1, 1)), edge((0, 1), (1, 1)), edge((2, 1), (1, 1))])
    conditions = PLANNER.prepare(times, "closed")
    units = [unit("near", 1, 0.5), unit("far", 1, 3), unit("elsewhere", 50, 50), unit("there", 1.0, 1.6)]
    found = nearest_units(PLANNER, conditions, Place(SOUTH + BLOCK, WEST + 1.3 * BLOCK), units, 3, 200)
    assert [one.unit.unit_id for one in found] == ["there", "far", "near"]
    here = found[0]
    assert here.distance_m == pytest.approx(0.3 * GRAPH.length_m[BACK], rel=1e-3)
    assert here.eta_seconds == pytest.approx(here.distance_m / 50 * 3.6, rel=1e-3)


def test_nobody_gets_where_all_is_closed_and_no_road_is_told() -> None:
    conditions = PLANNER.prepare(closed_to_traffic(free_flow(GRAPH), [THERE, BACK]), "closed")
    place = Place(SOUTH + BLOCK, WEST + 1.5 * BLOCK)
    assert nearest_units(PLANNER, conditions, place, [unit("a", 3, 3)], 3, 9) == []
    assert nearest_units(PLANNER, conditions, place, [], 3, 9) == []
    with pytest.raises(OffTheMap):
        nearest_units(PLANNER, conditions, Place(50.0, 11.3), [unit("a", 3, 3)], 3, 200)


@pytest.mark.parametrize("seed", range(5))
def test_times_of_all_units_are_those_of_dijkstra(seed: int) -> None:
    rng = np.random.default_rng(seed)
    speeds = rng.uniform(5, 60, (1, GRAPH.edge_count))
    times = travel_times(GRAPH, speeds, (0.0,))
    conditions = PLANNER.prepare(times, "any")
    nodes = rng.permutation(GRAPH.node_count).tolist()
    target, starts = nodes[0], nodes[1:8]

    def place(node: int) -> Place:
        return Place(float(GRAPH.node_lat[node]), float(GRAPH.node_lon[node]))

    units = [Unit(f"u{node}", "police", *place(node), 0) for node in starts]
    found = nearest_units(PLANNER, conditions, place(target), units, 20, 1)
    reference = Reference(GRAPH, times.seconds[0])
    expected = {f"u{node}": reference.cost(node, target) for node in starts}
    # at a junction one may be at the end of an edge that leads there, or at the beginning of one that leads on
    for one in found:
        assert one.eta_seconds <= expected[one.unit.unit_id] + 0.05
    assert [one.eta_seconds for one in found] == sorted(one.eta_seconds for one in found)
    assert len(found) == len(starts)
