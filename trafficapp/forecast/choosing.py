"""Who predicts each entity at each horizon: the model, the linear rule, the last value, in shares.

A model that was the best on the days it was judged on may be worse than a simple rule for an hour, or for good on one
road. So all of them are asked what they would have said at each of the last moments, and that is compared with what
came. Nothing is remembered for it but the values of the last steps, so whoever takes over chooses as the owner before
would have: the choice is a function of these values and of the model. Roads and cameras are chosen for alike.

The shares are those of the exponentially weighted average forecaster (Cesa-Bianchi and Lugosi, Prediction, Learning,
and Games, 2006, chapter 2), over errors that halve in weight with age, as multiples of the model's::

    share[e, r] ~ exp(-RATE * (multiple[e, r] + LEAVING * behind[e]))
    multiple[e, r] = (weight[r] * own[e, r] + DRAWN * city[e]) / (weight[r] + DRAWN)
    city[e] = (weight of all * all[e] + DRAWN) / (weight of all + DRAWN)

with ``own`` the errors of the expert on road r as a multiple of the model's there, and ``all`` the same over all
roads: a road has few errors, so it differs from the city only where its own say much, and so does a city of few roads
from the model. ``behind`` is by how much of the model's error an expert was worse on the days that the model was chosen
on (its validation part), 0 to a fifth: a rule that was far behind there has to be nearer by more here than one that was
close. Whoever would have less than
`LEAST_SHARE` is left out. The constants were chosen on simulated days of some seeds and METR-LA, and are judged on days
of another one (docs/forecasts.md).

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
from trafficapp.forecast.city_level import city_level
from trafficapp.forecast.clock import Bools, Floats, Integers, local_hours
from trafficapp.forecast.learning.judging import MODEL
from trafficapp.forecast.quantities import SPEED

Errors = npt.NDArray[np.float64]

#: So many past moments are looked at: two hours of steps of five minutes, an hour of steps of a minute.
MOMENTS_OF_ROADS, MOMENTS_OF_CAMERAS = 24, 60

#: An expert whose errors are 7 % larger than another's, as multiples of the model's, has 1/e of its share.
RATE = 15.0
#: So much of what rules were behind the model before counts beside what they were of late.
LEAVING = 0.6
#: No more than this: what holds of days that were like those it learnt from says little of one that is not.
_MOST_BEHIND = 0.2
#: What is drawn towards counts as much as so many comparisons.
DRAWN = 100.0
LEAST_SHARE = 0.1
#: Half lives as shares of the moments that are looked at: of errors, and of what stretches intervals.
_HALF_LIFE, _INTERVAL_HALF_LIFE = 1 / 6, 1 / 8

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


@dataclass(frozen=True, eq=False)
class Choice:
    """Who predicts, for the entities of a model.

    Attributes:
        weights: shares of the experts in hundredths, shape (experts, entities, horizons).
        nearer: by what share the error of late of what was chosen is smaller than the model's on this entity, which may
            be less than 0, as the city has its say; 0 where the model predicts alone; shape (entities, horizons).
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

    Where something slows the whole city at once they are asked as if it did not, see `trafficapp.forecast.city_level`;
    but for a model that takes the weather, which knows by itself what rain does.

    Args:
        artifact: the model with its rules.
        recent_kmh: shape (steps of the model, entities of the model).
        last_time: when the newest step began, in seconds since the epoch.
        weather: as of `Artifact.predict`.
    """
    layout = artifact.about.layout
    if layout.quantity != SPEED:
        return said_as_it_is(artifact, recent_kmh, last_time, weather)
    times = last_time + layout.step_seconds * np.arange(1 - len(recent_kmh), 1, dtype=np.int64)
    level = city_level(recent_kmh, artifact.knowledge.smooth.at(times))
    if (level == 1).all():
        return said_as_it_is(artifact, recent_kmh, last_time, weather)
    dry_kmh = recent_kmh / level[:, None]
    by_model = artifact.predict(recent_kmh if layout.weather else dry_kmh, last_time, weather)[0]
    if not layout.weather:
        by_model = by_model * level[-1]
    return np.stack([by_model, *_said_by_rules(artifact, dry_kmh, last_time) * level[-1]]).astype(np.float32)


def said_as_it_is(artifact: Artifact, recent_kmh: Floats, last_time: int, weather: Floats | None) -> Floats:
    """The same by the speeds as they are, whatever slows them."""
    by_model = artifact.predict(recent_kmh, last_time, weather)[0]
    return np.stack([by_model, *_said_by_rules(artifact, recent_kmh, last_time)]).astype(np.float32)


def _said_by_rules(artifact: Artifact, recent_kmh: Floats, last_time: int) -> Floats:
    """What the linear rule and the last value say, in the order of `Expert`."""
    layout, knowledge = artifact.about.layout, artifact.knowledge
    times = np.array([last_time], np.int64)
    ahead = np.array(layout.horizon_steps, np.int64) * layout.step_seconds
    linear = knowledge.linear.predict(knowledge.plain, recent_kmh[None], times, ahead)[0]
    said: Floats = np.stack([layout.quantity.cut_off(linear), last_value(recent_kmh[None], len(ahead))[0]])
    return said


def choose(artifact: Artifact, said: Floats, came: Floats, hours: Integers, moments: int = MOMENTS_OF_ROADS) -> Choice:
    """Who was right of late, and by how much intervals are to be stretched.

    Args:
        artifact: of the calibrations.
        said: shape (experts, moments, entities, horizons), the newest moment last.
        came: shape (moments, entities, horizons), NaN where it is not known.
        hours: local hour of each moment.
        moments: how many are looked at when all are there.
    """
    weights = shares(said, came, behind_before(artifact), moments)
    mixture = mixture_of(weights, said.transpose(1, 0, 2, 3))
    beside = _beside_first(_late(np.stack([said[Expert.MODEL], mixture]), came, moments)[0])[1]
    nearer = np.where(weights[Expert.MODEL] < 1, 1 - beside, 0).astype(np.float32)
    calibrations = artifact.knowledge.calibrations
    reach = np.zeros(came.shape, np.float32)
    for expert, name in CALIBRATIONS.items():
        if weights[expert].any():
            reach += weights[expert] * calibrations[name].reach(hours, INTERVAL_PROBABILITY)
    stretch = stretched(reach, mixture, came, moments)
    return Choice(weights, nearer, stretch, np.isfinite(came).sum((0, 1)))


def mixture_of(weights: Floats, said: Floats) -> Floats:
    """What a mixture says; an expert without a share is not asked, whose answer may be NaN.

    Args:
        weights: shape (experts, entities, horizons).
        said: shape (…, experts, entities, horizons).
    """
    mixture: Floats = np.where(weights > 0, weights * said, 0).sum(-3).astype(np.float32)
    return mixture


def behind_before(artifact: Artifact) -> Errors:
    """By how much of the model's error experts were worse where it was chosen, 0 to a fifth; (experts, horizons)."""
    validation = artifact.about.validation
    of_model = np.array([score.mae_kmh for score in validation[MODEL]])
    errors = [[score.mae_kmh for score in validation[name]] for name in CALIBRATIONS.values()]
    worse: Errors = np.clip(np.array(errors) / np.maximum(of_model, 1e-9) - 1, 0, _MOST_BEHIND)
    return worse


