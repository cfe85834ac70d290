"""Messages of a feed into its table: each once, or of each key the newest, as the feed's `History` says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from models.cameras.detections import Rejected
from models.records import MALFORMED
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import Settings
from trafficapp.stores.feeds.table import Row, RowMaker, partition_of, statement
from trafficapp.stores.postgres.rows import days_of, write_all, write_new
from trafficapp.stores.postgres.sink import HistorySink, SinkCounters
from trafficapp.stores.postgres.time_partitions import TimePartition, month_partition

if TYPE_CHECKING:
    from datetime import datetime

    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection

_log = logging.getLogger(__name__)


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

    def __init__(self, feed: Feed[Any], settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        if feed.history is None:
            raise ValueError(f"the feed {feed.name} has no history")
        super().__init__(settings.postgres, feed.kept_topic_in(settings), should_stop)
        self.name = feed.history.table
        self._feed, self._history = feed, feed.history
        self._decoder = FeedDecoder(feed, settings)
        self._maker = RowMaker(feed, self._history, self._decoder.zone)
        self._statement = statement(self._history)

    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[RowBatch, SinkCounters]:
        """Turn messages into rows."""
        batch, counters, maker = self.new_batch(), SinkCounters(), self._maker
        for record in records:
            try:
                accepted = self._decoder.check(record.key, record.value, record.timestamp * 1000)
                row = accepted.row or maker.row(accepted.message, record.timestamp * 1000, accepted.time_us)
            except (Rejected, *MALFORMED) as error:
                # what others send is refused elsewhere, with a letter
                level = logging.ERROR if self._feed.is_ours else logging.DEBUG
                place = (self.topic, record.offset, self._feed.name)
                _log.log(level, "%s at offset %d is none of %s and was left out: %s", *place, error)
                counters.unreadable += 1
                continue
            key = maker.key(row)
            known = batch.rows.get(key)
            counters.repeated += known is not None
            if known is None or (maker.newest_by is not None and known[maker.newest_by] <= row[maker.newest_by]):
                batch.put(key, row, accepted.message)
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
        if self._decoder.future_us is None and not self._feed.has_our_clock:
            return month_partition(self._history.table, day)
        return partition_of(self._history, day)

    async def _ensure_beside_others(self, connection: Connection, day: datetime) -> None:
        """In a month that has partitions of days the others are of days, too; one of the month takes all of them."""
        for partition in (self._partition(day), partition_of(self._history, day)):
            with suppress(asyncpg.InvalidObjectDefinitionError):
                await self._partitions.ensure(connection, [partition])
                return

    async def write(self, connection: Connection, batch: RowBatch, counters: SinkCounters, isolating: bool) -> None:
        """Write the rows that are new."""

        async def write(rows: Sequence[Row]) -> None:
            await write_new(connection, self._statement, rows, counters)

        counters.unstorable += await write_all(connection, list(batch.rows.values()), write, isolating)
