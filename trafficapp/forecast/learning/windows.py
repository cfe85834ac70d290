"""Moments of a history to train, choose and judge with: in the order of time, so that nothing is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trafficapp.forecast.baselines import (
    LAST_VALUE,
    LINEAR_AR,
    SMOOTHED_AR,
    TIME_OF_DAY,
    LinearRules,
    fit_linear_ar,
    last_value,
    time_of_day,
)
from trafficapp.forecast.clock import Floats, Integers
from trafficapp.forecast.features import FeatureLayout, Features, build_features
from trafficapp.forecast.learning.history import LEAST_SHARE, HistoryError, SpeedHistory
from trafficapp.forecast.neighbours import neighbour_matrices
from trafficapp.forecast.profiles import (
    DayProfile,
    HeldOutProfile,
    held_out_profile,
    plain_profile,
    smooth_profile,
    weekends_apart,
)
from trafficapp.forecast.quantities import SPEED, Quantity
from trafficapp.forecast.weather_inputs import WEATHER_INPUTS

TRAIN_SHARE, VALIDATION_SHARE = 0.7, 0.1

#: So many rows decide about a dozen weights as well as more of them do.
_MOST_LINEAR_ROWS = 500_000


@dataclass(frozen=True, eq=False)
class Split:
    """Places of the newest input step of each moment."""

    train: Integers
    validation: Integers
    test: Integers


def split_in_time(steps: int, quantity: Quantity = SPEED) -> Split:
    """The first 70 % of the moments to train, the next 10 % to choose, the rest to judge.

    A moment counts only when all output steps after it are there, whatever the horizons, as usual with such data.
    """
    input_steps = quantity.input_steps
    count = steps - input_steps - quantity.output_steps + 1
    if count < 10:
        raise HistoryError(f"{steps} steps are too few to train from")
    moments = np.arange(input_steps - 1, input_steps - 1 + count, dtype=np.int64)
    first, second = int(count * TRAIN_SHARE), int(count * (TRAIN_SHARE + VALIDATION_SHARE))
    return Split(moments[:first], moments[first:second], moments[second:])


@dataclass(frozen=True, eq=False)
class TrainingData:
    """A history made ready. Profiles and scaling come from the training part alone."""

    history: SpeedHistory
    layout: FeatureLayout
    split: Split
    neighbours: Floats
    plain: DayProfile
    smooth: DayProfile
    held_out: HeldOutProfile

    @property
    def ahead(self) -> Integers:
        """Seconds of each horizon."""
        return np.array(self.layout.horizon_steps, np.int64) * self.layout.step_seconds

    def recent(self, moments: Integers) -> Floats:
        """Inputs in km/h, shape (moments, steps, roads)."""
        speeds: Floats = self.history.speeds_kmh[moments[:, None] + np.arange(1 - self.layout.input_steps, 1)]
        return speeds

    def targets(self, moments: Integers) -> Floats:
        """What really came, in km/h, shape (moments, roads, horizons); NaN where unknown."""
        speeds: Floats = self.history.speeds_kmh[moments[:, None] + np.array(self.layout.horizon_steps)]
        return speeds.transpose(0, 2, 1)

    def weather(self, moments: Integers) -> Floats | None:
        """The weather of the newest step, shape (moments, inputs); None for a model without it."""
        weather = self.history.weather
        if not self.layout.weather or weather is None:
            return None
        chosen: Floats = weather[moments]
        return chosen

    def features(self, moments: Integers) -> Features:
        """Inputs of a model. The days of the training part see the usual speeds of the others."""
        times = self.history.times[moments]
        recent, weather = self.recent(moments), self.weather(moments)
        return build_features(self.layout, self.neighbours, self.held_out, recent, times, weather)

    def as_served(self) -> TrainingData:
        """The same with features as they are when serving: no day is held out of the usual speeds."""
        return replace(self, held_out=HeldOutProfile({}, self.smooth))

    def linear_ar(self) -> LinearRules:
        """The linear baselines, fitted to the training part; of a long one to moments spread over it."""
        every = max(len(self.split.train) * len(self.history.road_ids) // _MOST_LINEAR_ROWS, 1)
        moments = self.split.train[::every]
        times, recent, targets = self.history.times[moments], self.recent(moments), self.targets(moments)
        plain, smoothed = (
            fit_linear_ar(profile, recent, times, self.ahead, targets) for profile in (self.plain, self.smooth)
        )
        return LinearRules(plain, smoothed)

    def baselines(self, moments: Integers, linear: LinearRules) -> dict[str, Floats]:
        """What each of `RIVALS` says, in km/h, shape (moments, roads, horizons)."""
        times, recent, quantity = self.history.times[moments], self.recent(moments), self.layout.quantity
        return {
            LAST_VALUE: last_value(recent, len(self.ahead)),
            TIME_OF_DAY: time_of_day(self.plain, times, self.ahead),
            LINEAR_AR: quantity.cut_off(linear.plain.predict(self.plain, recent, times, self.ahead)),
            SMOOTHED_AR: quantity.cut_off(linear.smoothed.predict(self.smooth, recent, times, self.ahead)),
        }


def prepare(history: SpeedHistory, horizons_minutes: tuple[float, ...]) -> TrainingData:
    """Split a history and learn scaling and usual speeds from its training part.

    Raises:
        HistoryError: too short, almost nothing known, or horizons that are no whole steps.
    """
    quantity = history.quantity
    horizon_steps = tuple(round(minutes * 60 / history.step_seconds) for minutes in horizons_minutes)
    for steps, minutes in zip(horizon_steps, horizons_minutes, strict=True):
        if steps * history.step_seconds != minutes * 60 or not 1 <= steps <= quantity.output_steps:
            most = quantity.output_steps
            raise HistoryError(f"{minutes:g} minutes are not 1 to {most} steps of {history.step_seconds} s")
    split = split_in_time(len(history.speeds_kmh), quantity)
    # The targets of the last training moment belong to the training part.
    known = history.speeds_kmh[: split.train[-1] + quantity.output_steps + 1]
    if np.isfinite(known).mean() < 0.05 or np.nanstd(known) == 0:
        raise HistoryError("hardly any speed is known, or all are the same")
    times = history.times[: len(known)]
    layout = FeatureLayout(
        quantity=quantity,
        input_steps=quantity.input_steps,
        step_seconds=history.step_seconds,
        horizon_steps=horizon_steps,
        zone=history.zone,
        mean_kmh=float(np.nanmean(known)),
        deviation_kmh=float(np.nanstd(known)),
        weather=_weather_inputs(history, len(known)),
    )
    seen = (known, times, history.zone, history.step_seconds, weekends_apart(times, history.zone))
    neighbours = neighbour_matrices(history.links)
    return TrainingData(
        history, layout, split, neighbours, plain_profile(*seen), smooth_profile(*seen), held_out_profile(*seen)
    )


def _weather_inputs(history: SpeedHistory, steps: int) -> tuple[str, ...]:
    """The inputs of the weather, where enough of it is known in the steps to learn from."""
    weather = history.weather
    if weather is None or np.isfinite(weather[:steps]).any(1).mean() < LEAST_SHARE:
        return ()
    return WEATHER_INPUTS
