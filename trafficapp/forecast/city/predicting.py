"""Predictions of all roads of the city at one moment, as they are told: speeds, bounds, who made them and why.

What is here computes for some milliseconds and is meant for a thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from uuid import UUID, uuid5

import numpy as np

from models.roads.predictions import PredictionSource, RoadPrediction, encode_prediction
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.forecast.artifacts.artifact import Artifact
from trafficapp.forecast.artifacts.shipped import HORIZONS_MINUTES
from trafficapp.forecast.baselines import filled_forward
from trafficapp.forecast.choosing import Chooser, Expert
from trafficapp.forecast.clock import Floats
from trafficapp.forecast.serving import STALE_STEPS, Forecast, Forecaster, Hours, ServingModel, Source, why_mixed
from trafficapp.weather.road_weather import StationWeather, WeatherOfRoads

logger = logging.getLogger(__name__)

#: Ids of predictions are drawn from it.
_NAMESPACE = UUID("5c0c5a5e-3f0e-5b7b-9d57-0d3d8f6f2a41")

#: What stands in the place of a model's version where a road is closed.
CLOSED_VERSION = "baseline:closed"

_SOURCES: dict[Source, PredictionSource] = {
    Source.MODEL: "model",
    Source.LAST_VALUE: "last_value",
    Source.TIME_OF_DAY: "time_of_day",
    Source.LINEAR_AR: "linear_ar",
}

#: The experts in words.
_WORDS = {Expert.MODEL: "the model", Expert.LINEAR_AR: "the linear rule", Expert.LAST_VALUE: "the newest mean speed"}


@dataclass(frozen=True, eq=False)
class CityMoment:
    """All roads at one moment.

    Attributes:
        made_at_us: the moment, microseconds since the epoch.
        road_ids: the roads of the columns.
        recent_kmh: speeds of the last steps, shape (steps, roads), NaN where nothing was measured.
        last_time: when the newest of these steps began, seconds since the epoch.
        step_seconds: length of a step.
        current_kmh: the newest measured speed of each road.
        closed: roads on which nobody may drive.
        weather: of the roads; None when it is not known, or slows nobody.
        weather_numbers: of the city, for models that take them; None when nothing is known.
        hours: mean speeds of the roads in the last hours; None when they are not kept.
    """

    made_at_us: int
    road_ids: tuple[str, ...]
    recent_kmh: Floats
    last_time: int
    step_seconds: int
    current_kmh: tuple[float, ...]
    closed: frozenset[str] = frozenset()
    weather: WeatherOfRoads | None = None
    weather_numbers: Floats | None = None
    hours: Hours | None = None


@dataclass(frozen=True, eq=False)
class PredictedCity:
    """What came of a moment.

    Attributes:
        predictions: of each road that something can be said of, in the order of the roads.
        records: the same as they are sent, keys and values.
        model_version: the model that served; "" when there was none.
        model: the model itself.
        refusal: why a model was refused that should have served.
        inference_seconds: what the forecast itself took.
    """

    predictions: list[RoadPrediction]
    records: list[tuple[bytes, bytes]]
    model_version: str
    model: Artifact | None
    refusal: str | None
    inference_seconds: float


class CityPredictor:
    """Predicts all roads of the city in one call.

    Args:
        model: says which model serves.
    """

    def __init__(self, model: ServingModel) -> None:
        self._model = model
        self._forecaster = Forecaster(model, HORIZONS_MINUTES, chooser=Chooser())
        self._without_model = Forecaster(_Failed(), HORIZONS_MINUTES)

    def predict(self, moment: CityMoment) -> PredictedCity:
        """Predict all roads; when the model fails, simple rules do."""
        began = time.perf_counter()
        try:
            forecast = self._forecast(self._forecaster, moment)
            model, refusal = self._model.current(), self._model.refusal
        except Exception:
            # whatever a model does, the roads must not go without predictions
            logger.exception("the model failed; simple rules answer instead")
            forecast = self._forecast(self._without_model, moment)
            model, refusal = None, forecast.note
        seconds = time.perf_counter() - began
        told = predictions_of(forecast, moment)
        records = [(one.road_id.encode(), encode_prediction(one)) for one in told]
        return PredictedCity(told, records, forecast.model_version, model, refusal, seconds)

    @staticmethod
    def _forecast(forecaster: Forecaster, moment: CityMoment) -> Forecast:
        weather, hours = moment.weather_numbers, moment.hours
        return forecaster.forecast(moment.road_ids, moment.recent_kmh, moment.last_time, weather, hours)


class _Failed:
    """Stands in for a model that raised an error."""

    refusal: str | None = "the model failed"

    def current(self) -> Artifact | None:
        return None


def speeds_of(predictions: Iterable[RoadPrediction]) -> dict[str, list[float | None]]:
    """For each road its speed now and in 10, 20 and 30 minutes."""
    return {
        one.road_id: [
            one.current_speed,
            one.predicted_speed_10min,
            one.predicted_speed_20min,
            one.predicted_speed_30min,
        ]
        for one in predictions
    }


def predictions_of(forecast: Forecast, moment: CityMoment) -> list[RoadPrediction]:
    """The predictions of a forecast; roads of which nothing can be said are left out.

    A closed road stays closed, whatever the forecast says: its speeds are 0. What is usual at this time of day is
    slower in bad weather; measured speeds, and what is predicted from them, have the weather in them already.
    """
    at = [forecast.horizons_minutes.index(minutes) for minutes in HORIZONS_MINUTES]
    speeds: list[list[float]] = np.round(forecast.speeds_kmh[:, at].astype(np.float64), 2).tolist()
    low, high = (_known(array[:, at], 2) for array in (forecast.low_kmh, forecast.high_kmh))
    confidences = _known(forecast.confidence[:, at], 3)
    weights: list[list[list[float]]] = (
        forecast.weights[:, :, at].transpose(1, 2, 0).astype(np.float64).round(2).tolist()
    )
    step_means = filled_forward(moment.recent_kmh[None])[0, -1].astype(np.float64)
    timestamp, step_start = rfc3339(moment.made_at_us), rfc3339(moment.last_time * MICROSECONDS_PER_SECOND)
    told = []
    closed = np.array([road_id in moment.closed for road_id in forecast.road_ids], bool)
    for place in np.flatnonzero((forecast.sources != Source.NOTHING) | closed).tolist():
        road_id, source = forecast.road_ids[place], Source(int(forecast.sources[place]))
        if closed[place]:
            told.append(_of_closed(road_id, moment.made_at_us, timestamp, step_start))
            continue
        since = int(forecast.since_steps[place])
        sure, note = confidences[place], _note(forecast, place, source, at, moment.step_seconds)
        weather = _slowing(moment, road_id) if source is Source.TIME_OF_DAY else None
        if weather is not None:
            speeds[place] = [round(speed * weather.factor, 2) for speed in speeds[place]]
            for bound in (low, high):
                bound[place] = [None if kmh is None else round(kmh * weather.factor, 2) for kmh in bound[place]]
            note = f"{note}, {100 * (1 - weather.factor):.0f} % slower for {weather.words} (station {weather.station})"
        ten, twenty, thirty = speeds[place]
        told.append(
            RoadPrediction(
                event_id=_event_id(road_id, moment.made_at_us),
                timestamp=timestamp,
                road_id=road_id,
                current_speed=moment.current_kmh[place] if since < STALE_STEPS else None,
                predicted_speed_10min=ten,
                predicted_speed_20min=twenty,
                predicted_speed_30min=thirty,
                prediction_confidence=min((one for one in sure if one is not None), default=None),
                model_version=forecast.model_of(place, at[0]),
                source=_SOURCES[Source(int(forecast.served[place, at[0]]))],
                note=note,
                low_kmh=low[place],
                high_kmh=high[place],
                confidences=sure,
                step_start=step_start,
                step_speed_kmh=round(float(step_means[place]), 2) if since < STALE_STEPS else None,
                weather_factor=None if weather is None else weather.factor,
                model_versions=[forecast.model_of(place, horizon) for horizon in at],
                weights=weights[place] if source is Source.MODEL else None,
            )
        )
    return told


def _slowing(moment: CityMoment, road_id: str) -> StationWeather | None:
    """The weather of a road, if it slows it."""
    weather = None if moment.weather is None else moment.weather.of_road(road_id)
    return weather if weather is not None and weather.factor < 1 else None


def _event_id(road_id: str, made_at_us: int) -> str:
    return str(uuid5(_NAMESPACE, f"{made_at_us}\n{road_id}"))


def _of_closed(road_id: str, made_at_us: int, timestamp: str, step_start: str) -> RoadPrediction:
    return RoadPrediction(
        event_id=_event_id(road_id, made_at_us),
        timestamp=timestamp,
        road_id=road_id,
        current_speed=0.0,
        predicted_speed_10min=0.0,
        predicted_speed_20min=0.0,
        predicted_speed_30min=0.0,
        prediction_confidence=None,
        model_version=CLOSED_VERSION,
        source="closed",
        note="the road is closed, and stays so until the feed says otherwise",
        low_kmh=[None] * 3,
        high_kmh=[None] * 3,
        confidences=[None] * 3,
        step_start=step_start,
        model_versions=[CLOSED_VERSION] * 3,
    )


def _note(forecast: Forecast, place: int, source: Source, horizons: list[int], step_seconds: int) -> str:
    """Why it is not the model that predicted, or the model asked as of another time."""
    if source is Source.MODEL:
        return "; ".join(filter(None, (why_mixed(forecast, place, horizons, _WORDS), _why_clock(forecast))))
    if source is Source.TIME_OF_DAY:
        silent_minutes = int(forecast.since_steps[place]) * step_seconds / 60
        why = f"no speed was measured for {silent_minutes:g} minutes or more; this is usual at this time of day"
        return "; ".join(filter(None, (why, _why_clock(forecast))))
    why = f"the model {forecast.model_version} does not know this road" if forecast.model_version else forecast.note
    return f"{why}; this is the mean speed of the newest {step_seconds / 60:g} minutes that were measured"


def _why_clock(forecast: Forecast) -> str:
    """What the model was asked for instead, where the day comes at another time than the clock says; else ""."""
    hours = forecast.clock_off_seconds / 3600
    if not hours:
        return ""
    when = "later" if hours > 0 else "earlier"
    return f"the last hours are what is usual {abs(hours):g} h {when}, and are taken as that"


def _known(values: Floats, digits: int) -> list[list[float | None]]:
    """Rounded numbers, None where there is none."""
    rounded = np.round(values.astype(np.float64), digits)
    numbers: list[list[float | None]] = rounded.astype(object).tolist()
    for road in np.flatnonzero(~np.isfinite(rounded).all(1)).tolist():
        numbers[road] = [number if number is not None and isfinite(number) else None for number in numbers[road]]
    return numbers
