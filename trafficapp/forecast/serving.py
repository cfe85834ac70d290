"""Predictions of all roads in one call, by the model or by what is left when it cannot answer, always saying which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from trafficapp.forecast.artifacts.artifact import Artifact
from trafficapp.forecast.baselines import TIME_OF_DAY, last_value, time_of_day
from trafficapp.forecast.choosing import (
    CALIBRATIONS,
    Choice,
    Chooser,
    Expert,
    mixture_of,
    model_alone,
    said_by_experts,
)
from trafficapp.forecast.clock import Floats, Integers, local_hours
from trafficapp.forecast.day_clock import clock_off

#: A road that nothing came of for this long is not predicted by the model any more.
STALE_STEPS = 3


class Source(IntEnum):
    """Who made a prediction."""

    MODEL = 0
    LAST_VALUE = 1
    TIME_OF_DAY = 2
    NOTHING = 3
    LINEAR_AR = 4


#: What the experts are called once they predict, by their number.
_OF_EXPERT = np.array([Source.MODEL, Source.LINEAR_AR, Source.LAST_VALUE], np.int64)


class Hours(NamedTuple):
    """Mean speeds of the last hours, as `trafficapp.forecast.day_clock.clock_off` takes them."""

    speeds_kmh: Floats
    last_hour: int


@dataclass(frozen=True, eq=False)
class Forecast:
    """Predictions of some roads, each array of shape (roads, horizons) but `sources` and `since_steps` (roads).

    Bounds and confidence are NaN where nothing was ever calibrated, speeds are NaN where nobody can say anything.

    Attributes:
        sources: who answers for a road: `MODEL` stands for whoever of the model and its rules was right of late.
        served: who that is at each horizon; of several the one with the largest share.
        weights: shares of the experts, shape (experts, roads, horizons); 0 where none of them answers.
        nearer: by what share the error of late of what serves in the model's place is smaller than the model's on this
            road, 0 where the model serves alone.
        clock_off_seconds: what was added to times to ask the model, see `trafficapp.forecast.day_clock`.
    """

    made_at: datetime
    road_ids: tuple[str, ...]
    horizons_minutes: tuple[float, ...]
    model_version: str
    speeds_kmh: Floats
    low_kmh: Floats
    high_kmh: Floats
    confidence: Floats
    sources: Integers
    since_steps: Integers
    note: str
    served: Integers
    weights: Floats
    nearer: Floats
    clock_off_seconds: int = 0

    def model_of(self, road: int, horizon: int = 0) -> str:
        """What `model_version` says in the prediction of a road at a horizon, by their places."""
        source = Source(int(self.served[road, horizon]))
        return self.model_version if source is Source.MODEL else f"baseline:{source.name.lower()}"


class ServingModel(Protocol):
    """Something that knows which model serves; `trafficapp.forecast.artifacts.registry.PromotedModel` does."""

    #: Why one is refused that should serve.
    refusal: str | None

    def current(self) -> Artifact | None:
        """The model to use; None when there is none that can be."""


class Forecaster:
    """Predicts with the model that serves."""

    def __init__(
        self,
        promoted: ServingModel,
        horizons_minutes: tuple[float, ...] = (10.0, 20.0, 30.0),
        *,
        chooser: Chooser | None = None,
    ) -> None:
        """Predict with what a reader of the registry holds.

        Args:
            promoted: the reader.
            horizons_minutes: of predictions while no model is there.
            chooser: says whether a rule predicts in the model's place where it was nearer of late; only where more
                steps are given than the model takes, see `trafficapp.forecast.choosing.steps_needed`. None, and the
                model predicts.
        """
        self._promoted = promoted
        self._horizons_minutes = horizons_minutes
        self._chooser = chooser
        #: How far the clock is off, of a model and an hour.
        self._clock_off: tuple[str, int, int] | None = None

    def forecast(
        self,
        road_ids: tuple[str, ...],
        recent_kmh: Floats,
        last_time: int,
        weather: Floats | None = None,
        hours: Hours | None = None,
        now_kmh: Floats | None = None,
    ) -> Forecast:
        """Predict all roads at once. This computes for some milliseconds: not for an event loop.

        Args:
            road_ids: the roads of the columns, in any order, also such as the model does not know.
            recent_kmh: shape (steps, roads), the newest last, NaN where nothing was measured.
            last_time: when the newest step began, in seconds since the epoch.
            weather: as of `trafficapp.forecast.artifacts.artifact.Artifact.predict`.
            hours: of the roads, to see whether the day is as the clock says; None, and it is.
            now_kmh: the last of the steps, where predictions are to be made from fewer than are looked back on.
        """
        now_kmh = recent_kmh if now_kmh is None else now_kmh
        artifact = self._promoted.current()
        if artifact is None:
            return self._without_model(road_ids, now_kmh, last_time)
        columns = _Columns.of(artifact, road_ids)
        off = 0 if hours is None else self._off(artifact, columns, hours)
        choice = None
        if self._chooser is not None:
            choice = self._chooser.choose(artifact, columns.of_model(recent_kmh), last_time, weather, off)
        horizons = len(artifact.about.layout.horizon_steps)
        choice = choice or model_alone(columns.roads, horizons)
        since = steps_since_known(now_kmh)
        sources = _sources(since, columns.place >= 0)
        said, served = _Said.nothing(len(road_ids), horizons), _everywhere(sources, horizons)
        weights = np.zeros((len(Expert), *said.speeds.shape), np.float32)
        nearer = np.zeros(said.speeds.shape, np.float32)
        own = _last_steps(columns.of_model(now_kmh), artifact.about.layout.input_steps)
        for source, answer in _answers(artifact, own, last_time + off, sources, weather, choice).items():
            chosen = sources == source
            of = columns.place[chosen]
            for target, values in zip(said, answer, strict=True):
                target[chosen] = values[of]
            if source is Source.MODEL:
                weights[:, chosen], nearer[chosen] = choice.weights[:, of], choice.nearer[of]
                served[chosen] = _OF_EXPERT[choice.weights[:, of].argmax(0)]
        # Roads that the model does not know have no calibration either.
        new = (sources == Source.LAST_VALUE) & (columns.place < 0)
        said.speeds[new] = last_value(now_kmh[None][:, :, new], horizons)[0]
        about = artifact.about
        return Forecast(
            datetime.fromtimestamp(last_time, UTC), road_ids, about.horizons_minutes, about.version, *said,
            sources, since, self._promoted.refusal or "", served, weights, nearer, off,
        )  # fmt: skip

    def _off(self, artifact: Artifact, columns: _Columns, hours: Hours) -> int:
        """How far the clock is off; looked for once an hour."""
        at = (artifact.about.version, hours.last_hour)
        if self._clock_off is None or self._clock_off[:2] != at:
            off = clock_off(artifact.knowledge.smooth, columns.of_model(hours.speeds_kmh), hours.last_hour)
            self._clock_off = (*at, off)
        return self._clock_off[2]

    def _without_model(self, road_ids: tuple[str, ...], recent_kmh: Floats, last_time: int) -> Forecast:
        horizons = len(self._horizons_minutes)
        since = steps_since_known(recent_kmh)
        speeds = np.where((since < STALE_STEPS)[:, None], last_value(recent_kmh[None], horizons)[0], np.float32(np.nan))
        unknown = np.full(speeds.shape, np.nan, np.float32)
        sources = np.where(np.isfinite(speeds[:, 0]), Source.LAST_VALUE, Source.NOTHING).astype(np.int64)
        note = self._promoted.refusal or "no model is promoted"
        return Forecast(
            datetime.fromtimestamp(last_time, UTC), road_ids, self._horizons_minutes, "", speeds, unknown, unknown,
            unknown, sources, since, note, _everywhere(sources, horizons),
            np.zeros((len(Expert), *speeds.shape), np.float32), np.zeros(speeds.shape, np.float32),
        )  # fmt: skip


def steps_since_known(recent_kmh: Floats) -> Integers:
    """For each road, how many steps ago it was last measured; all steps when it never was."""
    known = np.isfinite(recent_kmh[::-1])
    since: Integers = np.where(known.any(0), known.argmax(0), len(recent_kmh)).astype(np.int64)
    return since


def why_mixed(forecast: Forecast, place: int, horizons: list[int], words: dict[Expert, str]) -> str:
    """Whose mean it is where it is not the model's alone, and by how much that was nearer; else ""."""
    told: dict[tuple[tuple[float, ...], int], list[int]] = {}
    for horizon in horizons:
        weights = tuple(forecast.weights[:, place, horizon].tolist())
        if weights[Expert.MODEL] < 1:
            nearer = max(0, round(100 * float(forecast.nearer[place, horizon])))
            told.setdefault((weights, nearer), []).append(horizon)
    parts = []
    for (weights, nearer), at in told.items():
        minutes = ", ".join(f"{forecast.horizons_minutes[horizon]:g}" for horizon in at)
        of = [(share, words[Expert(expert)]) for expert, share in enumerate(weights) if share]
        who = of[0][1] if len(of) == 1 else " and ".join(f"{100 * share:.0f} % {word}" for share, word in of)
        why = f"whose error of late was {nearer} % smaller" if nearer > 0 else "which was nearer elsewhere of late"
        parts.append(f"{minutes} minutes ahead it is {who}, {why}")
    return f"not the model's alone: {'; '.join(parts)}" if parts else ""


