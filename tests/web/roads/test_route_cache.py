"""Which answers are kept, and how many times of day are made ready, whatever is asked."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.roads.towns import town
from trafficapp.roads.routing.routes import RoutePlanner
from trafficapp.roads.routing.search import Conditions
from trafficapp.roads.routing.usual_speeds import UsualSpeeds
from trafficapp.roads.routing.weights import TravelTimes
from web.roads.route_cache import Repeated
from web.roads.usual_conditions import UsualConditions


def test_an_answer_is_kept_when_its_question_comes_again_soon() -> None:
    repeated = Repeated(300)
    assert not repeated.is_worth_keeping("a", 0)
    assert not repeated.is_worth_keeping("b", 1)
    assert repeated.is_worth_keeping("a", 299)
    assert not repeated.is_worth_keeping("b", 302)


def test_nobody_fills_the_store() -> None:
    repeated = Repeated(300, kept_at_most=20, remembered_at_most=50)
    assert not any(repeated.is_worth_keeping(str(number), number / 200) for number in range(10_000))
    kept = [repeated.is_worth_keeping(str(number // 2), 100 + number / 200) for number in range(10_000)]
    assert sum(kept) == 20
    # what is kept may be renewed, and when time has passed there is room again
    assert not repeated.is_worth_keeping("0", 200)
    assert repeated.is_worth_keeping("0", 201)
    assert not repeated.is_worth_keeping("new", 300)
    assert not repeated.is_worth_keeping("new", 301)
    assert repeated.is_worth_keeping("new", 401)
    assert len(repeated._asked) <= 50


async def test_times_of_day_are_prepared_one_after_the_other_and_not_for_each_departure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planner = RoutePlanner(town(2, 3))
    usual = UsualSpeeds("v20260114080000", "Europe/Rome", np.full((288, planner.graph.edge_count), 30.0))
    prepare, threads, at_once = planner.prepare, set[str](), threading.Semaphore(1)
    prepared = 0

    def counted(times: TravelTimes, version: str) -> Conditions:
        nonlocal prepared
        assert at_once.acquire(blocking=False)
        prepared += 1
        threads.add(threading.current_thread().name)
        try:
            return prepare(times, version)
        finally:
            at_once.release()

    monkeypatch.setattr(planner, "prepare", counted)
    conditions, begin = UsualConditions(), datetime(2026, 1, 14, 8, tzinfo=UTC)
    departures = [begin + timedelta(seconds=20 * number) for number in range(540)]
    found = await asyncio.gather(*(conditions.of(planner, usual, departure) for departure in departures))
    assert prepared == 12  # quarters of an hour in three hours
    assert threads == {"usual-speeds_0"}
    for departure, (_, since) in zip(departures, found, strict=True):
        assert timedelta() <= departure - since < timedelta(minutes=15)
