"""The shipped model is whole, small, of the shipped graph, better than simple rules, and says that it was simulated."""

from __future__ import annotations

from trafficapp.forecast.quantities import SPEED
from trafficapp.forecast.registry import ModelRegistry, PromotedModel, not_better
from trafficapp.forecast.shipped import SHIPPED, CityModel
from trafficapp.roads.shipped import city_graph
from trafficapp.settings import RoadSettings, load_settings


def test_the_shipped_model_serves_bologna() -> None:
    artifact = PromotedModel(ModelRegistry(SHIPPED)).current()
    assert artifact is not None
    about = artifact.about
    assert sorted(about.road_ids) == sorted(city_graph(RoadSettings()).edge_ids.tolist())
    assert about.horizons_minutes == SPEED.horizons_minutes
    assert about.layout.zone == RoadSettings().zone
    assert "simulated" in about.data_source
    assert (about.data_to - about.data_from).days == 14
    assert not_better(about) == []
    size = sum(path.stat().st_size for path in (SHIPPED / about.version).iterdir())
    assert size < 1_000_000


def test_it_is_what_serves_while_none_is_promoted() -> None:
    step_seconds = load_settings().forecast.step_seconds
    found = CityModel(SHIPPED.parent / "nowhere", step_seconds).current()
    promoted = ModelRegistry(SHIPPED).promotion()
    assert found is not None
    assert promoted is not None
    assert found.about.version == promoted.version
