"""Closed roads and speeds that nobody measured: what is predicted, learnt and told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.roads.predictions import RoadPrediction
from tests.forecast.city.observations import observation, records
from trafficapp.forecast.artifacts.shipped import CityModel
from trafficapp.forecast.city.closures import closed_edges
from trafficapp.forecast.city.notices import judge_fresh
from trafficapp.forecast.city.predicting import CityMoment, CityPredictor
from trafficapp.forecast.city.roads import CityRoads
from trafficapp.notifications.notices import Notice, RoadNotices
from trafficapp.settings import NotificationSettings

T0 = 1_771_300_000 // 300 * 300
MINUTE = 60
CLOSED_US = 30 * MINUTE * 1_000_000


class Town:
    """Roads whose observations come one after the other."""

    def __init__(self) -> None:
        self.city = CityRoads(0, 300, 12, 10 * MINUTE * 1_000_000, 60 * 1_000_000, {})
        self.offset = 0

    def tell(self, minute: float, speed: float, road: str = "a", **changes: Any) -> list[Notice]:
        """Observe a road, make a round, and take over from its rows."""
        at = T0 + minute * MINUTE
        one = observation(road, at, speed, self.offset, **changes)
        self.city.apply(records([one], self.offset, at))
        self.offset += 1
        rules = RoadNotices(NotificationSettings(raise_observations=1))
        raised = judge_fresh(rules, self.city, self.predictions(minute))
        self.city.round_made([])
        self.city = CityRoads(0, 300, 12, 10 * MINUTE * 1_000_000, 60 * 1_000_000, dict(self.city.all_rows()))
        return raised

    def predictions(self, minute: float) -> list[RoadPrediction]:
        now = T0 + minute * MINUTE
        city = self.city
        recent, last = city.recent.window(now)
        now_us = round(now * 1e6)
        measured = [city.roads[road].measured for road in city.recent.road_ids]
        moment = CityMoment(
            now_us, city.recent.road_ids, recent, last, 300,
            tuple(one.current_speed_kmh if one else 0.0 for one in measured),
            frozenset(road for road, state in city.roads.items() if state.is_closed(now_us, CLOSED_US)),
        )  # fmt: skip
        return CityPredictor(CityModel(Path("nowhere"), 300, Path("nowhere"))).predict(moment).predictions

    def said(self, minute: float, road: str = "a") -> tuple[str, float | None, float] | None:
        return next(
            (
                (one.source, one.current_speed, one.predicted_speed_30min)
                for one in self.predictions(minute)
                if one.road_id == road
            ),
            None,
        )


CLOSED: dict[str, Any] = {"closed": True, "jam_factor": 10.0}


def test_a_closed_road_is_not_predicted_open_until_it_is_told_or_stale() -> None:
    town = Town()
    town.tell(0, 50)
    assert town.said(1) == ("last_value", 50, 50)
    town.tell(1, 0, **CLOSED)
    (closed,) = town.predictions(2)
    assert (closed.source, closed.model_version) == ("closed", "baseline:closed")
    assert [closed.current_speed, closed.predicted_speed_10min, closed.predicted_speed_20min] == [0, 0, 0]
    assert (closed.prediction_confidence, closed.step_speed_kmh) == (None, None)
    assert town.said(31) == ("closed", 0, 0)
    assert town.said(31.1) is None
    town.tell(32, 40)
    assert town.said(32) == ("last_value", 40, 40)


def test_what_was_never_measured_is_not_learnt() -> None:
    town = Town()
    town.tell(0, 50)
    town.tell(1, 0, **CLOSED)
    town.tell(2, 90, confidence=0.7)
    town.tell(3, 10, confidence=0.5)
    # the closure is over, and the speed is that which was measured
    assert town.said(3) == ("last_value", 50, 50)
    assert town.city.roads["a"].speeds_before == ((T0 * 1_000_000, 50.0),)
    town.tell(4, 30, confidence=0.71)
    assert town.said(4) == ("last_value", 30, 40)
    # nothing is known of a road that was never measured
    town.tell(4, 30, "b", confidence=0.2, free_flow_speed=30.0)
    assert town.said(4, "b") is None
    assert town.city.roads["b"].measured is None


def test_free_flow_follows_measured_speeds_only() -> None:
    town = Town()
    town.tell(0, 50, free_flow_speed=61.0)
    town.tell(1, 0, free_flow_speed=7.0, **CLOSED)
    town.tell(2, 30, free_flow_speed=8.0, confidence=0.3)
    measured = town.city.roads["a"].measured
    assert measured is not None
    assert measured.free_flow_kmh == 61


def test_a_closed_road_is_no_sudden_jam_and_told_once_in_words_of_its_own() -> None:
    town = Town()
    assert town.tell(0, 50) == []
    (closed,) = town.tell(1, 0, **CLOSED)
    assert (closed.alert_type, closed.severity, closed.message) == (
        "severe_traffic", "CRITICAL", "Via a: closed to traffic",
    )  # fmt: skip
    assert town.tell(2, 0, **CLOSED) == []
    assert [town.tell(minute, 45) for minute in range(3, 9)] == [[]] * 6
    assert [one.alert_type for one in town.tell(9, 0, **CLOSED)] == ["severe_traffic"]


def test_a_speed_that_nobody_measured_raises_nothing_and_makes_no_jam_of_the_next() -> None:
    town = Town()
    town.tell(0, 50)
    assert town.tell(1, 3, confidence=0.6, jam_factor=9.5) == []
    assert town.tell(2, 120, confidence=0.4) == []
    # not a fall from 120
    assert town.tell(3, 48) == []


def test_an_older_observation_opens_nothing() -> None:
    town = Town()
    town.tell(5, 0, **CLOSED)
    town.tell(4, 50)
    assert town.said(6) == ("closed", 0, 0)


@pytest.mark.parametrize(("share", "minutes_later", "closed"), [(1.0, 2.9, True), (1.0, 3.1, False), (0.3, 60, True)])
def test_a_closure_under_an_old_name_ends_when_another_road_tells_of_the_whole_edge(
    share: float, minutes_later: float, closed: bool
) -> None:
    town = Town()
    town.tell(0, 0, "old", edges=[("e1", 0.5), ("e2", 1.0)], **CLOSED)
    town.tell(minutes_later, 30, "new", edges=[("e1", share)])
    assert set(closed_edges(town.city.roads, {"old"})) == ({"e1", "e2"} if closed else {"e2"})