class _Said(NamedTuple):
    """Speeds, bounds and confidence, each of shape (roads, horizons)."""

    speeds: Floats
    low: Floats
    high: Floats
    confidence: Floats

    @staticmethod
    def nothing(roads: int, horizons: int) -> _Said:
        return _Said(*(np.full((roads, horizons), np.nan, np.float32) for _ in range(4)))


class _Columns(NamedTuple):
    """Where the roads that are asked for are among the model's: -1 for those that it does not know."""

    place: Integers
    roads: int

    @staticmethod
    def of(artifact: Artifact, road_ids: tuple[str, ...]) -> _Columns:
        known = {road: index for index, road in enumerate(artifact.about.road_ids)}
        return _Columns(np.array([known.get(road, -1) for road in road_ids], np.int64), len(known))

    def of_model(self, values: Floats) -> Floats:
        """Columns in the order of the model, NaN for roads that are not among them."""
        kept = np.full((len(values), self.roads), np.nan, np.float32)
        kept[:, self.place[self.place >= 0]] = values[:, self.place >= 0]
        return kept


def _everywhere(sources: Integers, horizons: int) -> Integers:
    """The same source at each horizon, shape (roads, horizons)."""
    return np.repeat(sources[:, None], horizons, 1)


def _last_steps(recent_kmh: Floats, steps: int) -> Floats:
    """As many steps as a model takes, NaN before what is there."""
    missing = steps - len(recent_kmh)
    if missing > 0:
        recent_kmh = np.concatenate([np.full((missing, recent_kmh.shape[1]), np.nan, np.float32), recent_kmh])
    return recent_kmh[-steps:]


