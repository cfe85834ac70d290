from __future__ import annotations

import numpy as np

from trafficapp.roads.graph.following import following_roads
from trafficapp.roads.graph.road_graph import RoadGraph


def test_roads_that_follow_at_once_are_the_turns(bologna: RoadGraph) -> None:
    edges = bologna.edge_ids.tolist()
    found = following_roads(bologna, {edge: [edge] for edge in edges})
    turns = {(edges[a], edges[b], 1.0) for a, b in zip(bologna.turn_from, bologna.turn_to, strict=True) if a != b}
    assert set(found) == turns


def test_roads_that_nobody_measures_are_driven_through_but_not_too_far(bologna: RoadGraph) -> None:
    edges, lengths = bologna.edge_ids.tolist(), bologna.length_m
    first = next(e for e in range(bologna.edge_count) if bologna.turns_out_of[e])
    middle = int(bologna.turn_to[bologna.turns_out_of[first][0]])
    last = next(
        int(bologna.turn_to[turn]) for turn in bologna.turns_out_of[middle]
        if bologna.turn_to[turn] != first
        and not any(bologna.turn_to[other] == bologna.turn_to[turn] for other in bologna.turns_out_of[first])
    )  # fmt: skip
    measured = {"a": [edges[first]], "b": [edges[last]], "gone": ["not on the graph"]}
    weights = {pair[:2]: pair[2] for pair in following_roads(bologna, measured)}
    assert np.isclose(weights["a", "b"], 1 / (1 + lengths[middle] / 200))
    near = {pair[:2] for pair in following_roads(bologna, measured, reach_m=float(lengths[middle]) - 1)}
    assert ("a", "b") not in near


def test_a_road_of_several_edges_does_not_follow_itself(bologna: RoadGraph) -> None:
    edges = bologna.edge_ids.tolist()
    one, two = int(bologna.turn_from[0]), int(bologna.turn_to[0])
    others = {edge: [edge] for place, edge in enumerate(edges) if place not in (one, two)}
    found = following_roads(bologna, {"long": [edges[one], edges[two]], **others})
    assert ("long", "long") not in {pair[:2] for pair in found}
    onward = {edges[int(bologna.turn_to[turn])] for edge in (one, two) for turn in bologna.turns_out_of[edge]}
    assert {to for road, to, _ in found if road == "long"} == onward - {edges[one], edges[two]}
