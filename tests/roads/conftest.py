"""Road graphs for tests: Bologna, and small towns drawn by chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.routing.routes import RoutePlanner
from trafficapp.settings import RoadSettings

FOLDER = Path(__file__).parent.parent / "data" / "roads"
FILES = [FOLDER / f"bologna_{what}.parquet" for what in ("nodes", "edges", "turns")]


@pytest.fixture(scope="session")
def bologna() -> RoadGraph:
    return city_graph(RoadSettings())


@pytest.fixture
def planner(bologna: RoadGraph) -> RoutePlanner:
    return RoutePlanner(bologna)
