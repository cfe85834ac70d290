"""Who predicts each entity at each horizon: the model, the linear rule, the last value, or a mean of them.

A model that was the best on the days it was judged on may be worse than a simple rule for an hour, or for good on one
road. So all of them are asked what they would have said at each of the last moments, and that is compared with what
came. Nothing is remembered for it but the values of the last steps, so whoever takes over chooses as the owner before
would have: the choice is a function of these values and of the model. Roads and cameras are chosen for alike.

What may be chosen are the mixtures of the three in quarters. The error of a mixture is a mean of absolute errors that
halve in weight with age. The whole city chooses first: the mixture ``m`` with the smallest::

    city[m] * (1 + LEAVING * (1 - the model's share) * minutes ahead / 10)

so the model is left only for what was better by that, the more the farther ahead, since what is known of errors is
older there. A road where another one is better by far is an exception. As it has few errors, they are drawn::

    error[m, r] = (sum of weighted errors + DRAWN * own[r] * city[m] / city[chosen]) / (sum of weights + DRAWN)

with ``own`` the mean error of what the city chose there; it gets what is smaller by `EXCEPTION` per ten minutes ahead.
The constants were chosen on simulated days of two seeds, and are judged on others (docs/forecasts.md).

Intervals are stretched by what the same comparison says: split conformal prediction (Vovk, Gammerman and Shafer,
Algorithmic Learning in a Random World, 2005) over the newest residuals, each as a multiple of the reach that the
artifact's own calibration gave it, newer ones with more weight (Barber, Candes, Ramdas and Tibshirani, Conformal
Prediction beyond Exchangeability, 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from trafficapp.forecast.artifacts.artifact import Artifact
from trafficapp.forecast.baselines import LAST_VALUE, LINEAR_AR, last_value
from trafficapp.forecast.calibration import INTERVAL_PROBABILITY
from trafficapp.forecast.clock import Bools, Floats, Integers, local_hours
from trafficapp.forecast.learning.judging import MODEL

Sums = npt.NDArray[np.float64]

#: So many past moments are looked at: two hours of steps of five minutes, an hour of steps of a minute.
MOMENTS_OF_ROADS, MOMENTS_OF_CAMERAS = 24, 60

#: How much better than the model others must be in the city, for each ten minutes ahead.
LEAVING = 0.05
#: How much better than what the city chose another mixture must be on a road, for each ten minutes ahead.
EXCEPTION = 0.15
DRAWN = 30.0
#: Half lives of errors as shares of the moments that are looked at: of the city, a road, of what stretches intervals.
_CITY_HALF_LIFE, _ROAD_HALF_LIFE, _INTERVAL_HALF_LIFE = 1 / 2, 1 / 4, 1 / 8

#: A road needs so much weight of comparisons before it may be an exception.
_LEAST_WEIGHT = 3.0

#: Residuals that stand for "the calibration of the artifact is right", beside those that came.
_TRUSTED = 100.0
#: A little more than is promised: what comes next is from a wider spread than what is known.
_HELD = INTERVAL_PROBABILITY + 0.008
_STRETCH_LEAST, _STRETCH_MOST = 0.5, 4.0


class Expert(IntEnum):
    """Who may predict, in the order of arrays."""

    MODEL = 0
    LINEAR_AR = 1
    LAST_VALUE = 2


#: Their calibrations in an artifact.
CALIBRATIONS = {Expert.MODEL: MODEL, Expert.LINEAR_AR: LINEAR_AR, Expert.LAST_VALUE: LAST_VALUE}

_QUARTERS = 4
#: Mixtures to choose from, shape (mixtures, experts); that of the model alone comes first.
MIXTURES: Floats = np.array(
    [
        (model, linear, _QUARTERS - model - linear)
        for model in range(_QUARTERS, -1, -1)
        for linear in range(_QUARTERS - model + 1)
    ],
    np.float32,
) / np.float32(_QUARTERS)


@dataclass(frozen=True, eq=False)
class Choice:
    """Who predicts, for the entities of a model.

    Attributes:
        weights: shares of the experts, shape (experts, entities, horizons).
        nearer: by what share the error of late of what was chosen is smaller than the model's, 0 where the model
            predicts alone; shape (entities, horizons).
        stretch: of intervals, shape (horizons).
        compared: targets that were compared, shape (horizons).
    """

    weights: Floats
    nearer: Floats
    stretch: Floats
    compared: Integers


def model_alone(entities: int, horizons: int) -> Choice:
    """The choice of those who do not look back."""
    weights = np.zeros((len(Expert), entities, horizons), np.float32)
    weights[Expert.MODEL] = 1
    nothing = np.zeros((entities, horizons), np.float32)
    return Choice(weights, nothing, np.ones(horizons, np.float32), np.zeros(horizons, np.int64))


def steps_needed(input_steps: int, horizon_steps: tuple[int, ...], moments: int = MOMENTS_OF_ROADS) -> int:
    """How many steps are to be kept, the one that is not over among them."""
    return input_steps + moments + max(horizon_steps)


class Chooser:
    """Looks back at what each expert would have said, once a step.

    Args:
        moments: how many past moments are looked at.
    """

    def __init__(self, moments: int = MOMENTS_OF_ROADS) -> None:
        self._moments = moments
        #: What experts say at moments, by when the newest step began: shape (experts, entities, horizons).
        self._said: dict[int, Floats] = {}
        #: Model, step, and how far the clock is off, of what was said and chosen.
        self._at: tuple[str, int, int] | None = None
        self._choice: Choice | None = None

    def choose(
        self, artifact: Artifact, kept_kmh: Floats, last_time: int, weather: Floats | None, clock_off_seconds: int = 0
    ) -> Choice | None:
        """Who predicts now; None while there are not enough steps. This computes for a while: not for an event loop.

        Args:
            artifact: the model.
            kept_kmh: shape (steps, entities of the model), the newest step, which may not be over, last; NaN where
                nothing was measured.
            last_time: when that step began, in seconds since the epoch.
            weather: as of `Artifact.predict`; of moments that were not looked at when they were now, it is that of now.
            clock_off_seconds: to be added to times before the experts are asked.
        """
        at = (artifact.about.version, last_time, clock_off_seconds)
        if at != self._at:
            if self._at is None or (self._at[0], self._at[2]) != (at[0], at[2]):
                self._said = {}
            self._choice = self._look_back(artifact, kept_kmh, last_time, weather, clock_off_seconds)
            self._at = at
        return self._choice

    def _look_back(
        self, artifact: Artifact, kept_kmh: Floats, last_time: int, weather: Floats | None, clock_off_seconds: int
    ) -> Choice | None:
        layout = artifact.about.layout
        steps, step_seconds = len(kept_kmh), layout.step_seconds
        nearest = min(layout.horizon_steps)
        # the last moment whose nearest target is over; the newest step may still be going on
        places = [
            place
            for place in range(steps - 1 - nearest - self._moments, steps - 1 - nearest)
            if place >= layout.input_steps - 1
        ]
        if not places:
            return None
        said = {}
        for place in places:
            time = last_time - (steps - 1 - place) * step_seconds
            found = self._said.get(time)
            if found is None:
                recent = kept_kmh[place + 1 - layout.input_steps : place + 1]
                found = said_by_experts(artifact, recent, time + clock_off_seconds, weather)
            said[time] = found
        self._said = said
        came = np.stack([_at(kept_kmh[:-1], np.array(places) + ahead) for ahead in layout.horizon_steps], -1)
        hours = local_hours(np.array(list(said), np.int64) + clock_off_seconds, layout.zone)
        return choose(artifact, np.stack(list(said.values()), 1), came, hours, self._moments)


def said_by_experts(artifact: Artifact, recent_kmh: Floats, last_time: int, weather: Floats | None) -> Floats:
    """What each expert says at a moment, shape (experts, entities, horizons).

    Args:
        artifact: the model with its rules.
        recent_kmh: shape (steps of the model, entities of the model).
        last_time: when the newest step began, in seconds since the epoch.
        weather: as of `Artifact.predict`.
    """
    layout, knowledge = artifact.about.layout, artifact.knowledge
    times = np.array([last_time], np.int64)
    ahead = np.array(layout.horizon_steps, np.int64) * layout.step_seconds
    linear = knowledge.linear.predict(knowledge.plain, recent_kmh[None], times, ahead)[0]
    return np.stack(
        [
            artifact.predict(recent_kmh, last_time, weather)[0],
            layout.quantity.cut_off(linear),
            last_value(recent_kmh[None], len(ahead))[0],
        ]
    ).astype(np.float32)


def choose(artifact: Artifact, said: Floats, came: Floats, hours: Integers, moments: int = MOMENTS_OF_ROADS) -> Choice:
    """Who was right of late, and by how much intervals are to be stretched.

    Args:
        artifact: of the calibrations.
        said: shape (experts, moments, entities, horizons), the newest moment last.
        came: shape (moments, entities, horizons), NaN where it is not known.
        hours: local hour of each moment.
        moments: how many are looked at when all are there.
    """
    weights, nearer = mixed(said, came, np.array(artifact.about.horizons_minutes), moments)
    calibrations = artifact.knowledge.calibrations
    reach = np.zeros(came.shape, np.float32)
    for expert, name in CALIBRATIONS.items():
        if weights[expert].any():
            reach += weights[expert] * calibrations[name].reach(hours, INTERVAL_PROBABILITY)
    stretch = stretched(reach, mixture_of(weights, said.transpose(1, 0, 2, 3)), came, moments)
    return Choice(weights, nearer, stretch, np.isfinite(came).sum((0, 1)))


def mixture_of(weights: Floats, said: Floats) -> Floats:
    """What a mixture says; an expert without a share is not asked, whose answer may be NaN.

    Args:
        weights: shape (experts, entities, horizons).
        said: shape (…, experts, entities, horizons).
    """
    mixture: Floats = np.where(weights > 0, weights * said, 0).sum(-3).astype(np.float32)
    return mixture


def mixed(
    said: Floats, came: Floats, horizons_minutes: Floats, moments: int = MOMENTS_OF_ROADS
) -> tuple[Floats, Floats]:
    """Shares of the experts, shape (experts, entities, horizons), and by what share that was nearer than the model.

    Args:
        said: shape (experts, moments, entities, horizons), the newest moment last.
        came: shape (moments, entities, horizons), NaN where it is not known.
        horizons_minutes: shape (horizons).
        moments: how many are looked at when all are there.
    """
    entities, horizons = came.shape[1:]
    known: Bools = np.isfinite(came) & np.isfinite(said).all(0)
    decay_city, decay_road = (0.5 ** (1 / (share * moments)) for share in (_CITY_HALF_LIFE, _ROAD_HALF_LIFE))
    weights = np.empty((len(Expert), entities, horizons), np.float32)
    nearer = np.empty((entities, horizons), np.float32)
    for at, minutes in enumerate(horizons_minutes.tolist()):
        city, city_weight = np.zeros(len(MIXTURES)), 0.0
        road, road_weight = np.zeros((len(MIXTURES), entities)), np.zeros(entities)
        # ages count from the newest moment that is known at this horizon
        for moment in range(1 + max(np.flatnonzero(known[..., at].any(1)), default=-1)):
            there = known[moment, :, at]
            answers, truth = (np.where(there, one, 0) for one in (said[:, moment, :, at], came[moment, :, at]))
            errors = np.abs(MIXTURES @ answers - truth)
            city, city_weight = city * decay_city + errors.sum(1), city_weight * decay_city + there.sum()
            road, road_weight = road * decay_road + errors, road_weight * decay_road + there
        chosen, of_model = _chosen(city, city_weight, road, road_weight, minutes / 10)
        weights[..., at], nearer[:, at] = MIXTURES[chosen].T, of_model
    return weights, nearer


def _chosen(
    city: Sums, city_weight: float, road: Sums, road_weight: Sums, tens_of_minutes: float
) -> tuple[Integers, Floats]:
    """The mixture of each entity by sums of weighted errors, and by what share it was nearer than the model."""
    entities = road.shape[1]
    if not city_weight:
        return np.zeros(entities, np.int64), np.zeros(entities, np.float32)
    mean = np.maximum(city / city_weight, 1e-9)
    of_city = int((mean * (1 + LEAVING * tens_of_minutes * (1 - MIXTURES[:, Expert.MODEL]))).argmin())
    own = road[of_city] / np.maximum(road_weight, 1e-9)
    error = (road + DRAWN * own * (mean / mean[of_city])[:, None]) / (road_weight + DRAWN)
    best = error.argmin(0)
    least = np.take_along_axis(error, best[None], 0)[0]
    is_exception = (road_weight >= _LEAST_WEIGHT) & (least < error[of_city] * (1 - EXCEPTION * tens_of_minutes))
    chosen = np.where(is_exception, best, of_city)
    of_chosen = np.take_along_axis(error, chosen[None], 0)[0]
    nearer = np.where(error[0] > 0, 1 - of_chosen / np.maximum(error[0], 1e-9), 0).astype(np.float32)
    return chosen, nearer


def stretched(reach: Floats, said: Floats, came: Floats, moments: int = MOMENTS_OF_ROADS) -> Floats:
    """By what intervals are to be multiplied to hold what they promise, shape (horizons).

    Args:
        reach: of the intervals, as all, of shape (moments, entities, horizons).
        said: what was predicted.
        came: what came, NaN where it is not known.
        moments: how many are looked at when all are there.
    """
    ratios = np.abs(said - came) / np.maximum(reach, 1e-6)
    stretch = np.ones(ratios.shape[2], np.float32)
    age = 0.5 ** (np.arange(len(ratios))[::-1, None] / (_INTERVAL_HALF_LIFE * moments))
    for horizon in range(ratios.shape[2]):
        known = np.isfinite(ratios[..., horizon])
        if known.any():
            newest = age[np.flatnonzero(known.any(1))[-1], 0]
            values, weights = ratios[..., horizon][known], np.broadcast_to(age / newest, known.shape)[known]
            order = values.argsort()
            shares = weights[order].cumsum() / weights.sum()
            live = float(values[order][min(np.searchsorted(shares, _HELD), len(order) - 1)])
            drawn = (weights.sum() * live + _TRUSTED) / (weights.sum() + _TRUSTED)
            stretch[horizon] = min(max(drawn, _STRETCH_LEAST), _STRETCH_MOST)
    return stretch


def _at(kmh: Floats, places: Integers) -> Floats:
    """Values at places among the steps, NaN for those behind the last."""
    found = np.full((len(places), kmh.shape[1]), np.nan, np.float32)
    there = places < len(kmh)
    found[there] = kmh[places[there]]
    return found
