"""Of the road-speed feed and matched vehicles the one that is believed more is used, and nothing changes to and fro."""

from __future__ import annotations

import random
from typing import Any

import pytest

from models.roads.current import RoadObservation, speed_from
from tests.roads.feed_messages import T0_US, at, record, roads
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings

GRAPH = city_graph(RoadSettings())


def of_vehicles(count: int, **changes: Any) -> dict[str, Any]:
    credibility = round(count / (count + 2), 3)
    return {"provider": "matched-vehicles", "vehicles": count, "credibility": credibility} | changes


class Log:
    """Messages of one road, one after the other; the process may end after each."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.offset = 0
        self.superseded = 0

    def take(self, seconds: float, **changes: Any) -> RoadObservation | None:
        """What is used of a message."""
        partition = roads(GRAPH, self.rows)
        sent_us = T0_US + round(seconds * 1e6)
        told = record(self.offset, sent_us, timestamp=at(seconds), event_id=str(self.offset), **changes)
        outcome = partition.apply([told])
        assert not outcome.dead_letters
        self.superseded += outcome.superseded
        self.offset += 1
        self.rows |= dict(partition.changed_rows())
        assert len(outcome.observations) + outcome.superseded == 1
        return outcome.observations[0] if outcome.observations else None


def test_a_speed_of_vehicles_is_measured_however_few_they_are() -> None:
    used = Log().take(0, **of_vehicles(2))
    assert used is not None
    assert (used.vehicles, used.credibility, used.confidence) == (2, 0.5, None)
    assert used.is_measured
    assert speed_from(used.confidence) == "measured"


@pytest.mark.parametrize(
    "odd",
    [
        {"provider": "another"},
        {"vehicles": 0},
        {"vehicles": "2"},
        {"vehicles": True},
        {"credibility": None},
        {"credibility": 1.5},
        {"jam_factor": 10},
    ],
)
def test_what_others_say_in_such_fields_says_nothing(odd: dict[str, Any]) -> None:
    used = Log().take(0, **(of_vehicles(2) | odd))
    assert used is not None
    assert (used.vehicles, used.credibility) == (None, None)


def test_a_feed_that_measures_is_used_and_vehicles_once_it_is_silent() -> None:
    log = Log()
    assert log.take(0)
    assert not log.take(60, **of_vehicles(8))
    assert log.take(300)
    assert not log.take(890, **of_vehicles(8))
    assert log.take(901, **of_vehicles(2))
    # it is back
    assert log.take(905, confidence=0.95)
    assert log.superseded == 2


def test_vehicles_are_used_where_the_feed_only_knows_what_is_usual() -> None:
    log = Log()
    assert log.take(0, confidence=0.7)
    assert log.take(30, **of_vehicles(2))
    assert not log.take(60, confidence=0.7)
    assert not log.take(200, confidence=0.5)
    assert log.take(211, confidence=0.7)


def test_little_more_belief_changes_nothing() -> None:
    """8 vehicles are believed as 0.8; the feed as 0.75, and as 0.95."""
    log = Log()
    assert log.take(0, **of_vehicles(8))
    assert not log.take(30, confidence=0.75)
    assert log.take(60, **of_vehicles(7))
    assert not log.take(90, confidence=0.85)
    assert log.take(100, confidence=0.95)
    assert not log.take(120, **of_vehicles(30))


def test_vehicles_open_no_closed_road() -> None:
    log = Log()
    closed = {"jam_factor": 10, "current_speed": 0}
    assert log.take(0, **of_vehicles(8))
    assert log.take(10, **closed)
    assert not log.take(1800, **of_vehicles(30))
    # nothing was heard of it for roads.closed_seconds
    assert log.take(1811, **of_vehicles(2))
    assert log.take(1900, **closed)
    assert log.take(1910)


def test_a_switch_is_rare_whatever_comes() -> None:
    chance = random.Random(3)
    log, switches, before = Log(), 0, None
    for second in range(0, 3600, 20):
        by_vehicles = chance.random() < 0.5
        changes = of_vehicles(chance.randrange(2, 9)) if by_vehicles else {"confidence": chance.uniform(0.71, 0.85)}
        used = log.take(second, **changes)
        if used is not None:
            switches += before is not None and before != by_vehicles
            before = by_vehicles
    assert log.superseded > 40
    assert switches < 20


def test_what_is_left_out_is_remembered_as_said() -> None:
    partition = roads(GRAPH)
    first, second = record(0), record(1, timestamp=at(5), **of_vehicles(3))
    again = record(2, timestamp=at(5), **of_vehicles(3))
    outcome = partition.apply([first, second, again])
    assert (len(outcome.records), outcome.superseded, outcome.repeated) == (1, 1, 1)
