"""Speeds of matched vehicles among those of the feed: what is predicted from them, and where they count."""

from __future__ import annotations

from typing import Any

from tests.forecast.city.observations import observation
from tests.forecast.city.test_closures import T0, Town
from trafficapp.forecast.city.closures import closed_edges
from trafficapp.forecast.city.vehicle_roads import told_otherwise


def of_vehicles(count: int, **changes: Any) -> dict[str, Any]:
    return {"vehicles": count, "credibility": round(count / (count + 2), 3)} | changes


def test_few_vehicles_are_predicted_from_and_raise_nothing() -> None:
    town = Town()
    jam = {"jam_factor": 9.5}
    assert town.tell(0, 4, **of_vehicles(2), **jam) == []
    assert [(one.current_speed, one.source) for one in town.predictions(0)] == [(4.0, "last_value")]
    assert "severe_traffic" in [notice.alert_type for notice in town.tell(1, 4, **of_vehicles(3), **jam)]


def test_the_feeds_speed_counts_on_its_edges_while_it_measures() -> None:
    town = Town()
    town.tell(0, 30, "here-1", edges=[("a", 1.0), ("b", 0.4)])
    town.tell(0, 20, "a", **of_vehicles(8))
    town.tell(0, 20, "b", **of_vehicles(8))
    roads = town.city.roads
    assert told_otherwise(roads, {"here-1", "a", "b"}) == {"a"}
    # the feed has not measured lately, or never did
    assert told_otherwise(roads, {"a", "b"}) == set()
    town.tell(1, 45, "here-2", edges=[("b", 1.0)], confidence=0.6)
    assert told_otherwise(town.city.roads, {"here-2", "b"}) == set()


def test_vehicles_that_are_let_through_open_no_road() -> None:
    town = Town()
    closed = {"closed": True, "jam_factor": 10.0, "edges": [("a", 1.0)]}
    town.tell(0, 0, "here-1", **closed)
    town.tell(10, 30, "a", **of_vehicles(8))
    assert closed_edges(town.city.roads, {"here-1"}) == {"a": T0 * 1_000_000}
    town.tell(10, 30, "here-2", edges=[("a", 1.0)])
    assert closed_edges(town.city.roads, {"here-1"}) == {}


def test_an_observation_from_before_there_were_vehicles_is_the_feeds() -> None:
    one = observation("a", T0, 30, 0)
    assert (one.vehicles, one.is_raising, one.is_measured) == (None, True, True)
