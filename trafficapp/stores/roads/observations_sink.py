"""Observations of roads into ``road_observations``, and each road as of its newest one into ``roads``.

What a simulated city sent is labelled in ``simulated_spans``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from models.cameras.detections import event_time_us
from models.records import MALFORMED
from models.roads.current import RoadObservation, decode_road_observation
from trafficapp.settings import Settings
from trafficapp.stores.postgres.rows import (
    StoredTime,
    column_arrays,
    columns_of,
    days_of,
    storable,
    write_all,
    write_new,
)
from trafficapp.stores.postgres.sink import HistorySink, SinkCounters, postgres_time
from trafficapp.stores.postgres.time_partitions import OBSERVATIONS_TABLE, observations_partition
from trafficapp.stores.roads.simulated_feed import label_simulated
from trafficapp.topics import road_observations

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection

_log = logging.getLogger(__name__)

#: The columns of `_OBSERVED`.
ObservationColumns: TypeAlias = tuple[str, StoredTime, str, float, float, float, str, float, bool, bool, float | None]


class RoadColumns(NamedTuple):
    """The columns of `_SENT`."""

    road_id: str
    road_name: str
    free_flow_speed: float
    coordinates: str
    edges: str
    graph_version: str
    last_seen: StoredTime
    is_measured: bool


_OBSERVED = {
    "road_id": "text",
    "observed_at": "timestamptz",
    "event_id": "text",
    "current_speed": "double precision",
    "free_flow_speed": "double precision",
    "jam_factor": "double precision",
    "congestion_level": "text",
    "speed_ratio": "double precision",
    "rush_hour": "boolean",
    "closed": "boolean",
    "confidence": "double precision",
}
_KNOWN = {
    "road_id": "text",
    "road_name": "text",
    "free_flow_speed": "double precision",
    "coordinates": "text",
    "edges": "text",
    "graph_version": "text",
    "last_seen": "timestamptz",
}
_SENT = {**_KNOWN, "is_measured": "boolean"}

_INSERT = f"""
    INSERT INTO road_observations ({", ".join(_OBSERVED)})
    SELECT * FROM unnest({column_arrays(_OBSERVED)}) AS sent ({", ".join(_OBSERVED)}) ORDER BY road_id, observed_at
    ON CONFLICT (road_id, observed_at) DO NOTHING
"""  # noqa: S608 - put together from the constants above
_VALUES = [name for name in _KNOWN if name != "road_id"]
# Free flow is learnt from measured speeds only; a road without any has what is told.
_UPSERT = f"""
    INSERT INTO roads ({", ".join(_KNOWN)})
    SELECT road_id, sent.road_name,
           CASE WHEN is_measured OR known.last_seen IS NULL THEN sent.free_flow_speed ELSE known.free_flow_speed END,
           sent.coordinates::jsonb, sent.edges::jsonb, sent.graph_version, sent.last_seen
    FROM unnest({column_arrays(_SENT)}) AS sent ({", ".join(_SENT)}) LEFT JOIN roads AS known USING (road_id)
    ORDER BY road_id
    ON CONFLICT (road_id) DO UPDATE SET ({", ".join(_VALUES)}) = ROW (EXCLUDED.{", EXCLUDED.".join(_VALUES)})
    WHERE roads.last_seen < EXCLUDED.last_seen
"""  # noqa: S608 - put together from the constants above

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class ObservationBatch:
    """What a run of observations comes to.

    Attributes:
        observed: every observation, by road and time.
        known: each road as of its newest observation.
    """

    observed: dict[tuple[str, StoredTime], ObservationColumns] = field(default_factory=dict)
    known: dict[str, RoadColumns] = field(default_factory=dict)


class HistoryRoadsSink(HistorySink[ObservationBatch]):
    """Keeps every observation of a road, and every road as it was last observed.

    Args:
        settings: of the process.
        should_stop: asked while Postgres is away; True gives up waiting.
    """

    name = OBSERVATIONS_TABLE

    def __init__(self, settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        super().__init__(settings.postgres, road_observations(settings), should_stop)

    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[ObservationBatch, SinkCounters]:
        """Turn observations into rows."""
        batch, counters = ObservationBatch(), SinkCounters()
        for record in records:
            try:
                observation = decode_road_observation(record.value or b"")
                time = postgres_time(event_time_us(observation.timestamp))
            except MALFORMED as error:
                where = f"{self.topic} at offset {record.offset}"
                _log.error("%s is no observation of a road and was left out: %s", where, error)
                counters.unreadable += 1
                continue
            _add(batch, counters, observation, time)
        return batch, counters

    async def ensure_partitions(self, connection: Connection, batch: ObservationBatch) -> None:
        """Make sure that the partitions of the days in a batch exist."""
        days = days_of(time for _, time in batch.observed)
        await self._partitions.ensure(connection, [observations_partition(day) for day in days])

    async def write(
        self, connection: Connection, batch: ObservationBatch, counters: SinkCounters, isolating: bool
    ) -> None:
        """Insert observations that are new, replace roads that were observed earlier."""

        async def insert(rows: Sequence[ObservationColumns]) -> None:
            await write_new(connection, _INSERT, rows, counters)

        async def upsert(rows: Sequence[RoadColumns]) -> None:
            await connection.execute(_UPSERT, *columns_of(rows))

        observed, known = list(batch.observed.values()), list(batch.known.values())
        if not observed:
            return
        counters.unstorable += await write_all(connection, observed, insert, isolating)
        await write_all(connection, known, upsert, isolating)
        # in the same transaction: nothing is there without its label
        await label_simulated(connection, ((event_id, time) for _, time, event_id, *_ in observed))


def _add(batch: ObservationBatch, counters: SinkCounters, observation: RoadObservation, time: StoredTime) -> None:
    road_id = storable(observation.road_id)
    if (road_id, time) in batch.observed:
        counters.repeated += 1
        return
    batch.observed[road_id, time] = (
        road_id,
        time,
        storable(observation.event_id),
        observation.current_speed,
        observation.free_flow_speed,
        observation.jam_factor,
        observation.congestion_level,
        observation.speed_ratio,
        observation.rush_hour,
        observation.closed,
        observation.confidence,
    )
    before = batch.known.get(road_id)
    if before is None or before.last_seen < time:
        free_flow_kmh, is_measured = observation.free_flow_speed, observation.is_measured
        if before is not None and before.is_measured and not is_measured:
            free_flow_kmh, is_measured = before.free_flow_speed, True
        batch.known[road_id] = RoadColumns(
            road_id,
            storable(observation.road_name),
            free_flow_kmh,
            _encode(observation.coordinates).decode(),
            _encode([(storable(edge), share) for edge, share in observation.edges]).decode(),
            storable(observation.graph_version),
            time,
            is_measured,
        )
