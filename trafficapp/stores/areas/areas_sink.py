"""Readings of area counters into ``area_readings``, and each area as of its newest one into ``traffic_data``.

The readings are rows of any feed. The table of areas is written in the same transaction; its columns are a setting.
While the table lacks what the settings name, the sink waits, as for a schema that is not there yet: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import asyncpg

from models.areas.readings import AreaReading
from trafficapp.areas.feeds import AREAS
from trafficapp.settings import Settings
from trafficapp.stores.areas.area_rows import TABLE, AreaRowMaker, upsert
from trafficapp.stores.feeds.rows_sink import RowBatch, RowsSink
from trafficapp.stores.feeds.table import Row
from trafficapp.stores.postgres.rows import columns_of, write_all

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection
    from trafficapp.stores.postgres.sink import SinkCounters


class NoSuchKey(asyncpg.UndefinedColumnError):
    """The table has no unique key over the columns that name a row; somebody is about to make it."""


class AreaBatch(RowBatch):
    """Readings of a run, and each area as of its newest one.

    Args:
        maker: of rows of areas.
    """

    def __init__(self, maker: AreaRowMaker) -> None:
        super().__init__()
        self.areas: dict[Row, Row] = {}
        self._maker = maker

    def put(self, key: Row, row: Row, message: AreaReading) -> None:
        """Take a reading in."""
        super().put(key, row, message)
        self._see(message)

    def leave(self, message: AreaReading) -> None:
        """A reading that came before is the newest again, unless a newer one is there, wherever runs are cut."""
        self._see(message)

    def _see(self, message: AreaReading) -> None:
        maker = self._maker
        area = maker.row(message)
        name = maker.key(area)
        known = self.areas.get(name)
        if known is None or known[maker.newest_by] <= area[maker.newest_by]:
            self.areas[name] = area


class HistoryAreasSink(RowsSink):
    """Keeps every reading, and every area as it was read last; arguments as of `RowsSink`."""

    def __init__(self, settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        super().__init__(AREAS, settings, should_stop)
        maker = AreaRowMaker(settings.areas, self._decoder.zone)
        self.new_batch = lambda: AreaBatch(maker)
        self._upsert = upsert(settings.areas)
        self._conflict = ", ".join(settings.areas.conflict)

    async def write(self, connection: Connection, batch: RowBatch, counters: SinkCounters, isolating: bool) -> None:
        """Insert readings that are new, replace areas that were read earlier."""

        async def replace(rows: Sequence[Row]) -> None:
            await connection.execute(self._upsert, *columns_of(rows))

        await super().write(connection, batch, counters, isolating)
        if isinstance(batch, AreaBatch):
            try:
                await write_all(connection, list(batch.areas.values()), replace, isolating)
            except asyncpg.InvalidColumnReferenceError:
                raise NoSuchKey(
                    f"{TABLE} has no unique key over {self._conflict}; `trafficapp areas set-key` makes it"
                ) from None