def shares(said: Floats, came: Floats, behind: Errors, moments: int = MOMENTS_OF_ROADS) -> Floats:
    """Shares of the experts in hundredths, shape (experts, entities, horizons).

    Args:
        said: shape (experts, moments, entities, horizons), the newest moment last.
        came: shape (moments, entities, horizons), NaN where it is not known.
        behind: by how much of the model's error experts were worse before, shape (experts, horizons).
        moments: how many are looked at when all are there.
    """
    worse = multiples(said, came, moments) + LEAVING * behind[:, None]
    share = np.exp(RATE * (worse.min(0) - worse))
    share /= share.sum(0)
    share[share < LEAST_SHARE] = 0
    hundredths = np.floor(100 * share / share.sum(0))
    # what is left of a hundred is the largest one's
    largest = hundredths.argmax(0)[None]
    left = 100 - hundredths.sum(0, keepdims=True)
    np.put_along_axis(hundredths, largest, np.take_along_axis(hundredths, largest, 0) + left, 0)
    weights: Floats = (hundredths / 100).astype(np.float32)
    return weights


def multiples(said: Floats, came: Floats, moments: int = MOMENTS_OF_ROADS) -> Errors:
    """Errors of late as multiples of those of the first one, drawn towards the city's.

    Where nothing is known in the whole city, they are infinite for all but the first one.

    Args:
        said: shape (who, moments, entities, horizons), the newest moment last.
        came: shape (moments, entities, horizons), NaN where it is not known.
        moments: how many are looked at when all are there.

    Returns:
        shape (who, entities, horizons).
    """
    sums, weight = _late(said, came, moments)
    own = _beside_first(sums)
    city = _drawn(_beside_first(sums.sum(1, keepdims=True)), weight.sum(0), np.float64(1))
    city[1:, :, ~weight.any(0)] = np.inf
    return _drawn(own, weight, city)


