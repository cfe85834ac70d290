from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from trafficapp.simulation.city import City, bologna
from trafficapp.simulation.views import CameraView, shipped_views


@pytest.fixture(scope="session")
def city() -> City:
    return bologna(city_graph(RoadSettings()))


@pytest.fixture(scope="session")
def views(city: City) -> tuple[CameraView, ...]:
    return shipped_views(city.graph)


@pytest.fixture(scope="session")
def rome() -> ZoneInfo:
    return ZoneInfo("Europe/Rome")
