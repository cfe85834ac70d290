"""Intervals hold as often as they say, and confidence is the share that comes true."""

from __future__ import annotations

import numpy as np

from tests.forecast.synthetic import LinearNetwork
from trafficapp.forecast.artifacts.artifact import load
from trafficapp.forecast.calibration import calibrate
from trafficapp.forecast.clock import Floats, local_hours
from trafficapp.forecast.learning.windows import TrainingData


def noisy(rng: np.random.Generator, moments: int) -> tuple[Floats, Floats, np.ndarray]:
    """Predictions of 40 km/h; errors are large in the evening and on the second road."""
    hours = np.arange(moments) % 24
    size = np.where(hours >= 16, 6.0, 2.0)[:, None] * np.array([1.0, 3.0])
    said = np.full((moments, 2, 1), 40.0, np.float32)
    return said, (said + rng.laplace(0, size)[..., None]).astype(np.float32), hours


def test_an_interval_holds_as_often_as_it_says_at_every_hour_and_road() -> None:
    rng = np.random.default_rng(5)
    calibration = calibrate(noisy(rng, 4800), noisy(rng, 2400))
    said, came, hours = noisy(rng, 24000)
    for probability in (0.5, 0.8, 0.95):
        certain = calibration.judge(said, hours, probability)
        inside = (certain.low_kmh <= came) & (came <= certain.high_kmh)
        for evening in (hours >= 16, hours < 16):
            for road in (0, 1):
                assert abs(inside[evening, road].mean() - probability) < 0.05


def test_confidence_is_the_share_that_comes_true() -> None:
    rng = np.random.default_rng(6)
    calibration = calibrate(noisy(rng, 4800), noisy(rng, 2400))
    said, came, hours = noisy(rng, 24000)
    confidence, right = calibration.judge(said, hours).confidence, np.abs(said - came) <= 5
    for evening in (hours >= 16, hours < 16):
        for road in (0, 1):
            assert abs(confidence[evening, road].mean() - right[evening, road].mean()) < 0.05
    assert confidence[hours < 16, 0].mean() > confidence[hours >= 16, 1].mean() + 0.3


def test_four_of_five_hold_on_days_never_seen(data: TrainingData, made) -> None:
    calibration, test = load(made).knowledge.calibrations["model"], data.split.test
    said, came = LinearNetwork(data).predict(test), data.targets(test)
    certain = calibration.judge(said, local_hours(data.history.times[test], data.layout.zone))
    inside = (certain.low_kmh <= came) & (came <= certain.high_kmh)
    assert 0.74 < inside.mean() < 0.86
    assert abs(certain.confidence.mean() - (np.abs(said - came) <= np.maximum(5, 0.1 * said)).mean()) < 0.06


def test_what_was_hardly_seen_is_drawn_towards_the_rest() -> None:
    said = np.full((30, 1, 1), 40, np.float32)
    came = said + 2
    came[-1] = 80
    hours = np.r_[np.zeros(29), 5].astype(np.int64)
    calibration = calibrate((said, came, hours), (said, came, hours))
    assert 2 < calibration.usual_error_kmh[0, 5, 0] < 15
    assert np.isfinite(calibration.usual_error_kmh).all()
