"""Bologna's roads, made ready once."""

from __future__ import annotations

import numpy as np
import pytest

from tests.matching.drives import Drive, drive, together, way_from
from trafficapp.matching.matcher import Matcher
from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.rule import MatchingRule
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings

RULE = MatchingRule()


@pytest.fixture(scope="session")
def roads() -> MatchingRoads:
    return MatchingRoads.build(city_graph(RoadSettings()), RULE.reach_m)


@pytest.fixture(scope="session")
def matcher(roads: MatchingRoads) -> Matcher:
    return Matcher(roads, RULE)


@pytest.fixture(scope="session")
def traffic(roads: MatchingRoads) -> Drive:
    """Forty vehicles at once, a fix each every five seconds."""
    rng = np.random.default_rng(14)
    begins = rng.integers(roads.graph.edge_count, size=40).tolist()
    ways = [way_from(roads, edge, 2000, rng) for edge in begins]
    return together([drive(roads, way, f"car-{number}", rng) for number, way in enumerate(ways)])
