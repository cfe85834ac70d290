"""The simple rules, and the scores that everything is judged by."""

from __future__ import annotations

import numpy as np
import pytest

from trafficapp.forecast.baselines import last_value
from trafficapp.forecast.learning.scores import scores
from trafficapp.forecast.learning.windows import TrainingData


def test_the_last_value_is_the_last_that_was_measured() -> None:
    recent = np.array([[[10, np.nan], [20, np.nan], [np.nan, np.nan]]], np.float32)
    np.testing.assert_array_equal(last_value(recent, 2), [[[20, 20], [np.nan, np.nan]]])


def test_baselines_are_better_than_nothing_each_where_it_should(data: TrainingData) -> None:
    said = data.baselines(data.split.test, data.linear_ar())
    truth = data.targets(data.split.test)
    found = {name: scores(one, truth, data.layout.horizons_minutes) for name, one in said.items()}
    mean = np.full_like(truth, data.layout.mean_kmh)
    (_, _, of_mean) = scores(mean, truth, data.layout.horizons_minutes)
    assert found["time_of_day"][2].mae_kmh < of_mean.mae_kmh
    assert found["linear_ar"][0].mae_kmh < found["time_of_day"][0].mae_kmh
    assert found["linear_ar"][0].rmse_kmh < found["last_value"][0].rmse_kmh
    assert all(
        smoothed.mae_kmh < plain.mae_kmh
        for smoothed, plain in zip(found["smoothed_ar"], found["linear_ar"], strict=True)
    )


def test_scores_by_hand() -> None:
    predicted = np.array([[[50.0], [30.0], [8.0], [5.0]]], np.float32)
    actual = np.array([[[40.0], [30.0], [0.0], [np.nan]]], np.float32)
    (score,) = scores(predicted, actual, (10.0,))
    assert (score.count, score.mae_kmh) == (3, pytest.approx(6))
    assert score.rmse_kmh == pytest.approx(np.sqrt(164 / 3))
    assert score.mape_percent == pytest.approx(12.5)
    assert score.r2 == pytest.approx(1 - 164 / (((np.array([40, 30, 0]) - 70 / 3) ** 2).sum()))
    with pytest.raises(ValueError, match="nothing is known"):
        scores(predicted, np.full_like(actual, np.nan), (10.0,))