def _sources(since: Integers, known_road: npt.NDArray[np.bool_]) -> Integers:
    """Who answers for each road."""
    fresh = since < STALE_STEPS
    of_known = np.where(fresh, Source.MODEL, Source.TIME_OF_DAY)
    of_new = np.where(fresh, Source.LAST_VALUE, Source.NOTHING)
    return np.where(known_road, of_known, of_new).astype(np.int64)


def _answers(
    artifact: Artifact,
    recent_kmh: Floats,
    last_time: int,
    sources: Integers,
    weather: Floats | None,
    choice: Choice,
) -> dict[Source, _Said]:
    """What those who answer for any road say of all roads of the model."""
    answers: dict[Source, _Said] = {}
    hour = local_hours(np.array([last_time], np.int64), artifact.about.layout.zone)
    if (sources == Source.MODEL).any():
        said = said_by_experts(artifact, recent_kmh, last_time, weather)
        answers[Source.MODEL] = _mixed(artifact, said, hour, choice)
    if (sources == Source.TIME_OF_DAY).any():
        ahead = np.array(artifact.about.layout.horizon_steps, np.int64) * artifact.about.layout.step_seconds
        usual = time_of_day(artifact.knowledge.smooth, np.array([last_time], np.int64), ahead)[0]
        answers[Source.TIME_OF_DAY] = _certain(artifact, TIME_OF_DAY, usual, hour)
    return answers


def _certain(artifact: Artifact, name: str, speeds: Floats, hour: Integers, stretch: Floats | None = None) -> _Said:
    """Speeds with bounds and confidence of one of the calibrations."""
    certain = artifact.knowledge.calibrations[name].judge(speeds[None], hour, stretch=stretch)
    return _Said(speeds, *(one[0] for one in certain))


def _mixed(artifact: Artifact, said: Floats, hour: Integers, choice: Choice) -> _Said:
    """What a choice says: means of its experts, whose bounds and confidence are judged about the mean."""
    speeds = mixture_of(choice.weights, said)
    mean = _Said(speeds, *(np.zeros(speeds.shape, np.float32) for _ in range(3)))
    for expert, name in CALIBRATIONS.items():
        share = choice.weights[expert]
        if share.any():
            judged = _certain(artifact, name, speeds, hour, choice.stretch)
            for target, values in zip(mean[1:], judged[1:], strict=True):
                target += share * values
    return mean
