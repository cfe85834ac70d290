"""Queues with a head, an extent and a delay."""

from __future__ import annotations

import numpy as np

from trafficapp.measures.bottlenecks import STEP_SECONDS, bottlenecks
from trafficapp.measures.paces import MeasuredRoad, StepPaces


def street(count: int) -> list[MeasuredRoad]:
    """Roads of 200 m one after the other."""
    return [
        MeasuredRoad(f"r{n}", f"r{n}", 200.0, 50.0, begin=n, end=n + 1, nodes=frozenset({n, n + 1}))
        for n in range(count)
    ]


def test_a_queue_is_told_by_its_head_with_extent_duration_and_delay() -> None:
    speeds = np.full((24, 6), 45.0)
    # it stands on the fourth road for an hour, and reaches back to the second for half of it
    speeds[4:16, 3] = 10.0
    speeds[6:12, 1:3] = 5.0
    # too short to count
    speeds[20:22, 5] = 5.0
    (found,) = bottlenecks(StepPaces(street(6), 0, STEP_SECONDS, 1 / speeds), 0.4, 100.0)
    assert (found.road_id, found.roads) == ("r3", ["r1", "r2", "r3"])
    assert (found.activations, found.active_minutes, found.longest_minutes) == (1, 60.0, 60.0)
    assert (found.max_extent_m, found.mean_extent_m) == (600.0, 400.0)
    # a lane of 200 m: 20 vehicles where it stands
    head, tail = 12 * 0.8**2 * 20 / 12, 2 * 6 * 0.9**2 * 20 / 12
    assert found.delay_vehicle_hours == round(head + tail, 2)


def test_a_slow_road_that_leads_to_a_slow_one_is_no_bottleneck_and_the_worst_comes_first() -> None:
    roads = [*street(2), MeasuredRoad("far", "far", 100.0, 50.0, begin=90, end=91), MeasuredRoad("off", "off", 5, 50)]
    speeds = np.full((12, 4), 5.0)
    found = bottlenecks(StepPaces(roads, 0, STEP_SECONDS, 1 / speeds), 0.4, 100.0)
    assert [one.road_id for one in found] == ["r1", "far", "off"]
    assert [one.road_id for one in bottlenecks(StepPaces(roads, 0, STEP_SECONDS, 1 / speeds), 0.4, 100.0, 1)] == ["r1"]


def test_what_was_not_measured_is_not_slow() -> None:
    assert bottlenecks(StepPaces(street(3), 0, STEP_SECONDS, np.full((12, 3), np.nan)), 0.4, 100.0) == []
