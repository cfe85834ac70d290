"""Predictions of all roads in one call, by the model or by what is left when it cannot answer, always saying which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from trafficapp.forecast.artifacts.artifact import Artifact
from trafficapp.forecast.baselines import LAST_VALUE, TIME_OF_DAY, last_value, time_of_day
from trafficapp.forecast.choosing import CALIBRATIONS, Choice, Chooser, Expert, said_by_experts
from trafficapp.forecast.clock import Floats, Integers, local_hours
from trafficapp.forecast.learning.judging import MODEL

#: A road that nothing came of for this long is not predicted by the model any more.
STALE_STEPS = 3


class Source(IntEnum):
    """Who made a prediction."""

    MODEL = 0
    LAST_VALUE = 1
    TIME_OF_DAY = 2
    NOTHING = 3
    LINEAR_AR = 4


_CALIBRATION = {Source.MODEL: MODEL, Source.LAST_VALUE: LAST_VALUE, Source.TIME_OF_DAY: TIME_OF_DAY}

#: What the experts are called once they predict, by their number.
_OF_EXPERT = np.array([Source.MODEL, Source.LINEAR_AR, Source.LAST_VALUE], np.int64)


@dataclass(frozen=True, eq=False)
class Forecast:
    """Predictions of some roads, each array of shape (roads, horizons) but `sources` and `since_steps` (roads).

    Bounds and confidence are NaN where nothing was ever calibrated, speeds are NaN where nobody can say anything.

    Attributes:
        sources: who answers for a road: `MODEL` stands for whoever of the model and its rules was right of late.
        served: who that is at each horizon.
        nearer: by what share the error of late of who serves in the model's place is smaller than the model's, 0 where
            the model serves.
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
    nearer: Floats

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
        self, promoted: ServingModel, horizons_minutes: tuple[float, ...] = (10.0, 20.0, 30.0), *, chooses: bool = False
    ) -> None:
        """Predict with what a reader of the registry holds.

        Args:
            promoted: the reader.
            horizons_minutes: of predictions while no model is there.
            chooses: whether a rule predicts in the model's place where it was nearer of late; only where more steps are
                given than the model takes, see `trafficapp.forecast.choosing.steps_needed`.
        """
        self._promoted = promoted
        self._horizons_minutes = horizons_minutes
        self._chooser = Chooser() if chooses else None

    def forecast(
        self, road_ids: tuple[str, ...], recent_kmh: Floats, last_time: int, weather: Floats | None = None
    ) -> Forecast:
        """Predict all roads at once. This computes for some milliseconds: not for an event loop.

        Args:
            road_ids: the roads of the columns, in any order, also such as the model does not know.
            recent_kmh: shape (steps, roads), the newest last, NaN where nothing was measured.
            last_time: when the newest step began, in seconds since the epoch.
            weather: as of `trafficapp.forecast.artifacts.artifact.Artifact.predict`.
        """
        artifact = self._promoted.current()
        if artifact is None:
            return self._without_model(road_ids, recent_kmh, last_time)
        return _with_model(
            artifact, road_ids, recent_kmh, last_time, self._promoted.refusal or "", weather, self._chooser
        )

    def _without_model(self, road_ids: tuple[str, ...], recent_kmh: Floats, last_time: int) -> Forecast:
        horizons = len(self._horizons_minutes)
        since = steps_since_known(recent_kmh)
        speeds = np.where((since < STALE_STEPS)[:, None], last_value(recent_kmh[None], horizons)[0], np.float32(np.nan))
        unknown = np.full(speeds.shape, np.nan, np.float32)
        sources = np.where(np.isfinite(speeds[:, 0]), Source.LAST_VALUE, Source.NOTHING).astype(np.int64)
        note = self._promoted.refusal or "no model is promoted"
        return Forecast(
            datetime.fromtimestamp(last_time, UTC), road_ids, self._horizons_minutes, "", speeds, unknown,
            unknown, unknown, sources, since, note, _everywhere(sources, horizons), np.zeros(speeds.shape, np.float32),
        )  # fmt: skip


def steps_since_known(recent_kmh: Floats) -> Integers:
    """For each road, how many steps ago it was last measured; all steps when it never was."""
    known = np.isfinite(recent_kmh[::-1])
    since: Integers = np.where(known.any(0), known.argmax(0), len(recent_kmh)).astype(np.int64)
    return since


