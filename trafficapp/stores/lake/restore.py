"""Postgres filled from the lake, by the sinks that fill it from Kafka."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from heapq import heappop, heappush
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

import pyarrow as pa

from models.records import PlainRecord
from trafficapp.engine.state_rows import SourceLog
from trafficapp.stores.cameras.event_rows import COLUMNS, EventBatch, EventRow
from trafficapp.stores.cameras.events_sink import HistoryEventsSink
from trafficapp.stores.lake.pieces import Piece
from trafficapp.stores.lake.storage import Storage
from trafficapp.stores.postgres.sink import HistorySink, SinkCounters, postgres_time

#: Records that are written in one transaction.
_RUN_RECORDS = 5_000

#: Rows that become records at once.
_READ_ROWS = 1_000


class StoredRows(NamedTuple):
    """The rows of a record that is not kept itself."""

    offset: int
    rows: list[EventRow]


class RestoredEventsSink(HistoryEventsSink):
    """Writes detections that are rows already; arguments as of `HistoryEventsSink`."""

    def decode(self, records: Sequence[Any]) -> tuple[EventBatch, SinkCounters]:
        """All rows."""
        rows: list[EventRow] = [row for record in records for row in record.rows]
        return EventBatch(len(rows), None, lambda: rows), SinkCounters()


async def restore(
    storage: Storage,
    sink: HistorySink[Any],
    on_written: Callable[[int], None] = lambda _: None,
    since: date = date.min,
) -> int:
    """Write the rows of a topic; how far it came stands in Postgres, so done again it goes on.

    Workers of the role ``history`` read on behind what was restored, as long as the topic is the same.

    Args:
        storage: the lake.
        sink: of the topic; nobody else may write for it.
        on_written: is told how many records were written.
        since: what happened before that day, in UTC, is left out.

    Returns:
        how many records were written.

    Raises:
        OtherLog: what stands in Postgres is of another topic of that name.
        OSError: the lake cannot be read.
    """
    count = 0
    by_log: dict[tuple[str, int], list[Piece]] = defaultdict(list)
    for piece in await asyncio.to_thread(lambda: list(storage.pieces(sink.topic))):
        if piece.day >= since:
            by_log[piece.log, piece.partition].append(piece)
    for (log, partition), pieces in by_log.items():
        starts = await sink.load([partition], SourceLog(log))
        records = in_order(storage, pieces, starts[partition])
        while run := await asyncio.to_thread(_some, records):
            await sink.apply(partition, run, lambda: True)
            count += len(run)
            on_written(len(run))
    return count


def in_order(storage: Storage, pieces: Iterable[Piece], start: int) -> Iterator[PlainRecord | StoredRows]:
    """The records of a partition from an offset on, by their offsets, reading no file before it is due.

    Where the records are not kept themselves, their rows.
    """
    waiting = sorted((piece for piece in pieces if piece.last >= start), key=lambda piece: piece.first, reverse=True)
    opened: list[_Opened] = []
    while waiting or opened:
        while waiting and (not opened or waiting[-1].first <= opened[0].record.offset):
            _push(opened, _of_table(storage.read(waiting.pop())))
        if opened:
            one = heappop(opened)
            if one.record.offset >= start:
                yield one.record
            _push(opened, one.rest)


@dataclass(slots=True)
class _Opened:
    """A file that is read: its next record, and those after it."""

    record: PlainRecord | StoredRows
    rest: Iterator[PlainRecord | StoredRows]

    def __lt__(self, other: _Opened) -> bool:
        return self.record.offset < other.record.offset


def _push(opened: list[_Opened], records: Iterator[PlainRecord | StoredRows]) -> None:
    record = next(records, None)
    if record is not None:
        heappush(opened, _Opened(record, records))


def _some(records: Iterator[PlainRecord | StoredRows]) -> list[Any]:
    return list(islice(records, _RUN_RECORDS))


def _of_table(table: pa.Table) -> Iterator[PlainRecord | StoredRows]:
    return _records_of(table) if "kafka_value" in table.column_names else _rows_of(table)


def _rows_of(table: pa.Table) -> Iterator[StoredRows]:
    """Rows of detections, by their records."""
    names, times = [*COLUMNS, "kafka_offset"], list(COLUMNS).index("ts")
    for offset, together in groupby(_values_of(table.select(names)), itemgetter(-1)):
        rows = [(*row[:times], postgres_time(row[times]), *row[times + 1 : -1]) for row in together]
        yield StoredRows(offset, rows)


def _values_of(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Rows one by one; times are microseconds since the epoch."""
    for batch in table.to_batches(_READ_ROWS):
        columns = (
            column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in batch.columns
        )
        yield from zip(*(column.to_pylist() for column in columns), strict=True)


def _records_of(table: pa.Table) -> Iterator[PlainRecord]:
    names = [f"kafka_{name}" for name in ("offset", "time", "key", "value")]
    for offset, time_us, key, value in _values_of(table.select(names)):
        yield PlainRecord(offset, time_us // 1000, 1, key, value)
