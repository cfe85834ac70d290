"""What slows the whole city at once, and how the model and the linear rule are asked then."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from trafficapp.forecast.artifacts.artifact import Artifact
from trafficapp.forecast.artifacts.shipped import CityModel
from trafficapp.forecast.choosing import Expert, said_as_it_is, said_by_experts
from trafficapp.forecast.city_level import city_level
from trafficapp.forecast.quantities import SPEED
from trafficapp.forecast.weather_inputs import WEATHER_INPUTS

TIME = 1_772_530_200 // 300 * 300


def city(steps: int = 4, roads: int = 90, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Speeds near what is usual, and what is usual."""
    random = np.random.default_rng(seed)
    usual = np.broadcast_to(random.uniform(15, 60, roads), (steps, roads)).astype(np.float32)
    return (usual * random.normal(1, 0.03, usual.shape)).astype(np.float32), usual


def test_what_slows_all_roads_is_the_level_of_its_steps() -> None:
    speeds, usual = city()
    speeds[2:] *= 0.83
    np.testing.assert_allclose(city_level(speeds, usual), [1, 1, 0.83, 0.83], atol=0.01)


def test_a_jam_on_half_of_the_roads_is_none() -> None:
    speeds, usual = city()
    speeds[:, :45] *= 0.2
    assert (city_level(speeds, usual) == 1).all()


def test_a_city_that_is_faster_than_usual_has_none() -> None:
    speeds, usual = city()
    assert (city_level(speeds * 1.2, usual) == 1).all()


def test_a_step_of_which_little_is_known_has_the_level_of_the_one_before() -> None:
    speeds, usual = city()
    speeds[:3] *= 0.8
    speeds[0, 40:] = speeds[3, 40:] = np.nan
    np.testing.assert_allclose(city_level(speeds, usual), [1, 0.8, 0.8, 0.8], atol=0.02)


def test_few_roads_say_nothing_of_a_city() -> None:
    speeds, usual = city(roads=29)
    assert (city_level(speeds * 0.5, usual) == 1).all()


def test_nothing_is_divided_by_less_than_a_half() -> None:
    speeds, usual = city()
    assert (city_level(speeds * 0.1, usual) == 0.5).all()
    assert (city_level(np.zeros_like(speeds), np.zeros_like(usual)) == 0.5).all()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    artifact = CityModel(tmp_path_factory.mktemp("models"), SPEED.step_seconds).current()
    assert artifact is not None
    return artifact


def usual_steps(artifact: Artifact) -> np.ndarray:
    """What is usual in the steps up to `TIME`."""
    layout = artifact.about.layout
    return artifact.knowledge.smooth.at(TIME + layout.step_seconds * np.arange(1 - layout.input_steps, 1))


def test_in_rain_that_has_just_begun_all_is_said_as_of_a_dry_day_and_slower(shipped: Artifact) -> None:
    dry = usual_steps(shipped)
    rain = dry.copy()
    rain[-2:] *= 0.8
    np.testing.assert_allclose(
        said_by_experts(shipped, rain, TIME, None), 0.8 * said_as_it_is(shipped, dry, TIME, None), rtol=1e-3
    )
    # by the speeds as they are the model expects roads to recover at once
    plain, level = (ask(shipped, rain, TIME, None)[Expert.MODEL].mean() for ask in (said_as_it_is, said_by_experts))
    assert plain > 1.03 * level


def test_once_it_is_dry_again_all_is_said_as_if_it_had_never_rained(shipped: Artifact) -> None:
    dry = usual_steps(shipped)
    rained = dry.copy()
    rained[3:-1] *= 0.8
    np.testing.assert_allclose(
        said_by_experts(shipped, rained, TIME, None), said_as_it_is(shipped, dry, TIME, None), rtol=1e-3
    )


def test_without_a_level_all_is_said_by_the_speeds_as_they_are(shipped: Artifact) -> None:
    dry = usual_steps(shipped)
    dry[:, :100] *= 0.3
    np.testing.assert_array_equal(said_by_experts(shipped, dry, TIME, None), said_as_it_is(shipped, dry, TIME, None))


def test_a_model_that_takes_the_weather_sees_the_speeds_as_they_are(
    shipped: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    rain = usual_steps(shipped) * np.float32(0.8)
    layout = msgspec.structs.replace(shipped.about.layout, weather=WEATHER_INPUTS)
    knows = Artifact(
        msgspec.structs.replace(shipped.about, layout=layout), shipped.knowledge, shipped.neighbours, shipped.network
    )
    asked: list[np.ndarray] = []

    def predict(artifact: Artifact, recent_kmh: np.ndarray, last_time: int, weather: object) -> tuple[np.ndarray, None]:
        asked.append(recent_kmh)
        return np.full((recent_kmh.shape[1], 3), float(recent_kmh.mean())), None

    monkeypatch.setattr(Artifact, "predict", predict)
    said = said_by_experts(knows, rain, TIME, None)
    np.testing.assert_allclose(said[Expert.MODEL], rain.mean(), rtol=1e-5)
    np.testing.assert_array_equal(asked[-1], rain)
    np.testing.assert_allclose(said[Expert.LAST_VALUE][:, 0], rain[-1], rtol=1e-4)
