"""Predictions of all cameras and lanes in one call, and of one of them minute by minute."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

import numpy as np

from models.roads.predictions import PredictionSource
from trafficapp.forecast.cameras import ScoreWindow, lanes_of
from trafficapp.forecast.choosing import MOMENTS_OF_CAMERAS, Chooser, Expert, steps_needed
from trafficapp.forecast.clock import Floats
from trafficapp.forecast.quantities import CONGESTION_SCORE
from trafficapp.forecast.serving import Forecast, Forecaster, ServingModel, Source, why_mixed

_SOURCES: dict[Source, PredictionSource] = {
    Source.MODEL: "model",
    Source.LAST_VALUE: "last_value",
    Source.TIME_OF_DAY: "time_of_day",
    Source.LINEAR_AR: "linear_ar",
}

#: The experts in words.
_WORDS = {Expert.MODEL: "the model", Expert.LINEAR_AR: "the linear rule", Expert.LAST_VALUE: "the newest score"}

#: Minutes of scores to choose from: what a model takes, the moments that are looked back on, and what they predicted.
MINUTES_NEEDED = steps_needed(CONGESTION_SCORE.input_steps, (CONGESTION_SCORE.output_steps,), MOMENTS_OF_CAMERAS)


class MinuteAhead(NamedTuple):
    """A predicted score with its interval of 80 %, NaN where nothing was calibrated.

    Attributes:
        time: when the predicted step is over, seconds since the epoch.
    """

    step: int
    time: int
    score: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class PredictedCameras:
    """What is expected of all cameras and lanes.

    Attributes:
        forecast: the predictions.
        window: what they were made from.
        step_seconds: length of a step.
    """

    forecast: Forecast
    window: ScoreWindow
    step_seconds: int
    known: frozenset[str]
    _place: dict[str, int]
    _lanes: dict[str, dict[int, str]]

    @property
    def reach_minutes(self) -> float:
        """How far ahead the model says anything."""
        return self.forecast.horizons_minutes[-1]

    def samples(self, entity: str) -> int:
        """Minutes of the window in which an entity has a score."""
        column = {name: place for place, name in enumerate(self.window.entities)}.get(entity)
        return 0 if column is None else int(np.isfinite(self.window.scores[:, column]).sum())

    def lanes(self, camera_id: str) -> dict[int, str]:
        """The lanes of a camera that something can be said of, by number."""
        lanes = self._lanes.get(camera_id, {})
        return {number: lane for number, lane in lanes.items() if self._source(lane) is not Source.NOTHING}

    def model(self, entity: str) -> str:
        """Who predicted the nearest minute: the version of the model, or ``baseline:`` and its name."""
        return self.forecast.model_of(self._place[entity])

    def source(self, entity: str) -> PredictionSource:
        """The same as a word."""
        return _SOURCES[Source(int(self.forecast.served[self._place[entity], 0]))]

    def model_ahead(self, entity: str, minutes: float) -> str:
        """Who predicted some minutes ahead; between two horizons of the model whoever did the nearer one."""
        return self.forecast.model_of(self._place[entity], self._horizon(minutes))

    def weights(self, entity: str, minutes: float) -> list[float] | None:
        """Shares of the model, the linear rule and the last value likewise; None where none of them answers."""
        if self._source(entity) is not Source.MODEL:
            return None
        of_entity = self.forecast.weights[:, self._place[entity], self._horizon(minutes)]
        shares: list[float] = of_entity.astype(np.float64).round(2).tolist()
        return shares

    def note(self, entity: str) -> str:
        """Why it is not the promoted model that predicted, for people; "" when it is."""
        source = self._source(entity)
        if source is Source.TIME_OF_DAY:
            minutes = int(self.forecast.since_steps[self._place[entity]]) * self.step_seconds / 60
            return f"there was no score for {minutes:g} minutes or more; this is usual at this time of day"
        if source is Source.LAST_VALUE:
            return f"the model {self.forecast.model_version} does not know it; this is its newest score"
        horizons = list(range(len(self.forecast.horizons_minutes)))
        why = why_mixed(self.forecast, self._place[entity], horizons, _WORDS)
        return "; ".join(filter(None, (why, self.forecast.note)))

    def _horizon(self, minutes: float) -> int:
        apart: Floats = np.abs(np.array(self.forecast.horizons_minutes) - minutes)
        return int(apart.argmin())

    def ahead(self, entity: str, minutes: int) -> list[MinuteAhead]:
        """Every step up to some minutes ahead; steps between two horizons of the model lie on a line between them."""
        place, of = self._place[entity], self.forecast
        steps = np.arange(1, minutes * 60 // self.step_seconds + 1)
        scores, low, high = (
            np.interp(steps * self.step_seconds / 60, of.horizons_minutes, values[place])
            for values in (of.speeds_kmh, of.low_kmh, of.high_kmh)
        )
        # The last step of the window is over one step after it began; the first predicted one is over after two.
        times = self.window.last_time + (steps + 1) * self.step_seconds
        return [MinuteAhead(*one) for one in zip(*(x.tolist() for x in (steps, times, scores, low, high)), strict=True)]

    def _source(self, entity: str) -> Source:
        return Source(int(self.forecast.sources[self._place[entity]]))


class CameraPredictor:
    """Predicts with the model that serves; for threads.

    Args:
        model: says which that is.
    """

    def __init__(self, model: ServingModel) -> None:
        self._model = model
        self._forecaster = Forecaster(model, chooser=Chooser(MOMENTS_OF_CAMERAS))
        self._alone = Lock()

    def predict(self, window: ScoreWindow, minutes: int | None = None) -> PredictedCameras | None:
        """Predict all cameras and lanes, those of the window and those of the model; None when no model serves.

        This computes for some milliseconds, for a second when it looks back for the first time, and reads a newly
        promoted model: not for an event loop.

        Args:
            window: scores to look back on, `MINUTES_NEEDED` of them where there are as many.
            minutes: the last ones that predictions are made from; None for all.
        """
        read, minutes = window, minutes or len(window.scores)
        window = ScoreWindow(read.entities, read.scores[-minutes:], read.last_time)
        with self._alone:
            artifact = self._model.current()
            if artifact is None:
                return None
            known = frozenset(artifact.about.road_ids)
            entities = (*artifact.about.road_ids, *(name for name in window.entities if name not in known))
            place = {name: index for index, name in enumerate(entities)}
            recent: Floats = np.full((len(read.scores), len(entities)), np.nan, np.float32)
            recent[:, [place[name] for name in read.entities]] = read.scores
            forecast = self._forecaster.forecast(entities, recent, read.last_time, now_kmh=recent[-minutes:])
        seconds = artifact.about.layout.step_seconds
        return PredictedCameras(forecast, window, seconds, known, place, lanes_of(entities))

    @property
    def refusal(self) -> str | None:
        """Why a model is refused that should serve."""
        return self._model.refusal
