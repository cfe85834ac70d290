"""The shipped model is whole, small, of the shipped graph, better than simple rules, and says that it was simulated."""

from __future__ import annotations

from trafficapp.forecast.artifacts.artifact import Artifact
from trafficapp.forecast.artifacts.registry import not_better
from trafficapp.forecast.artifacts.shipped import SHIPPED, CityModel
from trafficapp.forecast.quantities import SPEED
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings, load_settings


def served() -> Artifact:
    """What serves while none is promoted."""
    found = CityModel(SHIPPED.parent / "nowhere", load_settings().forecast.step_seconds).current()
    assert found is not None
    return found


def test_the_shipped_model_serves_bologna() -> None:
    artifact = served()
    about = artifact.about
    assert sorted(about.road_ids) == sorted(city_graph(RoadSettings()).edge_ids.tolist())
    assert about.horizons_minutes == SPEED.horizons_minutes
    assert about.layout.zone == RoadSettings().zone
    assert "simulated" in about.data_source
    assert (about.data_to - about.data_from).days == 14
    assert not_better(about) == []
    size = sum(path.stat().st_size for path in (SHIPPED / about.version).iterdir())
    assert size < 1_000_000
