"""Who predicts a road at a horizon, by what was right of late."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forecast.city.city_model import city_model
from tests.forecast.synthetic import ROADS, town
from trafficapp.forecast.artifacts.inference import OnnxNetwork
from trafficapp.forecast.artifacts.shipped import CityModel
from trafficapp.forecast.choosing import LEAST_SHARE, Chooser, Expert, multiples, shares, steps_needed, stretched
from trafficapp.forecast.choosing import MOMENTS_OF_ROADS as MOMENTS
from trafficapp.forecast.city.predicting import CityMoment, CityPredictor, PredictedCity

LAST_TIME = 1_772_530_200 // 300 * 300
STEPS = steps_needed(12, (2, 4, 6))
#: Both rules had an eighth more than the model's error before.
BEHIND = np.array([[0.0], [0.125], [0.125]]).repeat(3, 1)


def said(model: float = 2.0, linear: float = 2.0, last: float = 2.0, roads: int = 300) -> np.ndarray:
    """What the experts say where 0 comes: so far off, all on the same side, at all moments, roads and horizons."""
    return np.broadcast_to(np.array([model, linear, last])[:, None, None, None], (3, MOMENTS, roads, 3)).copy()


def shares_of(of: np.ndarray, came: np.ndarray | None = None) -> np.ndarray:
    """Weights, shape (experts, roads, horizons)."""
    return shares(of, np.zeros(of.shape[1:]) if came is None else came, BEHIND)


def test_of_experts_that_are_as_near_the_model_has_most() -> None:
    weights = shares_of(said(linear=2.1, last=2.0))
    assert (weights[Expert.MODEL] > weights[Expert.LAST_VALUE]).all()
    assert (weights[Expert.LAST_VALUE] > weights[Expert.LINEAR_AR]).all()


def test_rules_that_are_worse_by_far_are_not_asked() -> None:
    assert (shares_of(said(model=2.0, linear=2.5, last=3.0))[Expert.MODEL] == 1).all()


def test_a_rule_that_is_nearer_in_the_whole_city_predicts_at_that_horizon_alone() -> None:
    found = said(linear=2.4, last=2.4)
    found[Expert.LAST_VALUE, :, :, 2] = 1.4
    weights = shares_of(found)
    assert (weights[Expert.LAST_VALUE, :, 2] == 1).all()
    assert (weights[Expert.MODEL, :, :2] == 1).all()


def test_what_is_told_of_errors_is_how_much_smaller_they_were_than_the_models() -> None:
    found = said(last=1.4)
    beside = multiples(found, np.zeros(found.shape[1:]), MOMENTS)
    # drawn a little towards the model's, as all is that is known of 300 roads
    np.testing.assert_allclose(beside[Expert.LAST_VALUE], 0.7, atol=0.02)
    assert (beside[Expert.MODEL] == 1).all()


def test_a_road_has_more_of_a_rule_that_was_nearer_there_for_long() -> None:
    found = said(linear=2.4, last=2.0)
    found[Expert.MODEL, :, 7, 0] = 12.0
    weights = shares_of(found)
    assert weights[Expert.LAST_VALUE, 7, 0] > weights[Expert.LAST_VALUE, 8, 0] + 0.1
    assert (weights[:, 7, 1:] == weights[:, 8, 1:]).all()


def test_one_bad_moment_does_not_take_a_road_from_the_model() -> None:
    found = said()
    found[Expert.MODEL, -1, 7] = 6.0
    weights = shares_of(found)
    assert (weights[Expert.MODEL, 7] > weights[1:, 7]).all()


def test_the_model_comes_back_once_it_was_right_for_longer() -> None:
    found = said()
    found[Expert.MODEL, :6] = 6.0
    assert (shares_of(found[:, :6])[Expert.MODEL] == 0).all()
    found[Expert.MODEL, 6:] = 1.0
    assert (shares_of(found)[Expert.MODEL] == 1).all()


def test_what_was_not_measured_says_nothing() -> None:
    found, came = said(last=2.2), np.zeros((MOMENTS, 300, 3))
    came[:, 3] = np.nan
    found[Expert.LAST_VALUE, :, 4] = np.nan
    weights = shares_of(found, came)
    # roads without comparisons are as the city
    np.testing.assert_array_equal(weights[:, 3:5], weights[:, :2])
    assert (shares_of(found, np.full(came.shape, np.nan))[Expert.MODEL] == 1).all()


def test_in_a_city_of_one_road_a_few_errors_do_not_take_it_from_the_model() -> None:
    found = said(last=1.8, roads=1)[:, :2]
    assert (shares_of(found).argmax(0) == Expert.MODEL).all()
    assert (shares_of(said(last=1.8)[:, :2])[..., 0].argmax(0) == Expert.LAST_VALUE).all()


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.25, 4.0]))
@settings(max_examples=30, deadline=None)
def test_shares_are_whole_and_do_not_depend_on_units_or_on_the_order_of_roads(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    roads = int(random.integers(1, 12))
    found = random.normal(0, random.uniform(0.1, 20, (3, 1, 1, 1)), (3, MOMENTS, roads, 3))
    found[random.random(found.shape) < 0.1] = np.nan
    came = np.where(random.random(found.shape[1:]) < 0.2, np.nan, random.normal(0, 5, found.shape[1:]))
    weights = shares(found, came, BEHIND)
    np.testing.assert_allclose(weights.sum(0), 1, atol=1e-6)
    assert ((weights == 0) | (weights >= LEAST_SHARE - 0.001)).all()
    np.testing.assert_array_equal(shares(found * scale, came * scale, BEHIND), weights)
    order = random.permutation(roads)
    np.testing.assert_allclose(shares(found[:, :, order], came[:, order], BEHIND), weights[:, order], atol=0.011)


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
