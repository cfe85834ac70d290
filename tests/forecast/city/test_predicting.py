"""Which model serves the city, and that its roads never go without predictions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import pytest

from tests.forecast.city.city_model import city_model
from tests.forecast.synthetic import ROADS
from trafficapp.forecast.artifacts.artifact import Artifact, ArtifactError
from trafficapp.forecast.artifacts.fitness import fitness
from trafficapp.forecast.artifacts.inference import OnnxNetwork
from trafficapp.forecast.artifacts.registry import POINTER, ModelRegistry, Promotion
from trafficapp.forecast.artifacts.shipped import SHIPPED_OF_CAMERAS, CityModel
from trafficapp.forecast.city.predicting import CityMoment, CityPredictor, speeds_of
from trafficapp.forecast.quantities import SPEED
from trafficapp.weather.road_weather import StationWeather, WeatherOfRoads

LAST_TIME = 1_772_530_200 // 300 * 300
NOWHERE = Path("nowhere")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return city_model(tmp_path_factory.mktemp("made"))


@pytest.fixture
def shipped(made: Path, tmp_path: Path) -> Path:
    """A folder of shipped models, with one in it."""
    shutil.copytree(made, tmp_path / "shipped" / made.name)
    return tmp_path / "shipped"


def moment(roads: tuple[str, ...] = ROADS) -> CityMoment:
    recent = np.full((12, len(roads)), 45, np.float32)
    return CityMoment((LAST_TIME + 60) * 1_000_000, roads, recent, LAST_TIME, 300, (45.0,) * len(roads))


def test_the_shipped_model_serves_until_one_is_promoted(shipped: Path, tmp_path: Path) -> None:
    model = CityModel(tmp_path / "models", 300, shipped)
    (version,) = (path.name for path in shipped.iterdir())
    assert CityPredictor(model).predict(moment()).model_version == version
    # the folder may be the model itself, too
    found = CityModel(tmp_path / "models", 300, shipped / version).current()
    assert found is not None
    promoted = city_model(tmp_path / "models").name
    assert promoted != version
    assert CityPredictor(model).predict(moment()).model_version == promoted


def test_without_any_model_simple_rules_answer(tmp_path: Path) -> None:
    predicted = CityPredictor(CityModel(tmp_path / "models", 300, NOWHERE)).predict(moment())
    assert (predicted.model_version, predicted.model, predicted.refusal) == ("", None, None)
    assert {(one.source, one.note) for one in predicted.predictions} == {
        ("last_value", "no model is promoted; this is the mean speed of the newest 5 minutes that were measured")
    }
    assert speeds_of(predicted.predictions) == {road: [45.0] * 4 for road in ROADS}


def test_a_damaged_shipped_model_is_refused_without_telling_where_it_is(shipped: Path, tmp_path: Path) -> None:
    (model,) = shipped.iterdir()
    (model / "model.onnx").write_bytes(b"cut off")
    predicted = CityPredictor(CityModel(tmp_path / "models", 300, shipped)).predict(moment())
    assert predicted.predictions[0].note.startswith(f"{model.name}: model.onnx is damaged")
    assert str(tmp_path) not in predicted.predictions[0].note


def test_the_shipped_model_stands_in_for_a_promoted_one_that_is_damaged(shipped: Path, tmp_path: Path) -> None:
    promoted = city_model(tmp_path / "models")
    (promoted / "arrays.npz").write_bytes(b"")
    predicted = CityPredictor(CityModel(tmp_path / "models", 300, shipped)).predict(moment())
    assert predicted.model_version in {path.name for path in shipped.iterdir()}
    assert predicted.refusal is not None
    assert predicted.refusal.startswith(f"{promoted.name}: arrays.npz")
    assert {one.note for one in predicted.predictions} == {""}


def test_a_model_that_fails_while_it_predicts_costs_no_prediction(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = CityModel(made.parent, 300, NOWHERE)
    predictor = CityPredictor(model)
    assert predictor.predict(moment()).model_version == made.name

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(OnnxNetwork, "run", fail)
    predicted = predictor.predict(moment())
    assert [(one.source, one.predicted_speed_30min) for one in predicted.predictions] == [("last_value", 45)] * 6
    assert (predicted.model_version, predicted.refusal) == ("", "the model failed")
    monkeypatch.undo()
    assert predictor.predict(moment()).model_version == made.name


def test_a_model_of_other_steps_or_horizons_is_not_used(made: Path) -> None:
    model = CityModel(made.parent, 600, NOWHERE)
    assert model.current() is None
    assert "steps of 300 s, those of the settings are 600 s" in str(model.refusal)


def test_the_last_value_is_told_as_the_model_is_compared_with_it(made: Path) -> None:
    asked = moment()
    recent = asked.recent_kmh.copy()
    recent[-1, 0], recent[-1, 1], recent[-4:, 2] = 39.5, np.nan, np.nan
    predictor = CityPredictor(CityModel(made.parent, 300, NOWHERE))
    told = predictor.predict(replace(asked, recent_kmh=recent, current_kmh=(20.0,) * len(ROADS))).predictions
    assert [(one.current_speed, one.step_speed_kmh) for one in told] == [(20, 39.5), (20, 45), (None, None)] + [
        (20, 45)
    ] * 3


def test_a_whole_model_that_does_not_fit_replaces_none_that_does(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    shutil.copytree(made.parent, folder)
    cameras = next(path.parent for path in SHIPPED_OF_CAMERAS.glob("**/model.json"))
    shutil.copytree(cameras, folder / cameras.name)
    serving = CityModel(folder, 300, NOWHERE)
    assert serving.current() is not None
    with pytest.raises(ArtifactError, match="it predicts congestion_score, not speed_kmh"):
        ModelRegistry(folder, fitness(300, SPEED)).promote(cameras.name)
    # whoever promotes it all the same, by a release that did not look
    before = msgspec.json.decode((folder / POINTER).read_bytes(), type=Promotion)
    (folder / POINTER).write_bytes(msgspec.json.encode(Promotion(cameras.name, datetime.now(UTC), (before.version,))))
    for model in (serving, CityModel(folder, 300, NOWHERE)):
        found = model.current()
        assert found is not None
        assert found.about.version == made.name
        assert model.refusal == f"{cameras.name}: it predicts congestion_score, not speed_kmh"
    (folder / POINTER).write_bytes(msgspec.json.encode(Promotion(cameras.name, datetime.now(UTC))))
    shipped = CityModel(folder, 300).current()
    assert shipped is not None
    assert shipped.about.quantity == SPEED


def test_roads_keep_their_order_and_those_of_which_nothing_is_known_are_left_out(made: Path) -> None:
    roads = ("silent", *ROADS[::-1], "new")
    asked = moment(roads)
    recent = asked.recent_kmh.copy()
    recent[:, 0] = np.nan
    predicted = CityPredictor(CityModel(made.parent, 300, NOWHERE)).predict(replace(asked, recent_kmh=recent))
    assert [one.road_id for one in predicted.predictions] == list(roads[1:])
    assert [key.decode() for key, _ in predicted.records] == list(roads[1:])
    assert len({one.event_id for one in predicted.predictions}) == len(roads) - 1
    assert isinstance(predicted.model, Artifact)
    assert ModelRegistry(made.parent).promotion() is not None


class _Icy:
    """Every road but the fourth is beside a station that says ice; that one has fair weather."""

    def of_road(self, road_id: str) -> StationWeather | None:
        told_at = datetime.fromtimestamp(LAST_TIME, UTC)
        if road_id == ROADS[3]:
            return StationWeather("fair", 44.5, 11.3, told_at, (), 1.0)
        return StationWeather("station-7", 44.5, 11.3, told_at, ("ice",), 0.6)


def test_bad_weather_slows_what_is_usual_and_nothing_that_was_measured(made: Path) -> None:
    asked = moment()
    recent = asked.recent_kmh.copy()
    recent[:, 2:4] = np.nan  # silent for an hour
    asked = replace(asked, recent_kmh=recent, closed=frozenset({ROADS[5]}))
    predictor = CityPredictor(CityModel(made.parent, 300, NOWHERE))
    fair = predictor.predict(asked).predictions
    icy = predictor.predict(replace(asked, weather=cast(WeatherOfRoads, _Icy()))).predictions
    assert [one.source for one in icy] == ["model", "model", "time_of_day", "time_of_day", "model", "closed"]
    for place in (0, 1, 3, 4, 5):
        assert icy[place] == fair[place]
    one, other = icy[2], fair[2]
    assert one.weather_factor == 0.6
    assert one.note == f"{other.note}, 40 % slower for ice (station station-7)"
    for name in ("predicted_speed_10min", "predicted_speed_20min", "predicted_speed_30min"):
        assert getattr(one, name) == pytest.approx(0.6 * getattr(other, name), abs=0.01)
    for name in ("low_kmh", "high_kmh"):
        assert getattr(one, name) == pytest.approx([0.6 * kmh for kmh in getattr(other, name)], abs=0.01)
    assert one.current_speed is None
