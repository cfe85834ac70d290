"""Messages of a feed into its table: each once, or of each key the newest, as the feed's `History` says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import Settings
from trafficapp.stores.feeds.message_rows import MessageRows
from trafficapp.stores.feeds.table import Row, make_sent_table, partition_of, sent_table, statement
from trafficapp.stores.postgres.rows import count_new, days_of, write_new
from trafficapp.stores.postgres.sink import HistorySink, SinkCounters, write_what_fits
from trafficapp.stores.postgres.time_partitions import TimePartition, month_partition

if TYPE_CHECKING:
    from datetime import datetime

    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection


class RowBatch:
    """What a run comes to: rows, by their keys."""

    def __init__(self) -> None:
        self.rows: dict[Row, Row] = {}

    def put(self, key: Row, row: Row, message: Any) -> None:
        """Take a row in, in place of an earlier one of the same key."""
        self.rows[key] = row

    def leave(self, row: Row, message: Any) -> None:
        """A message comes to a row whose key another one has, which stays."""


class RowsSink(HistorySink[RowBatch]):
    """Keeps the history of a feed.

    Args:
        feed: with a history.
        settings: of the process.
        should_stop: asked while Postgres is away; True gives up waiting.
    """

    #: What a run is gathered in.
    new_batch: Callable[[], RowBatch] = RowBatch

    #: Runs that wait are written in one transaction.
    takes_runs_together = True

    def __init__(self, feed: Feed[Any], settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        super().__init__(settings.postgres, feed.kept_topic_in(settings), should_stop)
        self._rows = MessageRows(feed, settings)
        self._feed, self._history, self._maker = feed, self._rows.history, self._rows.maker
        self.name = self._history.table
        self._statement = statement(self._history)
        self._copied = statement(self._history, copied=True)

    def read_by(self, decoder: FeedDecoder[Any]) -> None:
        """Read messages by a decoder that another sink asks, too, and that decides alike."""
        self._rows.decoder = decoder

    def needed(self) -> Collection[str] | None:
        """The fields of a message of ours that become columns; None where batches look at messages."""
        return self._maker.sources if self.new_batch is RowBatch else None

    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[RowBatch, SinkCounters]:
        """Turn messages into rows."""
        batch, counters, newest_by = self.new_batch(), SinkCounters(), self._maker.newest_by
        rows, key_of, put = batch.rows, self._maker.key, batch.put
        for _, (accepted, row) in self._rows.records.of(records, counters):
            key = key_of(row)
            known = rows.get(key)
            if known is not None:
                counters.repeated += 1
            if known is None or (newest_by is not None and known[newest_by] <= row[newest_by]):
                put(key, row, accepted.message)
            else:
                batch.leave(row, accepted.message)
        return batch, counters

    async def ensure_partitions(self, connection: Connection, batch: RowBatch) -> None:
        """Make sure that the partitions of the days in a batch exist."""
        place = self._maker.cut_by
        if place is not None:
            days = days_of(row[place] for row in batch.rows.values())
            try:
                await self._partitions.ensure(connection, [self._partition(day) for day in days])
            except asyncpg.InvalidObjectDefinitionError:
                # it overlaps one that was made before the feed had a guard, or none any more
                for day in days:
                    await self._ensure_beside_others(connection, day)

    def _partition(self, day: datetime) -> TimePartition:
        """Where no guard refuses times, one producer could claim each day of the century: there are fewer months."""
        if self._rows.decoder.future_us is None and not self._feed.has_our_clock:
            return month_partition(self._history.table, day)
        return partition_of(self._history, day)

    async def _ensure_beside_others(self, connection: Connection, day: datetime) -> None:
        """In a month that has partitions of days the others are of days, too; one of the month takes all of them."""
        for partition in (self._partition(day), partition_of(self._history, day)):
            with suppress(asyncpg.InvalidObjectDefinitionError):
                await self._partitions.ensure(connection, [partition])
                return

    async def prepare_connection(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Prepare a new connection of the pool, with the table that rows are copied to."""
        await super().prepare_connection(connection)
        await connection.execute(make_sent_table(self._history))

    async def write(self, connection: Connection, batch: RowBatch, counters: SinkCounters, isolating: bool) -> None:
        """Write the rows that are new."""
        rows = list(batch.rows.values())
        if not rows:
            return
        if not isolating:
            # once in a transaction, whose end empties the table
            table, columns = sent_table(self._history), list(self._history.columns)
            await connection.copy_records_to_table(table, records=rows, columns=columns)
            count_new(await connection.execute(self._copied), len(rows), counters)
            return

        async def write(some: Sequence[Row]) -> None:
            await write_new(connection, self._statement, some, counters)

        counters.unstorable += await write_what_fits(connection, rows, write)
