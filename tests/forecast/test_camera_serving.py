"""Cameras and lanes are predicted together, minute by minute, by a model of scores and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.forecast.camera_town import ENTITIES, camera_artifact, camera_data
from trafficapp.forecast.artifacts.artifact import load
from trafficapp.forecast.artifacts.registry import ModelRegistry, PromotedModel
from trafficapp.forecast.artifacts.shipped import CityModel
from trafficapp.forecast.camera_serving import CameraPredictor, PredictedCameras
from trafficapp.forecast.cameras import EntityScores, ScoreWindow, window_of
from trafficapp.forecast.quantities import CONGESTION_SCORE


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a promoted model of cameras."""
    path = camera_artifact(tmp_path_factory.mktemp("models") / "cameras")
    ModelRegistry(path.parent).promote(path.name)
    return path.parent


@pytest.fixture(scope="module")
def predictor(models: Path) -> CameraPredictor:
    return CameraPredictor(PromotedModel(ModelRegistry(models)))


def window(minutes: int = 15) -> ScoreWindow:
    """Some minutes of the unseen part."""
    data = camera_data()
    place = int(data.split.test[200])
    recent = data.history.speeds_kmh[place - minutes + 1 : place + 1]
    return ScoreWindow(ENTITIES, recent.copy(), int(data.history.times[place]))


def predicted(predictor: CameraPredictor, of: ScoreWindow) -> PredictedCameras:
    found = predictor.predict(of)
    assert found is not None
    return found


def test_an_artifact_says_what_it_predicts(models: Path) -> None:
    (version,) = ModelRegistry(models).candidates()
    about = load(models / version).about
    assert about.quantity == CONGESTION_SCORE
    assert about.road_ids == ENTITIES
    assert (about.layout.input_steps, about.layout.step_seconds) == (15, 60)
    assert about.horizons_minutes == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30)
    text = (models / version / "model.json").read_text()
    assert "kmh" not in text.replace("speed_kmh", "")
    assert CityModel(models, 300, None).current() is None  # for roads it is none
    assert CityModel(models, 60, None, CONGESTION_SCORE).current() is not None


def test_every_minute_within_bounds_and_what_follows_lies_between(predictor: CameraPredictor) -> None:
    found = predicted(predictor, window())
    ahead = found.ahead("cam_1", 30)
    assert [one.step for one in ahead] == list(range(1, 31))
    assert [one.time - found.window.last_time for one in ahead] == [60 * step + 60 for step in range(1, 31)]
    assert all(0 <= one.low <= one.score <= one.high <= 1 for one in ahead)
    assert ahead[11].score == pytest.approx((3 * ahead[9].score + 2 * ahead[14].score) / 5)
    assert found.ahead("cam_1", 3) == ahead[:3]
    assert (found.source("cam_1"), found.note("cam_1"), found.samples("cam_1")) == ("model", "", 15)
    assert list(found.lanes("cam_1")) == [0, 1]
    assert found.lanes("cam_2") == {}


def test_silent_ones_get_what_is_usual_and_new_lanes_their_newest(predictor: CameraPredictor) -> None:
    of = window()
    of.scores[-4:, 3] = np.nan
    # A lane that the model does not know, and one that it knows and nothing came of.
    known = [0, 1, 3]
    scores = np.concatenate([of.scores[:, known], np.full((15, 1), 0.625, np.float32)], 1)
    found = predicted(predictor, ScoreWindow(("cam_1", "cam_1/0", "cam_2", "cam_1/7"), scores, of.last_time))
    assert found.source("cam_2") == "time_of_day"
    assert found.model("cam_2") == "baseline:time_of_day"
    assert "no score for 4 minutes" in found.note("cam_2")
    assert found.lanes("cam_1") == {0: "cam_1/0", 1: "cam_1/1", 7: "cam_1/7"}
    assert [found.source(lane) for lane in found.lanes("cam_1").values()] == ["model", "time_of_day", "last_value"]
    assert {one.score for one in found.ahead("cam_1/7", 5)} == {0.625}
    assert np.isnan(found.ahead("cam_1/7", 1)[0].low)
    assert "cam_1/7" not in found.known


def test_windows_have_a_place_for_every_minute() -> None:
    rows = [EntityScores("cam_1", [600, 720], [0.5, 0.25]), EntityScores("cam_2", [660], [0.1])]
    found = window_of(rows, 720, 4)
    expected = [[np.nan, np.nan], [0.5, np.nan], [np.nan, 0.1], [0.25, np.nan]]
    np.testing.assert_allclose(found.scores, expected)
