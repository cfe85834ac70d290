"""Observations of roads into ``road_observations``, and each road as of its newest one into ``roads``.

The rows are those of any feed. What stands beside them is of roads alone, and so is written here: a road is completed
by what was known of it, since free flow is learnt from measured speeds only; and what a simulated city sent is labelled
in ``simulated_spans``. Both within the transaction of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from models.roads.current import RoadObservation
from trafficapp.roads.feeds import ROADS
from trafficapp.settings import Settings
from trafficapp.stores.feeds.rows_sink import RowBatch, RowsSink
from trafficapp.stores.feeds.table import Row
from trafficapp.stores.postgres.rows import StoredTime, column_arrays, columns_of, storable, write_all
from trafficapp.stores.roads.simulated_feed import label_simulated

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection
    from trafficapp.stores.postgres.sink import SinkCounters


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


class ObservationBatch(RowBatch):
    """Observations of a run, and each road as of its newest one."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, RoadColumns] = {}

    def put(self, key: Row, row: Row, message: RoadObservation) -> None:
        """Take an observation in."""
        super().put(key, row, message)
        road_id, time = key
        before = self.known.get(road_id)
        if before is None or before.last_seen < time:
            free_flow_kmh, is_measured = message.free_flow_speed, message.is_measured
            if before is not None and before.is_measured and not is_measured:
                free_flow_kmh, is_measured = before.free_flow_speed, True
            self.known[road_id] = RoadColumns(
                road_id,
                storable(message.road_name),
                free_flow_kmh,
                _encode(message.coordinates).decode(),
                _encode([(storable(edge), share) for edge, share in message.edges]).decode(),
                storable(message.graph_version),
                time,
                is_measured,
            )


class HistoryRoadsSink(RowsSink):
    """Keeps every observation of a road, and every road as it was last observed; arguments as of `RowsSink`."""

    new_batch = ObservationBatch

    def __init__(self, settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        super().__init__(ROADS, settings, should_stop)

    async def write(self, connection: Connection, batch: RowBatch, counters: SinkCounters, isolating: bool) -> None:
        """Insert observations that are new, replace roads that were observed earlier."""

        async def upsert(rows: Sequence[RoadColumns]) -> None:
            await connection.execute(_UPSERT, *columns_of(rows))

        await super().write(connection, batch, counters, isolating)
        if isinstance(batch, ObservationBatch) and batch.rows:
            await write_all(connection, list(batch.known.values()), upsert, isolating)
            # in the same transaction: nothing is there without its label
            await label_simulated(connection, ((event_id, time) for _, time, event_id, *_ in batch.rows.values()))
