"""Who predicts a road at a horizon, by what was right of late."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.forecast.city.city_model import city_model
from tests.forecast.synthetic import ROADS, town
from trafficapp.forecast.artifacts.inference import OnnxNetwork
from trafficapp.forecast.artifacts.shipped import CityModel
from trafficapp.forecast.choosing import MOMENTS_OF_ROADS as MOMENTS
from trafficapp.forecast.choosing import Chooser, Expert, mixed, steps_needed, stretched
from trafficapp.forecast.city.predicting import CityMoment, CityPredictor, PredictedCity

LAST_TIME = 1_772_530_200 // 300 * 300
STEPS = steps_needed(12, (2, 4, 6))


MINUTES = np.array([10.0, 20.0, 30.0])


def said(model: float = 2.0, linear: float = 2.0, last: float = 2.0, roads: int = 300) -> np.ndarray:
    """What the experts say where 0 comes: so far off, all on the same side, at all moments, roads and horizons."""
    return np.broadcast_to(np.array([model, linear, last])[:, None, None, None], (3, MOMENTS, roads, 3)).copy()


def shares(of: np.ndarray, came: np.ndarray | None = None) -> np.ndarray:
    """Weights, shape (experts, roads, horizons)."""
    return mixed(of, np.zeros(of.shape[1:]) if came is None else came, MINUTES)[0]


def test_the_model_predicts_while_no_rule_is_nearer_by_a_margin() -> None:
    weights, nearer = mixed(said(model=2.0, linear=1.92, last=2.1), np.zeros((MOMENTS, 300, 3)), MINUTES)
    assert (weights[Expert.MODEL] == 1).all()
    assert (nearer == 0).all()


def test_a_rule_that_is_nearer_in_the_whole_city_predicts_at_that_horizon_alone() -> None:
    found = said()
    found[Expert.LAST_VALUE, :, :, 2] = 1.4
    weights, nearer = mixed(found, np.zeros(found.shape[1:]), MINUTES)
    assert (weights[Expert.LAST_VALUE, :, 2] == 1).all()
    assert (weights[Expert.MODEL, :, :2] == 1).all()
    np.testing.assert_allclose(nearer[:, 2], 0.3, atol=1e-4)


def test_errors_to_both_sides_are_mixed() -> None:
    weights = shares(said(model=2.0, linear=5.0, last=-2.0))
    assert (weights[Expert.MODEL] == 0.5).all()
    assert (weights[Expert.LAST_VALUE] == 0.5).all()
    assert (weights.sum(0) == 1).all()


def test_a_rule_that_is_much_nearer_on_one_road_predicts_that_road_alone() -> None:
    found = said()
    found[Expert.MODEL, :, 7, 0] = 12.0
    weights = shares(found)
    assert (weights[Expert.MODEL, 7, 0], weights[Expert.MODEL, 7, 1]) == (0, 1)
    assert (np.delete(weights[Expert.MODEL], 7, 0) == 1).all()


def test_one_bad_moment_does_not_take_a_road_from_the_model() -> None:
    found = said()
    found[Expert.MODEL, -1, 7] = 6.0
    assert (shares(found)[Expert.MODEL] == 1).all()


def test_the_model_comes_back_once_it_was_right_for_longer() -> None:
    found = said()
    found[Expert.MODEL, :6] = 6.0
    assert (shares(found[:, :6])[Expert.MODEL] == 0).all()
    found[Expert.MODEL, 6:] = 1.0
    assert (shares(found)[Expert.MODEL] == 1).all()


def test_what_was_not_measured_says_nothing() -> None:
    found, came = said(), np.zeros((MOMENTS, 300, 3))
    came[:, 3] = np.nan
    found[Expert.LAST_VALUE, :2, 4], found[:, 2:, 4] = 0.1, np.nan
    # a road without comparisons, and one with two of them, stay the model's
    assert (shares(found, came)[Expert.MODEL, 3:5] == 1).all()
    assert (shares(found, np.full(came.shape, np.nan))[Expert.MODEL] == 1).all()


def test_intervals_are_stretched_to_hold_what_they_promise() -> None:
    random = np.random.default_rng(1)
    came = random.normal(0, 2, (MOMENTS, 300, 1))
    reach = np.full(came.shape, 1.2816)
    (stretch,) = stretched(reach, np.zeros(came.shape), came)
    # reaches of a spread of 1 hold 80 % of it; what came has twice the spread
    assert stretch == pytest.approx(2.0, abs=0.15)
    assert np.mean(np.abs(came) <= reach * stretch) == pytest.approx(0.8, abs=0.03)
    assert stretched(reach, np.zeros(came.shape), np.full(came.shape, np.nan)) == [1.0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    city_model(made)
    return made


def moment(kept_kmh: np.ndarray, last_time: int = LAST_TIME) -> CityMoment:
    roads, newest = ROADS[: kept_kmh.shape[1]], tuple(kept_kmh[-1].tolist())
    return CityMoment((last_time + 60) * 1_000_000, roads, kept_kmh.astype(np.float32), last_time, 300, newest)


def predicted(folder: Path, kept_kmh: np.ndarray) -> PredictedCity:
    return CityPredictor(CityModel(folder, 300, None)).predict(moment(kept_kmh))


def test_roads_that_do_what_the_model_does_not_know_get_a_rule_that_says_so(folder: Path) -> None:
    # a speed that no day of the town ever had, and that does not change
    of_city = predicted(folder, np.full((STEPS, len(ROADS)), 141.0))
    for one in of_city.predictions:
        assert one.source == "last_value"
        assert one.model_version == "baseline:last_value"
        assert one.model_versions == ["baseline:last_value"] * 3
        assert one.predicted_speed_30min == 141.0
        assert "10, 20, 30 minutes ahead it is the newest mean speed" in one.note
        assert "% smaller" in one.note
        assert one.low_kmh[0] is not None
        assert one.low_kmh[0] < 141.0


def test_without_enough_steps_to_look_back_on_the_model_predicts(folder: Path) -> None:
    of_city = predicted(folder, np.full((12, len(ROADS)), 141.0))
    assert {one.source for one in of_city.predictions} == {"model"}
    assert {one.note for one in of_city.predictions} == {""}


def test_whoever_takes_over_chooses_as_the_owner_before(folder: Path) -> None:
    artifact = CityModel(folder, 300, None).current()
    assert artifact is not None
    random = np.random.default_rng(2)
    speeds = 45 + random.normal(0, 8, (STEPS + 5, len(ROADS))).astype(np.float32)
    speeds[random.random(speeds.shape) < 0.05] = np.nan
    owner = Chooser()
    for step in range(6):
        kept, last_time = speeds[step : step + STEPS], LAST_TIME + 300 * step
        of_owner = owner.choose(artifact, kept, last_time, None)
    anew = Chooser().choose(artifact, kept, last_time, None)
    assert of_owner is not None
    assert anew is not None
    assert (of_owner.weights < 1).any()
    np.testing.assert_array_equal(of_owner.weights, anew.weights)
    np.testing.assert_array_equal(of_owner.nearer, anew.nearer)
    np.testing.assert_array_equal(of_owner.stretch, anew.stretch)


def test_another_model_is_looked_back_on_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = CityModel(folder, 300, None).current()
    assert artifact is not None
    kept, chooser = town(days=2).speeds_kmh[:STEPS], Chooser()
    before = chooser.choose(artifact, kept, LAST_TIME, None)
    other = replace(artifact, about=msgspec.structs.replace(artifact.about, version="other"))
    run = OnnxNetwork.run
    monkeypatch.setattr(OnnxNetwork, "run", lambda network, roads, clock: run(network, roads, clock) + 5)
    # the same model has said what it said; another one was wrong at all of the moments
    same = chooser.choose(artifact, kept, LAST_TIME, None)
    after = chooser.choose(other, kept, LAST_TIME, None)
    assert before is same
    assert before is not None
    assert after is not None
    assert (before.weights[Expert.MODEL] > 0).any()
    assert (after.weights[Expert.MODEL] == 0).all()
