"""Predictions of all roads at once; who made each of them is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.forecast.synthetic import ROADS, LinearNetwork
from trafficapp.forecast.artifacts.registry import ModelRegistry, PromotedModel
from trafficapp.forecast.city.recent import RecentSpeeds
from trafficapp.forecast.learning.windows import TrainingData
from trafficapp.forecast.serving import Forecaster, Source


@pytest.fixture
def forecaster(model: Path) -> Forecaster:
    registry = ModelRegistry(model.parent)
    registry.promote(model.name)
    return Forecaster(PromotedModel(registry))


def moment_of(data: TrainingData) -> tuple[np.ndarray, int, np.ndarray]:
    moment = data.split.test[30:31]
    return data.recent(moment)[0].copy(), int(data.history.times[moment][0]), LinearNetwork(data).predict(moment)[0]


def test_all_roads_by_the_model_with_bounds(data: TrainingData, forecaster: Forecaster) -> None:
    recent, last_time, expected = moment_of(data)
    found = forecaster.forecast(ROADS, recent, last_time)
    np.testing.assert_allclose(found.speeds_kmh, expected, atol=1e-3)
    assert (found.sources == Source.MODEL).all()
    assert found.model_of(0) == found.model_version
    assert (found.low_kmh < found.speeds_kmh).all()
    assert (found.speeds_kmh < found.high_kmh).all()
    assert ((found.confidence > 0) & (found.confidence <= 1)).all()
    # Farther ahead it is less sure.
    assert found.confidence[:, 0].mean() > found.confidence[:, -1].mean()


def test_the_order_of_roads_is_the_callers(data: TrainingData, forecaster: Forecaster) -> None:
    recent, last_time, expected = moment_of(data)
    found = forecaster.forecast(ROADS[::-1], recent[:, ::-1], last_time)
    np.testing.assert_allclose(found.speeds_kmh, expected[::-1], atol=1e-3)


def test_silent_and_unknown_roads_fall_back_and_say_so(data: TrainingData, forecaster: Forecaster) -> None:
    recent, last_time, _ = moment_of(data)
    recent[-3:, 1] = np.nan
    recent[-2:, 2] = np.nan
    recent = np.concatenate([recent, recent[:, :1] * 0 + 33, recent[:, :1] * np.nan], 1)
    found = forecaster.forecast((*ROADS, "new", "new and silent"), recent, last_time)
    assert found.sources.tolist() == [
        *(Source.MODEL, Source.TIME_OF_DAY, Source.MODEL, Source.MODEL, Source.MODEL, Source.MODEL),
        *(Source.LAST_VALUE, Source.NOTHING),
    ]
    assert found.since_steps.tolist() == [0, 3, 2, 0, 0, 0, 0, 12]
    ahead = last_time + 900 * np.array(data.layout.horizon_steps)
    np.testing.assert_allclose(found.speeds_kmh[1], data.smooth.at(ahead)[:, 1], atol=1e-4)
    assert np.isfinite(found.confidence[1]).all()
    assert found.speeds_kmh[6].tolist() == [33, 33, 33]
    assert np.isnan(found.confidence[6]).all()
    assert np.isnan(found.speeds_kmh[7]).all()
    assert found.model_of(1) == "baseline:time_of_day"
    assert found.model_of(6) == "baseline:last_value"


def test_a_silent_road_does_not_change_what_far_roads_get_much(data: TrainingData, forecaster: Forecaster) -> None:
    recent, last_time, expected = moment_of(data)
    recent[:, 0] = np.nan
    found = forecaster.forecast(ROADS, recent, last_time)
    # What is four roads away sees nothing of it in its features.
    np.testing.assert_allclose(found.speeds_kmh[3], expected[3], atol=1e-3)
    assert np.isfinite(found.speeds_kmh).all()


def test_without_a_model_the_last_value_answers_and_says_why(data: TrainingData, model: Path) -> None:
    recent, last_time, _ = moment_of(data)
    recent[-3:, 1] = np.nan
    registry = ModelRegistry(model.parent)
    found = Forecaster(PromotedModel(registry)).forecast(ROADS, recent, last_time)
    assert found.note == "no model is promoted"
    assert found.horizons_minutes == (10, 20, 30)
    np.testing.assert_array_equal(found.speeds_kmh[0], recent[-1, 0].repeat(3))
    assert found.sources[:2].tolist() == [Source.LAST_VALUE, Source.NOTHING]
    registry.promote(model.name)
    (model / "arrays.npz").write_bytes(b"")
    found = Forecaster(PromotedModel(registry)).forecast(ROADS, recent, last_time)
    assert "arrays.npz is damaged" in found.note
    assert (found.sources != Source.MODEL).all()


def test_recent_speeds_are_means_of_steps_and_forget() -> None:
    recent = RecentSpeeds(("a", "b"), 300, 3)
    for time, speed in ((3000, 40), (3290, 60), (3300, 30), (3900, 20)):
        assert recent.observe("a", time, speed)
    assert not recent.observe("c", 3900, 20)
    assert not recent.observe("b", 2999, 20)
    assert not recent.observe("b", 3900, -1)
    assert not recent.observe("b", 3900, float("nan"))
    window, last = recent.window(3950)
    assert last == 3900
    np.testing.assert_array_equal(window, [[30, np.nan], [np.nan, np.nan], [20, np.nan]])
    # The step has begun, but nothing came of it yet; later everything is too old.
    assert recent.window(4210)[1] == 3900
    window, last = recent.window(4810)
    assert last == 4500
    np.testing.assert_array_equal(window, [[20, np.nan], [np.nan, np.nan], [np.nan, np.nan]])
    assert np.isnan(recent.window(99_000)[0]).all()
