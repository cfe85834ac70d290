"""Weather as an input of models: the same numbers in training and serving, and nothing for those without it."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, log1p
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models.weather.observed import WeatherObserved
from tests.forecast.synthetic import HORIZONS, ROADS, artifact, town
from trafficapp.forecast.artifacts.artifact import ArtifactError, describe, load
from trafficapp.forecast.features import build_features
from trafficapp.forecast.learning.history import HistoryError, SpeedHistory
from trafficapp.forecast.learning.windows import TrainingData, prepare
from trafficapp.forecast.weather_inputs import (
    WEATHER_INPUTS,
    Middle,
    Reading,
    nearest_reading,
    weather_numbers,
    weather_of_steps,
)
from trafficapp.settings import WeatherSettings

SETTINGS = WeatherSettings()
MIDDLE = Middle(44.5, 11.3)
STEP = 300
FIRST = 5_894_640  # of steps since the epoch


def observed(station: str = "a", latitude: float = 44.5, **told: Any) -> WeatherObserved:
    return WeatherObserved(station=station, observed_us=0, latitude=latitude, longitude=11.3, **told)


def came(step: float, station: str = "a", latitude: float = 44.5, **told: Any) -> Reading:
    return Reading((FIRST + step) * STEP, observed(station, latitude, **told))


def in_weather(history: SpeedHistory, known: float = 1.0) -> SpeedHistory:
    """The town with rain every third day, in which all drive 15 km/h slower; of a share of the steps it is known."""
    steps = len(history.speeds_kmh)
    rain = (np.arange(steps) // 96 % 3 == 0).astype(np.float32) * 2
    weather = np.tile(np.array([0, 0.5, 0, 0, 0], np.float32), (steps, 1))
    weather[:, 0] = rain
    weather[round(steps * known) :] = np.nan
    return replace(history, speeds_kmh=np.maximum(history.speeds_kmh - 7.5 * rain[:, None], 3), weather=weather)


@pytest.fixture(scope="module")
def rainy() -> TrainingData:
    return prepare(in_weather(town()), HORIZONS)


@pytest.mark.parametrize(
    ("told", "numbers"),
    [
        ({}, (None, None, None, None, None)),
        ({"precipitation": 3.0, "temperature": 20.0}, (log1p(3), 1.0, None, 0, 0)),
        ({"condition": "Heavy rain"}, (log1p(10), None, 0, 0, 0)),
        ({"condition": "Snow", "temperature": -10.0, "precipitation": 1.0}, (0, -2.0, 0, 1, 0.5)),
        ({"condition": "Dense fog"}, (0, None, 1, 0, 0)),
        ({"visibility": 900.0}, (None, None, 0.5, None, None)),
    ],
)
def test_a_reading_becomes_numbers_and_what_it_does_not_say_none(
    told: dict[str, Any], numbers: tuple[Any, ...]
) -> None:
    found = weather_numbers(observed(**told), SETTINGS)
    assert [None if isnan(one) else one for one in found] == pytest.approx(list(numbers))
    assert len(found) == len(WEATHER_INPUTS)


def test_the_nearest_station_within_reach_counts() -> None:
    near, far = observed("near", 44.6), observed("far", 44.4 - 0.01)
    assert nearest_reading([far, near], MIDDLE, 20) == near
    assert nearest_reading([observed("b"), observed("a")], MIDDLE, 20) == observed("a")
    assert nearest_reading([observed("out", 44.7)], MIDDLE, 20) is None


def test_a_step_has_what_had_come_when_it_ended_and_was_not_too_old() -> None:
    readings = [
        came(-0.5, temperature=20.0),
        came(1.0, temperature=30.0),
        came(1.5, "b", 44.6, temperature=0.0),
        came(5.0, "b", 44.6, temperature=10.0),
    ]
    found = weather_of_steps(readings, FIRST, 10, STEP, MIDDLE, SETTINGS)[:, 1]
    # a's second reading is 15 minutes old when step 3 ends, b's second when step 7 does
    assert [None if isnan(one) else one for one in found.tolist()] == [1, 2, 2, 2, None, 0, 0, 0, None, None]
    assert np.isnan(weather_of_steps([], FIRST, 3, STEP, MIDDLE, SETTINGS)).all()


def test_serving_builds_the_columns_of_training(rainy: TrainingData) -> None:
    layout = rainy.layout
    assert layout.weather == WEATHER_INPUTS
    assert layout.columns[-6:] == (*(f"weather_{name}" for name in WEATHER_INPUTS), "weather_known")
    moment = rainy.split.test[:1]
    seen = rainy.as_served().features(moment).roads[0]
    weather = rainy.weather(moment)
    assert weather is not None
    times = rainy.history.times[moment]
    served = build_features(layout, rainy.neighbours, rainy.smooth, rainy.recent(moment), times, weather)
    np.testing.assert_array_equal(served.roads[0], seen)
    assert (seen[:, -6:] == [*weather[0], 1]).all()
    unknown = build_features(layout, rainy.neighbours, rainy.smooth, rainy.recent(moment), times)
    assert (unknown.roads[0][:, -6:] == 0).all()
    np.testing.assert_array_equal(unknown.roads[0][:, :-6], seen[:, :-6])


def test_an_artifact_with_weather_says_so_and_its_answer_follows_the_weather(
    rainy: TrainingData, tmp_path: Path
) -> None:
    path = artifact(rainy, tmp_path)
    assert describe(path).format_version == 3
    found = load(path)
    moment = rainy.split.test[-1:]
    recent, time = rainy.recent(moment)[0], int(rainy.history.times[moment][0])
    dry, rain = np.array([0, 0.5, 0, 0, 0], np.float32), np.array([2, 0.5, 0, 0, 0], np.float32)
    assert (found.predict(recent, time, rain)[0] < found.predict(recent, time, dry)[0]).all()
    # nothing known is no rain, and no error
    unknown = found.predict(recent, time)[0]
    assert np.isfinite(unknown).all()
    assert unknown.shape == (len(ROADS), len(HORIZONS))


def test_without_weather_an_artifact_is_as_before(rainy: TrainingData, tmp_path: Path) -> None:
    for number, history in enumerate((town(), in_weather(town(), 0.02))):
        data = prepare(history, HORIZONS)
        assert (data.layout.weather, data.weather(data.split.test)) == ((), None)
        path = artifact(data, tmp_path / str(number))
        assert describe(path).format_version == 2
        assert "weather" not in msgspec.to_builtins(data.layout)
        moment = data.split.test[-1:]
        recent, time = data.recent(moment)[0], int(data.history.times[moment][0])
        # what serving knows of the weather is nothing to it
        weather = np.ones(len(WEATHER_INPUTS), np.float32)
        np.testing.assert_array_equal(load(path).predict(recent, time, weather)[0], load(path).predict(recent, time)[0])


def test_a_format_that_does_not_fit_the_features_is_refused(rainy: TrainingData, tmp_path: Path) -> None:
    path = artifact(rainy, tmp_path)
    told = (path / "model.json").read_text().replace('"format_version": 3', '"format_version": 2')
    (path / "model.json").write_text(told)
    with pytest.raises(ArtifactError, match="format 2, this program reads"):
        describe(path)


def test_weather_of_other_steps_is_no_history() -> None:
    with pytest.raises(HistoryError, match="weather of 3 steps"):
        replace(town(), weather=np.zeros((3, len(WEATHER_INPUTS)), np.float32))
