"""A road that the feed says is closed: which messages say so, and what becomes of routes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any

import numpy as np
import pytest

from models.roads.current import RoadObservation, speed_from
from tests.roads.feed_messages import FeedRecord, message, record, roads
from tests.roads.towns import BLOCK, SOUTH, WEST, town
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.partition import PartitionRoads
from trafficapp.roads.routing.published import PublishedSpeeds, PublishedSpeedsError, decode_speeds, encode_speeds
from trafficapp.roads.routing.routes import Place, Recommendation, RoutePlanner, Unreachable
from trafficapp.roads.routing.search import Conditions
from trafficapp.roads.routing.weights import closed_to_traffic, free_flow


@pytest.fixture
def feed(bologna: RoadGraph) -> PartitionRoads:
    return roads(bologna)


def accepted(feed: PartitionRoads, **changes: Any) -> RoadObservation:
    outcome = feed.apply([record(feed.applied + 1, **changes)])
    assert not outcome.dead_letters, outcome.dead_letters[0].detail
    (observation,) = outcome.observations
    return observation


@pytest.mark.parametrize(
    ("changes", "closed"),
    [
        ({"jam_factor": 10}, True),
        ({"jam_factor": 10.0, "current_speed": 30}, True),
        ({"jam_factor": 9.99, "current_speed": 0}, False),
        ({"current_speed": 0}, False),
        ({"traversability": "closed"}, True),
        ({"traversability": "reversibleNotRoutable"}, True),
        ({"traversability": "Closed"}, True),
        ({"traversability": "open", "jam_factor": 9.9}, False),
        ({"traversability": "open", "jam_factor": 10}, True),
        ({"traversability": None}, False),
        ({"traversability": {"closed": True}}, False),
        ({"traversability": 7}, False),
        ({"closed": True}, False),
    ],
)
def test_which_messages_close_a_road(feed: PartitionRoads, changes: dict[str, Any], closed: bool) -> None:
    found = accepted(feed, **changes)
    assert (found.closed, found.is_measured) == (closed, not closed)
    assert found.congestion_level == ("high" if closed or changes.get("jam_factor", 0) >= 7 else "medium")


@pytest.mark.parametrize("speed", [..., None])
@pytest.mark.parametrize("free_flow_speed", [..., None, 50])
def test_a_closed_road_may_come_without_speeds(
    feed: PartitionRoads, bologna: RoadGraph, speed: object, free_flow_speed: object
) -> None:
    told = {key: value for key, value in message(current_speed=..., free_flow_speed=..., jam_factor=10).items()}
    told |= {} if speed is ... else {"current_speed": speed}
    told |= {} if free_flow_speed is ... else {"free_flow_speed": free_flow_speed}
    (found,) = feed.apply([FeedRecord(0, json.dumps(told).encode())]).observations
    of_graph = round(float(bologna.free_flow_kmh[bologna.position_of_edge["a10"]]), 2)
    assert (found.current_speed, found.speed_ratio, found.closed) == (0.0, 0.0, True)
    assert found.free_flow_speed == (50.0 if free_flow_speed == 50 else of_graph)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"current_speed": ...}, "missing_field"),
        ({"current_speed": None}, "invalid_field"),
        ({"free_flow_speed": ...}, "missing_field"),
        ({"free_flow_speed": None}, "invalid_field"),
        ({"current_speed": "fast", "jam_factor": 10}, "invalid_field"),
        ({"current_speed": -1, "jam_factor": 10}, "impossible_speed"),
        ({"free_flow_speed": 0, "jam_factor": 10}, "impossible_speed"),
    ],
)
def test_an_open_road_has_speeds_and_no_road_has_impossible_ones(
    feed: PartitionRoads, changes: dict[str, Any], reason: str
) -> None:
    told = {key: value for key, value in (message() | changes).items() if value is not ...}
    assert feed.apply([FeedRecord(0, json.dumps(told).encode())]).rejected == {reason: 1}


@pytest.mark.parametrize(
    ("told", "kept", "source"),
    [
        (1, 1.0, "measured"), (0.71, 0.71, "measured"), (0.7, 0.7, "historical"), (0.51, 0.51, "historical"),
        (0.5, 0.5, "speed_limit"), (0, 0.0, "speed_limit"), (..., None, "measured"), (None, None, "measured"),
        ("0.4", None, "measured"), (True, None, "measured"), (85, None, "measured"), (-1, None, "measured"),
        ({"of": 1}, None, "measured"),
    ],
)  # fmt: skip
def test_the_confidence_of_a_speed_is_kept(feed: PartitionRoads, told: Any, kept: float | None, source: str) -> None:
    found = accepted(feed, confidence=told)
    assert (found.confidence, speed_from(found.confidence)) == (kept, source)
    assert found.is_measured == (source == "measured")


# ---------------------------------------------------------------------- routes

TOWN = town(3, 4)


def edges_between(one: int, other: int) -> set[int]:
    """The edges from one junction to another."""
    return set(np.flatnonzero((TOWN.edge_from == one) & (TOWN.edge_to == other)).tolist())


def at(row: float, column: float) -> Place:
    return Place(SOUTH + row * BLOCK, WEST + column * BLOCK)


def asked(origin: Place, destination: Place, closed: set[int], limit_m: float = 500) -> Recommendation:
    planner = RoutePlanner(TOWN)
    times = free_flow(TOWN)
    as_if_open = planner.prepare(times, "v")
    conditions: Conditions = planner.prepare(closed_to_traffic(times, closed), "v")
    found = planner.recommend(origin, destination, under=conditions, as_if_open=as_if_open, limit_m=limit_m)
    for route in (found.recommended, *found.alternatives):
        assert closed.isdisjoint(route.edges)
        assert route.eta_seconds < inf
    return found


def test_a_closed_road_on_the_way_is_left_and_told() -> None:
    closed = edges_between(5, 6)
    straight = asked(at(1, 0.5), at(1, 2.5), set())
    assert closed <= set(straight.recommended.edges)
    assert straight.avoided is None
    found = asked(at(1, 0.5), at(1, 2.5), closed)
    assert found.avoided is not None
    assert (set(found.avoided.edges), found.avoided.at_start, found.avoided.at_end) == (closed, False, False)
    # the other direction is open, and whoever does not come by has nothing to avoid
    back = asked(at(1, 2.5), at(1, 0.5), closed)
    assert edges_between(6, 5) <= set(back.recommended.edges)
    assert back.avoided is None


def test_a_start_or_an_end_on_a_closed_road_is_moved_to_the_next_open_one() -> None:
    both = edges_between(4, 5) | edges_between(5, 4)
    start = asked(at(1, 0.4), at(1, 2.5), both)
    assert start.avoided is not None
    assert (start.avoided.at_start, start.avoided.at_end) == (True, False)
    end = asked(at(1, 2.5), at(1, 0.4), both)
    assert end.avoided is not None
    assert (end.avoided.at_start, end.avoided.at_end) == (False, True)
    # both places on one closed edge, which needs no turn
    along = asked(at(1, 0.2), at(1, 0.8), both)
    assert along.avoided is not None
    assert (along.avoided.at_start, along.avoided.at_end) == (True, True)


def test_a_quarter_behind_closed_roads_is_left_out_and_told() -> None:
    last_column = (3, 7, 11)
    cut = {
        edge
        for edge in range(TOWN.edge_count)
        if TOWN.edge_to[edge] in last_column and TOWN.edge_from[edge] not in last_column
    }
    found = asked(at(1, 0.5), at(1.5, 3), cut, limit_m=30)
    assert found.detached == ("destination",)
    assert found.destination_moved_m > 30
    assert found.avoided is not None
    assert set(found.avoided.edges) <= cut
    # away from it all ways are open
    assert asked(at(1.5, 3), at(1, 0.5), cut, limit_m=30).avoided is None


def test_where_everything_is_closed_the_answer_names_it() -> None:
    with pytest.raises(Unreachable, match=r"no way leads .* closed to traffic is 'Row \d'"):
        asked(at(1, 0.5), at(1.5, 3), set(range(TOWN.edge_count)), limit_m=30)


def test_alternatives_keep_off_closed_roads_and_so_do_those_to_come() -> None:
    rng = np.random.default_rng(3)
    planner = RoutePlanner(TOWN)
    for _ in range(40):
        closed = set(rng.choice(TOWN.edge_count, 8, replace=False).tolist())
        one, other = (at(*place) for place in rng.random((2, 2)) * (2, 3))
        try:
            asked(one, other, closed)
        except Unreachable:
            continue
    assert planner.recommend(at(0, 0), at(2, 3)).avoided is None


# ---------------------------------------------------------------------- from worker to worker


def test_closures_go_from_worker_to_worker_and_where_nothing_is_closed_the_document_is_as_before() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    told = PublishedSpeeds(
        "v20260101000000",
        "me",
        now,
        now,
        {},
        (0.0,),
        np.zeros((1, TOWN.edge_count)),
        np.ones(TOWN.edge_count),
        {3: now},
    )
    assert decode_speeds(TOWN, encode_speeds(TOWN, told)).closed_at == {3: now}
    document = json.loads(encode_speeds(TOWN, told))
    assert document["closed_at"] == {"e3": now.isoformat().replace("+00:00", "Z")}
    none = replace(told, closed_at={})
    assert "closed_at" not in json.loads(encode_speeds(TOWN, none))
    assert decode_speeds(TOWN, encode_speeds(TOWN, none)).closed_at == {}
    with pytest.raises(PublishedSpeedsError, match="unknown"):
        decode_speeds(TOWN, json.dumps(document | {"closed_at": {"nowhere": document["made_at"]}}).encode())
