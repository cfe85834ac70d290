"""Readings of area counters into ``area_readings``, and each area as of its newest one into ``traffic_data``.

The readings are rows of any feed. The table of areas is written in the same transaction; its columns are a setting.
While the table lacks what the settings name, the sink waits, as for a schema that is not there yet: nothing is lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import asyncpg

from models.areas.readings import AreaReading
from models.records import MALFORMED
from trafficapp.areas.feeds import AREAS
from trafficapp.areas.reading import value_of
from trafficapp.settings import Settings
from trafficapp.stores.areas.area_rows import TABLE, AreaRowMaker, upsert
from trafficapp.stores.feeds.rows_sink import RowBatch, RowsSink
from trafficapp.stores.feeds.table import Row
from trafficapp.stores.postgres.rows import StoredTime, columns_of, write_all

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection
    from trafficapp.stores.postgres.sink import SinkCounters


_log = logging.getLogger(__name__)

_READ_AT = list(AREAS.history.columns).index("read_at") if AREAS.history is not None else 0


class NoSuchKey(asyncpg.UndefinedColumnError):
    """The table has no unique key over the columns that name a row; somebody is about to make it."""


class AreaBatch(RowBatch):
    """Readings of a run, and each area as of its newest one.

    Attributes:
        newest: the newest reading of each area, with its time, by the values that name a row.
        areas: rows of them, once the run is read.

    Args:
        conflict: columns that name a row.
    """

    def __init__(self, conflict: Sequence[str]) -> None:
        super().__init__()
        self.newest: dict[Row, tuple[StoredTime, AreaReading]] = {}
        self.areas: list[Row] = []
        self._conflict = conflict

    def put(self, key: Row, row: Row, message: AreaReading) -> None:
        """Take a reading in."""
        super().put(key, row, message)
        self.leave(row, message)

    def leave(self, row: Row, message: AreaReading) -> None:
        """A reading that came before is the newest again, unless a newer one is there, wherever runs are cut."""
        name = tuple([value_of(message, column) for column in self._conflict])
        known, time = self.newest.get(name), row[_READ_AT]
        if known is None or known[0] <= time:
            self.newest[name] = (time, message)


class HistoryAreasSink(RowsSink):
    """Keeps every reading, and every area as it was read last; arguments as of `RowsSink`."""

    def __init__(self, settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        super().__init__(AREAS, settings, should_stop)
        conflict = settings.areas.conflict
        self.new_batch = lambda: AreaBatch(conflict)
        self._area_row = AreaRowMaker(settings.areas, self._rows.decoder.zone).row
        self._upsert = upsert(settings.areas)
        self._conflict = ", ".join(conflict)

    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[RowBatch, SinkCounters]:
        """Turn readings into rows, and the newest of each area into its row."""
        batch, counters = super().decode(records)
        if isinstance(batch, AreaBatch):
            for _, message in batch.newest.values():
                try:
                    batch.areas.append(self._area_row(message))
                except MALFORMED as error:
                    # it was read when the columns were others
                    _log.error("the row of the area %s cannot hold what is known of it: %s", message.stream_id, error)
                    counters.unstorable += 1
        return batch, counters

    async def write(self, connection: Connection, batch: RowBatch, counters: SinkCounters, isolating: bool) -> None:
        """Insert readings that are new, replace areas that were read earlier."""

        async def replace(rows: Sequence[Row]) -> None:
            await connection.execute(self._upsert, *columns_of(rows))

        await super().write(connection, batch, counters, isolating)
        if isinstance(batch, AreaBatch):
            try:
                await write_all(connection, batch.areas, replace, isolating)
            except asyncpg.InvalidColumnReferenceError:
                raise NoSuchKey(
                    f"{TABLE} has no unique key over {self._conflict}; `trafficapp areas set-key` makes it"
                ) from None
