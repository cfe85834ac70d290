"""Training and serving see the same; nothing is known beforehand; gaps are said and never read."""

from __future__ import annotations

import numpy as np
import pytest

from tests.forecast.synthetic import HORIZONS, town, with_gaps
from trafficapp.forecast.city.recent import RecentSpeeds
from trafficapp.forecast.clock import local_days, slots
from trafficapp.forecast.features import build_features
from trafficapp.forecast.learning.history import SpeedHistory
from trafficapp.forecast.learning.windows import TrainingData, prepare, split_in_time
from trafficapp.forecast.neighbours import RoadLinks, neighbour_matrices


def served(data: TrainingData, moment: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of one moment by the way a worker goes: measurements one by one, then the artifact's profile."""
    history, layout = data.history, data.layout
    recent = RecentSpeeds(history.road_ids, history.step_seconds, layout.input_steps)
    for step in range(moment - layout.input_steps + 1, moment + 1):
        for road, speed in zip(history.road_ids, history.speeds_kmh[step], strict=True):
            if np.isfinite(speed):
                recent.observe(road, float(history.times[step]) + 7, float(speed))
    window, last_time = recent.window(float(history.times[moment]) + 60)
    assert last_time == history.times[moment]
    features = build_features(layout, data.neighbours, data.smooth, window[None], np.array([last_time]))
    return features.roads[0], features.clock[0]


@pytest.mark.parametrize("history", [town(), with_gaps(town())], ids=["whole", "gaps"])
def test_serving_sees_what_training_saw(history: SpeedHistory) -> None:
    data = prepare(history, HORIZONS)
    # The first moments after training can look ahead into a training day's usual speeds.
    for moment in data.split.test[[0, 40, -1]].tolist():
        roads, clock = served(data, moment)
        trained = data.features(np.array([moment]))
        np.testing.assert_allclose(roads, trained.roads[0], atol=1e-5)
        np.testing.assert_array_equal(clock, trained.clock[0])


def test_a_training_day_does_not_see_itself(data: TrainingData) -> None:
    history = data.history
    moment = int(data.split.train[300])
    day = local_days(history.times[moment : moment + 1], history.zone)
    other = history.speeds_kmh.copy()
    other[local_days(history.times, history.zone) == day] += 15
    changed = SpeedHistory(history.road_ids, history.start, history.step_seconds, other, history.zone, history.links)
    times = history.times[moment : moment + 1]
    np.testing.assert_allclose(prepare(changed, HORIZONS).held_out.at(times), data.held_out.at(times), atol=1e-4)
    assert np.abs(prepare(changed, HORIZONS).smooth.at(times) - data.smooth.at(times)).min() > 0.5


def test_scaling_and_usual_speeds_ignore_what_comes_after_training(data: TrainingData) -> None:
    history = data.history
    later = history.speeds_kmh.copy()
    later[data.split.train[-1] + 13 :] = 5
    changed = prepare(
        SpeedHistory(history.road_ids, history.start, history.step_seconds, later, history.zone, history.links),
        HORIZONS,
    )
    assert changed.layout == data.layout
    np.testing.assert_array_equal(changed.smooth.speeds_kmh, data.smooth.speeds_kmh)


def test_windows_are_split_in_the_order_of_time() -> None:
    split = split_in_time(2016)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [1395, 199, 399]
    assert split.train[0] == 11
    assert split.train[-1] < split.validation[0] <= split.validation[-1] < split.test[0]
    assert split.test[-1] + 12 == 2015


def test_missing_values_are_said_and_left_out(data: TrainingData) -> None:
    layout, columns = data.layout, data.layout.columns
    recent = data.recent(data.split.test[:1]).copy()
    recent[0, -2:, 0] = np.nan
    recent[0, :, 1] = np.nan
    features = build_features(layout, data.neighbours, data.smooth, recent, data.history.times[data.split.test[:1]])
    assert np.isfinite(features.roads).all()
    by_name = dict(zip(columns, features.roads[0].T, strict=True))
    assert by_name["missing_share"][:3] == pytest.approx([2 / 12, 1, 0])
    assert by_name["steps_since_known"][:3] == pytest.approx([2 / 12, 1, 0])
    assert by_name["speed_0_ago"][0] == by_name["speed_2_ago"][0] == pytest.approx(layout.scale(recent[0, -3, 0]))
    assert features.seen[0].tolist() == [True, False, True, True, True, True]
    # In the ring each road leads to the next: the only neighbour upstream of the third is unknown, so it is itself.
    assert by_name["up_1_0_ago"][2] == by_name["speed_0_ago"][2]
    assert by_name["up_1_0_ago"][3] == pytest.approx(by_name["speed_0_ago"][2])


def test_means_over_neighbours_follow_the_weights() -> None:
    links = RoadLinks(3, np.array([0, 0]), np.array([1, 2]), np.array([1, 3], np.float32))
    down, up, *_ = neighbour_matrices(links)
    assert down[0].tolist() == [0, 0.25, 0.75]
    assert down[1].tolist() == [0, 0, 0]
    assert up[2].tolist() == [1, 0, 0]


def test_links_must_lead_to_roads_that_are_there() -> None:
    with pytest.raises(ValueError, match="not among the 2"):
        RoadLinks(2, np.array([0]), np.array([2]), np.array([1], np.float32))


def test_the_day_is_that_of_the_city_also_when_clocks_change() -> None:
    # In Rome clocks go forward at 01:00 UTC on 29 March 2026.
    times = np.array([1774745100, 1774746000], np.int64)  # 00:45 and 01:00 UTC
    assert slots(times, "Europe/Rome", 900).tolist() == [7, 12]
