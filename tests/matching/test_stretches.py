"""Ways between settled fixes are cut at the borders of edges, and nothing of them is lost."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from tests.matching.conftest import RULE
from tests.matching.drives import NOON_US, SECOND, drive, way_from
from trafficapp.matching.fixes import SettledFixes
from trafficapp.matching.matcher import Matcher
from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.stretches import Stretch, Stretches
from trafficapp.matching.traces import Traces


def settled_of(matcher: Matcher, fixes: object) -> list[SettledFixes]:
    traces = Traces(matcher.graph_version)
    advanced = matcher.advance(traces, fixes, NOON_US)  # type: ignore[arg-type]
    return [advanced.settled, matcher.settle(traces, NOON_US + RULE.delay_us)]


@pytest.mark.parametrize("seconds", [1.0, 5.0, 10.0])
def test_each_edge_of_a_drive_has_its_length_and_its_time(
    roads: MatchingRoads, matcher: Matcher, seconds: float
) -> None:
    """Without noise; 10 s are several edges at once."""
    rng = np.random.default_rng(11)
    way = max((way_from(roads, edge, 1500, rng) for edge in range(0, 240, 16)), key=lambda one: len(set(one)))
    driven = drive(roads, way, "car", rng, noise_m=0.0, seconds=seconds)
    settled = settled_of(matcher, driven.fixes)
    stretches = [one for some in settled for its in Stretches(roads).of(some) for one in its]
    edges = [edge for place, (edge, _, _) in enumerate(stretches) if place == 0 or stretches[place - 1].edge != edge]
    inner = way[1:-1]
    assert edges[1:-1] == inner
    metres, time = defaultdict[int, float](float), defaultdict[int, float](float)
    for edge, along, took in stretches:
        metres[edge] += along
        time[edge] += took
    times = np.concatenate([one.time_us for one in settled])
    # junctions are on no edge, but nothing is counted twice
    assert 0.7 * (times[-1] - times[0]) / SECOND < sum(time.values()) <= (times[-1] - times[0]) / SECOND + 1e-6
    lengths = roads.graph.length_m
    for edge in set(inner):
        assert metres[edge] == pytest.approx(inner.count(edge) * lengths[edge], abs=1.0)


def test_what_no_vehicle_can_have_driven_is_not_told(roads: MatchingRoads, matcher: Matcher) -> None:
    rng = np.random.default_rng(2)
    first = drive(roads, way_from(roads, 5, 300, rng), "car", rng)
    other = drive(roads, way_from(roads, 200, 300, rng), "car", rng, begin_us=int(first.fixes.time_us[-1]) + SECOND)
    traces = Traces(matcher.graph_version)
    told: list[Stretch] = []
    jumps = 0
    for fixes in (first.fixes, other.fixes):
        settled = [matcher.advance(traces, fixes, NOON_US).settled, matcher.settle(traces, NOON_US + RULE.delay_us)]
        for one in settled:
            jumps += int((one.before_edge < 0).sum())
            told += [stretch for its in Stretches(roads).of(one) for stretch in its]
    # the first fix of all, and the first one behind the jump
    assert jumps == 2
    assert all(metres * 3.6 <= RULE.fastest_kmh * seconds for _, metres, seconds in told)
