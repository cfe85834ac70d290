"""Predicted speeds of roads: topic ``traffic-predictions`` and ``road:{id}:predicted``."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from models.roads.current import RoadIdentifier

#: Who predicted: the promoted model, a rule that was nearer of late, or what is left when neither can. A closed road
#: stays closed, its speeds are 0.
PredictionSource = Literal["model", "last_value", "time_of_day", "closed", "linear_ar"]


class RoadPrediction(Struct, frozen=True, kw_only=True, gc=False):
    """What is expected of one road; the first nine fields are those that outside systems know.

    Attributes:
        event_id: a UUID that follows from the road and the time of the prediction.
        timestamp: when it was made, RFC 3339 UTC.
        current_speed: newest measured speed, km/h; None when there is none that is recent.
        predicted_speed_10min: km/h, as all speeds.
        prediction_confidence: 0..1, the least of the three horizons; docs/forecasts.md says what it means. None
            while nothing was calibrated.
        model_version: who predicted the nearest horizon, of several the one with the largest share: the version of the
            model, or ``baseline:last_value``, ``baseline:linear_ar``, ``baseline:time_of_day``, ``baseline:closed``.
        source: the same as a word.
        note: why it is not the model's, for people; "" when it is.
        low_kmh, high_kmh: 80 % interval at each horizon.
        confidences: at each horizon.
        step_start: begin of the newest step of the speeds that it was made from.
        step_speed_kmh: mean of the newest step with a measurement, the last value that the model is compared with; None
            when there is none that is recent.
        weather_factor: what bad weather leaves of the usual speed, where that is what is predicted; else None.
        model_versions: as `model_version` for each horizon; None in predictions from before it was told.
        weights: shares of the model, the linear rule and the last value at each horizon; None where none of them
            answers.
    """

    event_id: str
    timestamp: str
    road_id: RoadIdentifier
    current_speed: float | None
    predicted_speed_10min: float
    predicted_speed_20min: float
    predicted_speed_30min: float
    prediction_confidence: float | None
    model_version: str
    source: PredictionSource
    note: str
    low_kmh: list[float | None]
    high_kmh: list[float | None]
    confidences: list[float | None]
    step_start: str
    step_speed_kmh: float | None = None
    weather_factor: float | None = None
    model_versions: list[str] | None = None
    weights: list[list[float]] | None = None


encode_prediction = msgspec.json.Encoder().encode
decode_prediction = msgspec.json.Decoder(RoadPrediction).decode
