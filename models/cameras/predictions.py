"""Body of ``/api/predict/congestion``: what is expected of a camera and its lanes."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from models.cameras.window_rows import Level
from models.roads.predictions import PredictionSource


class CongestionStep(Struct, frozen=True):
    """The mean score expected of one step.

    Attributes:
        step: from 1.
        predicted_at: when the step is over, RFC 3339 UTC.
        congestion_score: 0..1 with 4 decimals.
        congestion_level: of the score, by the thresholds in force.
        low, high: interval that holds four of five such scores; null where nothing was calibrated.
        model: who predicted it, of several the one with the largest share: as `CameraForecast.model`.
        weights: shares of the model, the linear rule and the newest score; null where none of them answers.
    """

    step: int
    predicted_at: str
    congestion_score: float
    congestion_level: Level
    low: float | None
    high: float | None
    model: str
    weights: list[float] | None


class LaneCongestion(Struct, frozen=True):
    """One lane of the camera, as the camera itself."""

    lane_id: int
    model: str
    source: PredictionSource
    forecast: list[CongestionStep]


class CameraForecast(Struct, frozen=True, kw_only=True):
    """What is expected of a camera.

    Attributes:
        model: who predicted the nearest minute: the version of the model, ``baseline:linear_ar``,
            ``baseline:last_value`` or ``baseline:time_of_day``.
        step_seconds: length of a step.
        history_samples: minutes within the lookback in which the camera has a score.
        generated_at: when it was predicted, RFC 3339 UTC.
        forecast: every step up to the horizon.
        lanes: the same of every lane that something can be said of.
        source: who predicted, as a word.
        note: why it is not the promoted model, for people; "" when it is.
    """

    camera_id: str
    model: str
    horizon_minutes: int
    step_seconds: int
    history_samples: int
    generated_at: str
    forecast: list[CongestionStep]
    lanes: list[LaneCongestion]
    source: PredictionSource
    note: str


encode_camera_forecast = msgspec.json.Encoder().encode
