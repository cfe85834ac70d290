"""Predictions of roads, and the records that carry them."""

from __future__ import annotations

import time
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import msgspec
from aiokafka import ConsumerRecord

from models.roads.predictions import RoadPrediction, encode_prediction
from models.timestamps import rfc3339
from trafficapp.topics import PREDICTIONS

T0_US = 1_768_374_000_000_000


def prediction(road_id: str = "a10", seconds: float = 0, **changes: Any) -> RoadPrediction:
    """A prediction that was made some seconds after the beginning, of the step that began then."""
    made_at_us = T0_US + round(seconds * 1e6)
    whole = RoadPrediction(
        event_id=str(uuid5(NAMESPACE_OID, f"{made_at_us} {road_id}")),
        timestamp=rfc3339(made_at_us),
        road_id=road_id,
        current_speed=31.5,
        predicted_speed_10min=30.25,
        predicted_speed_20min=29.0,
        predicted_speed_30min=28.5,
        prediction_confidence=0.71,
        model_version="ours-1",
        source="model",
        note="",
        low_kmh=[25.5, 22.0, 20.25],
        high_kmh=[35.0, 36.0, 36.75],
        confidences=[0.9, 0.8, 0.71],
        step_start=rfc3339(made_at_us // 300_000_000 * 300_000_000),
        step_speed_kmh=32.25,
    )
    return msgspec.structs.replace(whole, **changes)


def prediction_records(*predictions: RoadPrediction | bytes, first: int = 0, age_seconds: float = 0) -> list[Any]:
    """Records of the topic that were sent some seconds ago."""
    sent_ms = round((time.time() - age_seconds) * 1000)
    return [
        ConsumerRecord(
            PREDICTIONS, 0, offset, sent_ms, 0, None,
            one if isinstance(one, bytes) else encode_prediction(one), None, -1, 0, (),
        )
        for offset, one in enumerate(predictions, first)
    ]  # fmt: skip