def _late(said: Floats, came: Floats, moments: int) -> tuple[Errors, Errors]:
    """Weighted sums of errors, shape (who, entities, horizons), and of weights, where all have said something."""
    known: Bools = np.isfinite(came)
    for one in said:
        known &= np.isfinite(one)
    age = _ages(known, _HALF_LIFE * moments)
    sums = [np.einsum("meh,mh->eh", np.where(known, np.abs(one - came), 0), age) for one in said]
    return np.stack(sums), np.einsum("meh,mh->eh", known, age)


def _beside_first(sums: Errors) -> Errors:
    """Sums of errors as multiples of those of the first one."""
    least = np.maximum(sums, 1e-9)
    beside: Errors = least / least[:1]
    return beside


def _drawn(own: Errors, weight: Errors, towards: Errors | np.float64) -> Errors:
    """Means of what was found with a weight and of what it is drawn towards."""
    drawn: Errors = (weight * own + DRAWN * towards) / (weight + DRAWN)
    return drawn


def _ages(known: Bools, half_life: float) -> Errors:
    """Weights of moments at each horizon, shape (moments, horizons): 1 for the newest of which anything is known."""
    newest = len(known) - 1 - np.argmax(np.flip(known, 0).any(1), 0)
    ages: Errors = 0.5 ** ((newest - np.arange(len(known))[:, None]) / half_life)
    return ages


def stretched(reach: Floats, said: Floats, came: Floats, moments: int = MOMENTS_OF_ROADS) -> Floats:
    """By what intervals are to be multiplied to hold what they promise, shape (horizons).

    Args:
        reach: of the intervals, as all, of shape (moments, entities, horizons).
        said: what was predicted.
        came: what came, NaN where it is not known.
        moments: how many are looked at when all are there.
    """
    ratios = np.abs(said - came) / np.maximum(reach, 1e-6)
    known: Bools = np.isfinite(ratios)
    stretch = np.ones(ratios.shape[2], np.float32)
    age = _ages(known, _INTERVAL_HALF_LIFE * moments)
    for horizon in range(ratios.shape[2]):
        at, there = np.nonzero(known[..., horizon])
        if not at.size:
            continue
        values, weights = ratios[at, there, horizon], age[at, horizon]
        order = values.argsort()
        shares_below = weights[order].cumsum() / weights.sum()
        live = float(values[order][min(np.searchsorted(shares_below, _HELD), len(order) - 1)])
        drawn = (weights.sum() * live + _TRUSTED) / (weights.sum() + _TRUSTED)
        stretch[horizon] = min(max(drawn, _STRETCH_LEAST), _STRETCH_MOST)
    return stretch


def _at(kmh: Floats, places: Integers) -> Floats:
    """Values at places among the steps, NaN for those behind the last."""
    found = np.full((len(places), kmh.shape[1]), np.nan, np.float32)
    there = places < len(kmh)
    found[there] = kmh[places[there]]
    return found
