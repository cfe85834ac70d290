"""Who predicts each road at each horizon: the model, the linear rule or the last value, whoever was right of late.

A model that was the best on the days it was judged on may be worse than a simple rule for an hour, or for good on one
road. So all of them are asked what they would have said at each of the last `MOMENTS` steps, and that is compared with
what came. Nothing is remembered for it but the speeds of the last steps, so whoever takes over chooses as the owner
before would have: the choice is a function of these speeds and of the model.

The error of an expert ``e`` on road ``r`` at a horizon is a mean of absolute errors that halve in weight every
`HALF_LIFE_STEPS`; as a road has few, it is drawn towards what the whole city says of the experts::

    error[e, r] = (sum of weighted errors + DRAWN * mean[r] * city[e] / mean of city) / (sum of weights + DRAWN)

The model begins; it is left for one whose error is smaller by `BETTER_BY`, and more the farther ahead, since what is
known of errors is older there; it comes back when it is no worse any more. The constants were chosen on two simulated
days that no model was trained on, once as they were and once with clocks shifted by eight hours (docs/forecasts.md).

Intervals are stretched by what the same comparison says: split conformal prediction (Vovk, Gammerman and Shafer,
Algorithmic Learning in a Random World, 2005) over the newest residuals, each as a multiple of the reach that the
artifact's own calibration gave it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from trafficapp.forecast.artifacts.artifact import Artifact
from trafficapp.forecast.baselines import LAST_VALUE, LINEAR_AR, last_value
from trafficapp.forecast.calibration import INTERVAL_PROBABILITY
from trafficapp.forecast.clock import Floats, Integers, local_hours
from trafficapp.forecast.learning.judging import MODEL

#: So many past moments are looked at: two hours of steps of five minutes.
MOMENTS = 24

HALF_LIFE_STEPS = 6
DRAWN = 30.0
#: At the nearest horizon; twice and three times as much at the next ones.
BETTER_BY = 0.08

#: A road needs so much weight of comparisons before anybody but the model may predict it.
_LEAST_WEIGHT = 3.0

#: Residuals that stand for "the calibration of the artifact is right", beside those that came.
_TRUSTED = 100.0
_STRETCH_LEAST, _STRETCH_MOST = 0.5, 4.0


class Expert(IntEnum):
    """Who may predict, in the order of arrays."""

    MODEL = 0
    LINEAR_AR = 1
    LAST_VALUE = 2


#: Their calibrations in an artifact.
CALIBRATIONS = {Expert.MODEL: MODEL, Expert.LINEAR_AR: LINEAR_AR, Expert.LAST_VALUE: LAST_VALUE}


@dataclass(frozen=True, eq=False)
class Choice:
    """Who predicts, for the roads of a model.

    Attributes:
        experts: shape (roads, horizons), numbers of `Expert`.
        error_kmh: mean absolute errors of late, shape (experts, roads, horizons); NaN where nothing was compared.
        stretch: of intervals, shape (experts, horizons).
        compared: targets that were compared, shape (horizons).
    """

    experts: Integers
    error_kmh: Floats
    stretch: Floats
    compared: Integers


def steps_needed(input_steps: int, horizon_steps: tuple[int, ...]) -> int:
    """How many steps are to be kept, the one that is not over among them."""
    return input_steps + MOMENTS + max(horizon_steps)


class Chooser:
    """Looks back at what each expert would have said, once a step."""

    def __init__(self) -> None:
        #: What experts say at moments, by when the newest step began: shape (experts, roads, horizons).
        self._said: dict[int, Floats] = {}
        #: Model and step of what was said and chosen.
        self._at: tuple[str, int] | None = None
        self._choice: Choice | None = None

    def choose(self, artifact: Artifact, kept_kmh: Floats, last_time: int, weather: Floats | None) -> Choice | None:
        """Who predicts now; None while there are not enough steps. This computes for a while: not for an event loop.

        Args:
            artifact: the model.
            kept_kmh: shape (steps, roads of the model), the newest step, which may not be over, last; NaN where nothing
                was measured.
            last_time: when that step began, in seconds since the epoch.
            weather: as of `Artifact.predict`; of moments that were not looked at when they were now, it is that of now.
        """
        at = (artifact.about.version, last_time)
        if at != self._at:
            self._choice = self._look_back(artifact, kept_kmh, last_time, weather)
            self._at = at
        return self._choice

    def _look_back(self, artifact: Artifact, kept_kmh: Floats, last_time: int, weather: Floats | None) -> Choice | None:
        layout = artifact.about.layout
        if self._at is None or self._at[0] != artifact.about.version:
            self._said = {}
        steps, step_seconds = len(kept_kmh), layout.step_seconds
        nearest = min(layout.horizon_steps)
        # the last moment whose nearest target is over; the newest step may still be going on
        places = [
            place
            for place in range(steps - 1 - nearest - MOMENTS, steps - 1 - nearest)
            if place >= layout.input_steps - 1
        ]
        if not places:
            return None
        said = {}
        for place in places:
            time = last_time - (steps - 1 - place) * step_seconds
            found = self._said.get(time)
            if found is None:
                found = said_by_experts(artifact, kept_kmh[place + 1 - layout.input_steps : place + 1], time, weather)
            said[time] = found
        self._said = said
        came = np.stack([_at(kept_kmh[:-1], np.array(places) + ahead) for ahead in layout.horizon_steps], -1)
        hours = local_hours(np.array(list(said), np.int64), layout.zone)
        return choose(artifact, np.stack(list(said.values()), 1), came, hours)


def said_by_experts(artifact: Artifact, recent_kmh: Floats, last_time: int, weather: Floats | None) -> Floats:
    """What each expert says at a moment, shape (experts, roads, horizons).

    Args:
        artifact: the model with its rules.
        recent_kmh: shape (steps of the model, roads of the model).
        last_time: when the newest step began, in seconds since the epoch.
        weather: as of `Artifact.predict`.
    """
    layout, knowledge = artifact.about.layout, artifact.knowledge
    times = np.array([last_time], np.int64)
    ahead = np.array(layout.horizon_steps, np.int64) * layout.step_seconds
    return np.stack(
        [
            artifact.predict(recent_kmh, last_time, weather)[0],
            knowledge.linear.predict(knowledge.plain, recent_kmh[None], times, ahead)[0],
            last_value(recent_kmh[None], len(ahead))[0],
        ]
    ).astype(np.float32)


def choose(artifact: Artifact, said: Floats, came: Floats, hours: Integers) -> Choice:
    """Who was right of late, and by how much intervals are to be stretched.

    Args:
        artifact: of the calibrations.
        said: shape (experts, moments, roads, horizons), the newest moment last.
        came: shape (moments, roads, horizons), NaN where it is not known.
        hours: local hour of each moment.
    """
    experts, errors = chosen(np.abs(said - came))
    calibrations = artifact.knowledge.calibrations
    stretch = np.ones((len(Expert), came.shape[2]), np.float32)
    for expert, name in CALIBRATIONS.items():
        stretch[expert] = stretched(calibrations[name].reach(hours, INTERVAL_PROBABILITY), said[expert], came)
    return Choice(experts, errors, stretch, np.isfinite(came).sum((0, 1)))


def chosen(errors_kmh: Floats) -> tuple[Integers, Floats]:
    """Who predicts, and the errors it was chosen by.

    Args:
        errors_kmh: absolute errors, shape (experts, moments, roads, horizons), NaN where nothing was compared.

    Returns:
        experts, shape (roads, horizons); and errors, shape (experts, roads, horizons).
    """
    known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(errors_kmh).all(0))
    errors = np.where(known, errors_kmh, 0).astype(np.float64)
    decay = 0.5 ** (1 / HALF_LIFE_STEPS)
    sums, weights = np.zeros(errors[:, 0].shape), np.zeros(known[0].shape)
    who = np.zeros(known[0].shape, np.int64)
    error = np.full(sums.shape, np.nan)
    for moment in range(errors.shape[1]):
        sums, weights = sums * decay + errors[:, moment], weights * decay + known[moment]
        error = _drawn(sums, weights)
        best = error.argmin(0)
        least, own = (np.take_along_axis(error, one[None], 0)[0] for one in (best, who))
        margin = np.where(who == Expert.MODEL, BETTER_BY * np.arange(1, who.shape[1] + 1), 0)
        who = np.where((weights >= _LEAST_WEIGHT) & (least < own * (1 - margin)), best, who)
    return who, np.where(weights > 0, error, np.nan).astype(np.float32)


def _drawn(sums: Floats, weights: Floats) -> Floats:
    """Mean errors of roads, drawn towards what the city says of the experts; shape (experts, roads, horizons)."""
    city = sums.sum(1) / np.maximum(weights.sum(0), 1e-9)
    ratio = city / np.maximum(city.mean(0), 1e-9)
    of_road = sums.mean(0) / np.maximum(weights, 1e-9)
    drawn: Floats = (sums + DRAWN * of_road * ratio[:, None]) / (weights + DRAWN)
    return drawn


def stretched(reach_kmh: Floats, said_kmh: Floats, came_kmh: Floats) -> Floats:
    """By what intervals are to be multiplied to hold what they promise, shape (horizons).

    Args:
        reach_kmh: of the intervals, as all, of shape (moments, roads, horizons).
        said_kmh: what was predicted.
        came_kmh: what came, NaN where it is not known.
    """
    ratios = np.abs(said_kmh - came_kmh) / np.maximum(reach_kmh, 1e-6)
    stretch = np.ones(ratios.shape[2], np.float32)
    age = 0.5 ** (np.arange(len(ratios))[::-1, None] / HALF_LIFE_STEPS)
    for horizon in range(ratios.shape[2]):
        known = np.isfinite(ratios[..., horizon])
        if known.any():
            values, weights = ratios[..., horizon][known], np.broadcast_to(age, known.shape)[known]
            order = values.argsort()
            shares = weights[order].cumsum() / weights.sum()
            live = float(values[order][np.searchsorted(shares, INTERVAL_PROBABILITY)])
            drawn = (weights.sum() * live + _TRUSTED) / (weights.sum() + _TRUSTED)
            stretch[horizon] = min(max(drawn, _STRETCH_LEAST), _STRETCH_MOST)
    return stretch


def _at(kmh: Floats, places: Integers) -> Floats:
    """Speeds at places among the steps, NaN for those behind the last."""
    found = np.full((len(places), kmh.shape[1]), np.nan, np.float32)
    there = places < len(kmh)
    found[there] = kmh[places[there]]
    return found
