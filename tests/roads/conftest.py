"""Road graphs for tests: Bologna, and small towns drawn by chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from trafficapp.roads.graph import RoadGraph
from trafficapp.roads.importing import import_graph
from trafficapp.roads.routes import RoutePlanner

FOLDER = Path(__file__).parent.parent / "data" / "roads"
FILES = [FOLDER / f"bologna_{what}.parquet" for what in ("nodes", "edges", "turns")]


@pytest.fixture(scope="session")
def bologna() -> RoadGraph:
    return import_graph(FILES, city="bologna", source="DLR-TS/sumo-scenarios@629e34c, EPL-2.0")


@pytest.fixture
def planner(bologna: RoadGraph) -> RoutePlanner:
    return RoutePlanner(bologna)
