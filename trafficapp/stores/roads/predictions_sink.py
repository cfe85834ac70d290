"""Predictions of roads into ``predictions``: of each road the newest that was made within a step."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from models.cameras.detections import event_time_us
from models.records import MALFORMED
from models.roads.predictions import RoadPrediction, decode_prediction
from trafficapp.settings import Settings
from trafficapp.stores.postgres.rows import StoredTime, column_arrays, days_of, storable, write_all, write_new
from trafficapp.stores.postgres.sink import HistorySink, SinkCounters, postgres_time
from trafficapp.stores.postgres.time_partitions import PREDICTIONS_TABLE, predictions_partition
from trafficapp.topics import PREDICTIONS

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection

_log = logging.getLogger(__name__)

#: The columns of `_COLUMNS`.
PredictionColumns: TypeAlias = tuple[
    str,
    StoredTime,
    StoredTime,
    uuid.UUID,
    float | None,
    float,
    float,
    float,
    float | None,
    str,
    str,
    str,
    str,
    float | None,
]
#: The newest prediction of each road and step.
PredictionBatch: TypeAlias = dict[tuple[str, StoredTime], PredictionColumns]

#: The bounds come as text, since an array of arrays cannot be unnested by rows.
_COLUMNS = {
    "road_id": "text",
    "step_start": "timestamptz",
    "made_at": "timestamptz",
    "event_id": "uuid",
    "current_speed": "double precision",
    "predicted_speed_10min": "double precision",
    "predicted_speed_20min": "double precision",
    "predicted_speed_30min": "double precision",
    "prediction_confidence": "double precision",
    "low_kmh": "text",
    "high_kmh": "text",
    "model_version": "text",
    "source": "text",
    "step_speed_kmh": "double precision",
}
_SENT = ", ".join(f"{name}::double precision[]" if name in ("low_kmh", "high_kmh") else name for name in _COLUMNS)
_VALUES = [name for name in _COLUMNS if name not in ("road_id", "step_start")]
_UPSERT = f"""
    INSERT INTO predictions ({", ".join(_COLUMNS)})
    SELECT {_SENT} FROM unnest({column_arrays(_COLUMNS)}) AS sent ({", ".join(_COLUMNS)}) ORDER BY road_id, step_start
    ON CONFLICT (road_id, step_start) DO UPDATE
    SET ({", ".join(_VALUES)}) = ROW (EXCLUDED.{", EXCLUDED.".join(_VALUES)})
    WHERE predictions.made_at < EXCLUDED.made_at
"""  # noqa: S608 - put together from the constants above


class HistoryPredictionsSink(HistorySink[PredictionBatch]):
    """Keeps the newest prediction of each road and step.

    Args:
        settings: of the process.
        should_stop: asked while Postgres is away; True gives up waiting.
    """

    name = PREDICTIONS_TABLE

    def __init__(self, settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        super().__init__(settings.postgres, PREDICTIONS, should_stop)

    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[PredictionBatch, SinkCounters]:
        """Turn predictions into rows; of a run only the newest of each road and step."""
        batch, counters = PredictionBatch(), SinkCounters()
        for record in records:
            try:
                row = _columns(decode_prediction(record.value or b""))
            except MALFORMED as error:
                where = f"{self.topic} at offset {record.offset}"
                _log.error("%s is no prediction of a road and was left out: %s", where, error)
                counters.unreadable += 1
                continue
            known = batch.get(row[:2])
            if known is None or known[2] < row[2]:
                batch[row[:2]] = row
            if known is not None:
                counters.repeated += 1
        return batch, counters

    async def ensure_partitions(self, connection: Connection, batch: PredictionBatch) -> None:
        """Make sure that the partitions of the days in a batch exist."""
        days = days_of(step_start for _, step_start in batch)
        await self._partitions.ensure(connection, [predictions_partition(day) for day in days])

    async def write(
        self, connection: Connection, batch: PredictionBatch, counters: SinkCounters, isolating: bool
    ) -> None:
        """Insert predictions of new steps, replace those that were made earlier."""

        async def upsert(rows: Sequence[PredictionColumns]) -> None:
            await write_new(connection, _UPSERT, rows, counters)

        counters.unstorable += await write_all(connection, list(batch.values()), upsert, isolating)


def _columns(prediction: RoadPrediction) -> PredictionColumns:
    return (
        storable(prediction.road_id),
        postgres_time(event_time_us(prediction.step_start)),
        postgres_time(event_time_us(prediction.timestamp)),
        uuid.UUID(prediction.event_id),
        prediction.current_speed,
        prediction.predicted_speed_10min,
        prediction.predicted_speed_20min,
        prediction.predicted_speed_30min,
        prediction.prediction_confidence,
        _array(prediction.low_kmh),
        _array(prediction.high_kmh),
        storable(prediction.model_version),
        prediction.source,
        prediction.step_speed_kmh,
    )


def _array(values: Sequence[float | None]) -> str:
    return "{" + ",".join("NULL" if value is None else repr(value) for value in values) + "}"
