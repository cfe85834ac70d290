"""A fault of ours costs the one record that it is met at: it becomes a dead letter, nothing of it is in the state."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from models.roads.current import decode_road_observation
from tests.forecast.city.observations import observation, records
from tests.roads.feed_messages import FeedRecord, at, record, roads
from trafficapp.engine import faults
from trafficapp.engine.state_rows import is_forgotten
from trafficapp.forecast.city.notices import judge_fresh
from trafficapp.forecast.city.recent import RecentSpeeds
from trafficapp.forecast.city.roads import CityRoads
from trafficapp.notifications.conditions import RoadCondition
from trafficapp.notifications.notices import OpenNotices, RoadNotices
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.partition import PartitionRoads
from trafficapp.roads.road_edges import RoadEdges
from trafficapp.settings import NotificationSettings

T0 = 1_771_300_200


class Fault(RuntimeError):
    """What is raised on purpose; its text is another one each time, as that of an object with an address in it."""


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_told", set())


def break_feed(monkeypatch: pytest.MonkeyPatch, error: type[BaseException] = Fault) -> None:
    """Whatever asks for the edges of a road that is called so fails."""
    find = RoadEdges.find

    def failing(self: RoadEdges, road_id: str, line: Any) -> Any:
        if "broken" in road_id:
            raise error(f"at {id(object())}")
        return find(self, road_id, line)

    monkeypatch.setattr(RoadEdges, "find", failing)


def run(sound_only: bool = False) -> list[FeedRecord]:
    """Broken records among sound ones; those of a day later make roads be forgotten."""
    day_us = 26 * 3_600_000_000
    whole = [record(0), record(1, road_id="broken"), record(2, road_id="a104"), record(3, road_id="broken")]
    whole += [record(4, whole[0].timestamp * 1000 + day_us, road_id="broken", timestamp=at(26 * 3600))]
    whole += [record(5, whole[0].timestamp * 1000 + day_us, timestamp=at(26 * 3600))]
    return [one for one in whole if not (sound_only and one.key == b"broken")]


def test_a_fault_costs_its_own_message(
    bologna: RoadGraph, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sound = roads(bologna)
    right = sound.apply(run(sound_only=True))
    break_feed(monkeypatch)
    with caplog.at_level(logging.ERROR):
        feed = roads(bologna)
        outcome = feed.apply(run())
    assert outcome.observations == right.observations
    assert outcome.rejected == {"failed": 3}
    assert [(one.offset, one.reason) for one in outcome.dead_letters] == [(n, "failed") for n in (1, 3, 4)]
    assert "raised Fault" in outcome.dead_letters[0].detail
    assert feed.all_rows() == sound.all_rows()
    # one traceback tells where it is
    assert [record.exc_info is not None for record in caplog.records] == [True, False, False]
    assert "traffic-raw-3 at offset 1" in caplog.text


def test_another_worker_meets_the_same_fault(bologna: RoadGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    break_feed(monkeypatch)
    whole = roads(bologna).apply(run())
    for cut in range(6):
        first = roads(bologna)
        letters = first.apply(run()[:cut]).dead_letters
        rows = {key: row for key, row in first.changed_rows() if not is_forgotten(row)}
        second: PartitionRoads = roads(bologna, rows)
        letters += second.apply(run()).dead_letters
        assert letters == whole.dead_letters


def test_no_memory_is_no_fault_of_a_message(bologna: RoadGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    break_feed(monkeypatch, MemoryError)
    with pytest.raises(MemoryError):
        roads(bologna).apply(run())


def city() -> CityRoads:
    return CityRoads(0, 300, 12, 600_000_000, 60_000_000, {})


def known(one: CityRoads) -> Any:
    window, last = one.recent.window(T0 + 400)
    return one.all_rows()[:-1], one.recent.road_ids, np.nan_to_num(window, nan=-1).tolist(), last, one.fresh


@pytest.mark.parametrize("where", ["observe", "_make_room", "add"])
def test_a_fault_costs_its_own_observation(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    log = [observation(road, T0 + number, 50, number) for number, road in enumerate(["a", "b", "new", "a", "b"])]
    broken = {1, 2, 3}
    whole = records(log, 0, T0 + 10)
    right = city()
    right.apply(one for one in whole if one.offset not in broken)
    method = getattr(RecentSpeeds, where)
    at_record = [-1]

    def failing(self: RecentSpeeds, *args: Any) -> Any:
        if at_record[0] in broken:
            raise Fault(f"at {id(object())}")
        return method(self, *args)

    def one_by_one() -> Any:
        for one in whole:
            at_record[0] = one.offset
            yield one
        at_record[0] = -1

    monkeypatch.setattr(RecentSpeeds, where, failing)
    states = city()
    assert states.apply(one_by_one()) == 2
    at_record[0] = -1
    assert [(one.offset, error.reason) for one, error in states.refused] == [(n, "failed") for n in sorted(broken)]
    assert known(states) == known(right)
    (first, _), *_ = states.refused
    assert decode_road_observation(first.value or b"").road_id == "b"


def test_a_fault_while_judging_raises_nothing_of_its_own_observation(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = RoadNotices(NotificationSettings(raise_observations=1))
    judge = RoadNotices.judge

    def failing(self: RoadNotices, road: RoadCondition, notices: OpenNotices) -> Any:
        if road.road_id == "broken":
            raise Fault
        return judge(self, road, notices)

    monkeypatch.setattr(RoadNotices, "judge", failing)
    states = city()
    log = [observation(road, T0, 50, number, jam_factor=9.5) for number, road in enumerate(["a", "broken", "c"])]
    states.apply(records(log, 0, T0))
    assert [notice.road_id for notice in judge_fresh(rules, states, [])] == ["a", "c"]
