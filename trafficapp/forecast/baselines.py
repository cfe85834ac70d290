"""Simple rules that are always there: every model is compared with them, and they answer when it cannot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trafficapp.forecast.clock import Floats, Integers
from trafficapp.forecast.profiles import DayProfile, UsualSpeeds

LAST_VALUE = "last_value"
TIME_OF_DAY = "time_of_day"
LINEAR_AR = "linear_ar"
SMOOTHED_AR = "smoothed_ar"

#: Those that an artifact brings along to answer with.
BASELINES = (LAST_VALUE, TIME_OF_DAY, LINEAR_AR)

#: All that a model has to beat. The linear rule about smoothed usual speeds is stronger than that about the plain ones;
#: it is only compared with.
RIVALS = (*BASELINES, SMOOTHED_AR)

_RIDGE = 1.0


def filled_forward(recent: Floats) -> Floats:
    """The last measured value in each step's place, NaN before the first; shape (moments, steps, roads)."""
    known = np.isfinite(recent)
    source = np.maximum.accumulate(np.where(known, np.arange(recent.shape[1])[:, None], 0), 1)
    filled: Floats = np.take_along_axis(recent, source, 1)
    return filled


def last_value(recent_kmh: Floats, horizons: int) -> Floats:
    """The last measured speed, shape (moments, roads, horizons); NaN where none was measured.

    Args:
        recent_kmh: shape (moments, steps, roads), the newest last.
        horizons: how many.
    """
    return np.repeat(filled_forward(recent_kmh)[:, -1, :, None], horizons, 2)


def time_of_day(usual: UsualSpeeds, last_times: Integers, horizon_seconds: Integers) -> Floats:
    """The usual speed at the time that is predicted, shape (moments, roads, horizons)."""
    return usual.at(last_times[:, None] + horizon_seconds).transpose(0, 2, 1)


@dataclass(frozen=True, eq=False)
class LinearAr:
    """What is left of a deviation from the usual: one linear rule for all roads, shape (horizons, steps + 1)."""

    weights: Floats

    def predict(self, profile: DayProfile, recent_kmh: Floats, last_times: Integers, ahead: Integers) -> Floats:
        """Speeds in km/h, shape (moments, roads, horizons)."""
        columns = _deviations(profile, recent_kmh, last_times)
        usual = time_of_day(profile, last_times, ahead)
        speeds: Floats = np.maximum(columns @ self.weights.T + usual, 0).astype(np.float32)
        return speeds


@dataclass(frozen=True, eq=False)
class LinearRules:
    """The linear rule about the plain usual speeds, and the one about the smoothed."""

    plain: LinearAr
    smoothed: LinearAr


def fit_linear_ar(
    profile: DayProfile, recent_kmh: Floats, last_times: Integers, ahead: Integers, targets_kmh: Floats
) -> LinearAr:
    """Fit by least squares with a small ridge.

    Args:
        profile: the usual speeds.
        recent_kmh: shape (moments, steps, roads), the newest last.
        last_times: of the moments, in seconds since the epoch.
        ahead: seconds of each horizon.
        targets_kmh: shape (moments, roads, horizons), NaN where unknown.
    """
    columns = _deviations(profile, recent_kmh, last_times).reshape(-1, recent_kmh.shape[1] + 1)
    wanted = (targets_kmh - time_of_day(profile, last_times, ahead)).reshape(-1, len(ahead))
    weights = []
    for horizon in range(len(ahead)):
        known = np.isfinite(wanted[:, horizon])
        rows = columns[known].astype(np.float64)
        square = rows.T @ rows + _RIDGE * np.eye(rows.shape[1])
        weights.append(np.linalg.solve(square, rows.T @ wanted[known, horizon].astype(np.float64)))
    return LinearAr(np.stack(weights).astype(np.float32))


def _deviations(profile: DayProfile, recent_kmh: Floats, last_times: Integers) -> Floats:
    """Deviations of the last steps from the usual and a constant, shape (moments, roads, steps + 1)."""
    steps = recent_kmh.shape[1]
    times = last_times[:, None] + profile.step_seconds * np.arange(1 - steps, 1)
    deviation = filled_forward(recent_kmh - profile.at(times))
    deviation = np.where(np.isfinite(deviation), deviation, 0).transpose(0, 2, 1)
    return np.concatenate([deviation, np.ones((*deviation.shape[:2], 1))], 2, dtype=np.float32)
