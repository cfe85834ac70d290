"""Raw detections into ``traffic_events``, by COPY in its binary format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trafficapp.settings import Settings
from trafficapp.stores.cameras.event_rows import COLUMNS, EventBatch, EventRow, EventRows
from trafficapp.stores.postgres import binary_copy
from trafficapp.stores.postgres.sink import HistorySink, SinkCounters, write_what_fits
from trafficapp.stores.postgres.time_partitions import EVENTS_TABLE
from trafficapp.topics import EVENTS_RAW
from trafficapp.windows.rules import acceptance_of

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection


class HistoryEventsSink(HistorySink[EventBatch]):
    """Keeps every accepted detection.

    Args:
        settings: of the process.
        topic: where the detections are read.
        should_stop: asked while Postgres is away; True gives up waiting.
    """

    name = EVENTS_TABLE

    def __init__(
        self, settings: Settings, topic: str = EVENTS_RAW, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__(settings.postgres, topic, should_stop)
        self._rows = EventRows(acceptance_of(settings))

    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[EventBatch, SinkCounters]:
        """Turn records into rows."""
        batch, rejected = self._rows.batch(records)
        return batch, SinkCounters(unreadable=rejected)

    async def ensure_partitions(self, connection: Connection, batch: EventBatch) -> None:
        """Make sure that the partitions of this hour and the next exist."""
        await self._partitions.ensure_ahead(connection)

    async def write(self, connection: Connection, batch: EventBatch, counters: SinkCounters, isolating: bool) -> None:
        """COPY the rows."""

        async def copy(rows: Sequence[EventRow]) -> None:
            await connection.copy_records_to_table(EVENTS_TABLE, records=rows, columns=list(COLUMNS))

        if isolating:
            counters.unstorable = await write_what_fits(connection, batch.tuples(), copy)
        elif batch.copied is None:
            await copy(batch.tuples())
        elif batch.count:
            await binary_copy.copy(connection, EVENTS_TABLE, COLUMNS, batch.copied)
        counters.rows = batch.count - counters.unstorable