def _with_model(
    artifact: Artifact,
    road_ids: tuple[str, ...],
    recent_kmh: Floats,
    last_time: int,
    note: str,
    weather: Floats | None,
    chooser: Chooser | None,
) -> Forecast:
    about = artifact.about
    place = {road: index for index, road in enumerate(about.road_ids)}
    at = np.array([place.get(road, -1) for road in road_ids], np.int64)
    kept = np.full((max(len(recent_kmh), about.layout.input_steps), len(about.road_ids)), np.nan, np.float32)
    kept[:, at[at >= 0]] = _last_steps(recent_kmh, len(kept))[:, at >= 0]
    of_model = kept[-about.layout.input_steps :]
    since = steps_since_known(recent_kmh)
    sources = _sources(since, at >= 0)
    speeds, low, high, confidence = (
        np.full((len(road_ids), len(about.layout.horizon_steps)), np.nan, np.float32) for _ in range(4)
    )
    served, nearer = _everywhere(sources, speeds.shape[1]), np.zeros(speeds.shape, np.float32)
    choice = None if chooser is None else chooser.choose(artifact, kept, last_time, weather)
    by_experts = np.flatnonzero(sources == Source.MODEL)
    if choice is None:
        answers = _answers(artifact, of_model, last_time, sources, weather)
    else:
        answers = _answers(artifact, of_model, last_time, np.where(sources == Source.MODEL, -1, sources), weather)
        if by_experts.size:
            of_experts = _of_experts(artifact, of_model, last_time, weather, choice)
            for target, values in zip((speeds, low, high, confidence), of_experts, strict=True):
                target[by_experts] = values[at[by_experts]]
            served[by_experts] = _OF_EXPERT[choice.experts[at[by_experts]]]
            nearer[by_experts] = _nearer(choice)[at[by_experts]]
    for source, (name, answer) in answers.items():
        certain = artifact.knowledge.calibrations[name].judge(answer[None], _hour(artifact, last_time))
        chosen = (sources == source) & (at >= 0)
        speeds[chosen] = answer[at[chosen]]
        for target, value in zip((low, high, confidence), certain, strict=True):
            target[chosen] = value[0][at[chosen]]
    # Roads that the model does not know have no calibration either.
    new = (sources == Source.LAST_VALUE) & (at < 0)
    speeds[new] = last_value(recent_kmh[None][:, :, new], speeds.shape[1])[0]
    return Forecast(
        datetime.fromtimestamp(last_time, UTC), road_ids, about.horizons_minutes, about.version, speeds, low,
        high, confidence, sources, since, note, served, nearer,
    )  # fmt: skip


def _of_experts(
    artifact: Artifact, recent_kmh: Floats, last_time: int, weather: Floats | None, choice: Choice
) -> tuple[Floats, Floats, Floats, Floats]:
    """Speeds, bounds and confidence of whoever was chosen, each of shape (the model's roads, horizons)."""
    said, hour = said_by_experts(artifact, recent_kmh, last_time, weather), _hour(artifact, last_time)
    certain = [
        artifact.knowledge.calibrations[name].judge(said[expert][None], hour, stretch=choice.stretch[expert])
        for expert, name in CALIBRATIONS.items()
    ]
    of_all = (said, *(np.stack([one[part][0] for one in certain]) for part in range(3)))
    speeds, low, high, confidence = (np.take_along_axis(one, choice.experts[None], 0)[0] for one in of_all)
    return speeds, low, high, confidence


def _nearer(choice: Choice) -> Floats:
    """By what share whoever was chosen had a smaller error than the model, shape (the model's roads, horizons)."""
    own = np.take_along_axis(choice.error_kmh, choice.experts[None], 0)[0]
    of_model = choice.error_kmh[Expert.MODEL]
    nearer = np.where((choice.experts != Expert.MODEL) & (of_model > 0), 1 - own / np.maximum(of_model, 1e-6), 0)
    return np.nan_to_num(nearer).astype(np.float32)


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
    artifact: Artifact, recent_kmh: Floats, last_time: int, sources: Integers, weather: Floats | None
) -> dict[Source, tuple[str, Floats]]:
    """What those who answer say, shape (the model's roads, horizons)."""
    answers: dict[Source, tuple[str, Floats]] = {}
    if (sources == Source.MODEL).any():
        answers[Source.MODEL] = (_CALIBRATION[Source.MODEL], artifact.predict(recent_kmh, last_time, weather)[0])
    if (sources == Source.TIME_OF_DAY).any():
        ahead = np.array(artifact.about.layout.horizon_steps, np.int64) * artifact.about.layout.step_seconds
        usual = time_of_day(artifact.knowledge.smooth, np.array([last_time], np.int64), ahead)[0]
        answers[Source.TIME_OF_DAY] = (_CALIBRATION[Source.TIME_OF_DAY], usual)
    return answers


def _hour(artifact: Artifact, last_time: int) -> Integers:
    return local_hours(np.array([last_time], np.int64), artifact.about.layout.zone)
