"""Postgres filled from the lake, by the sinks that fill it from Kafka."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice

import pyarrow as pa

from models.records import PlainRecord
from trafficapp.engine.state_rows import SourceLog
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.lake.pieces import Piece
from trafficapp.stores.lake.storage import Storage

#: Records that are written in one transaction.
_RUN_RECORDS = 5_000

#: Rows that become records at once.
_READ_ROWS = 1_000


async def restore(storage: Storage, sink: RowsSink, on_written: Callable[[int], None] = lambda _: None) -> int:
    """Write the rows of a feed; how far it came stands in Postgres, so done again it goes on.

    Workers of the role ``history`` read on behind what was restored, as long as the topic is the same.

    Args:
        storage: the lake.
        sink: of the feed; nobody else may write for it.
        on_written: is told how many records were written.

    Returns:
        how many records were written.

    Raises:
        OtherLog: what stands in Postgres is of another topic of that name.
        OSError: the lake cannot be read.
    """
    count = 0
    by_log: dict[tuple[str, int], list[Piece]] = defaultdict(list)
    for piece in await asyncio.to_thread(lambda: list(storage.pieces(sink.topic))):
        by_log[piece.log, piece.partition].append(piece)
    for (log, partition), pieces in by_log.items():
        starts = await sink.load([partition], SourceLog(log))
        records = in_order(storage, pieces, starts[partition])
        while run := await asyncio.to_thread(_some, records):
            await sink.apply(partition, run, lambda: True)
            count += len(run)
            on_written(len(run))
    return count


def in_order(storage: Storage, pieces: Iterable[Piece], start: int) -> Iterator[PlainRecord]:
    """The records of a partition from an offset on, by their offsets, reading no file before it is due."""
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

    record: PlainRecord
    rest: Iterator[PlainRecord]

    def __lt__(self, other: _Opened) -> bool:
        return self.record.offset < other.record.offset


def _push(opened: list[_Opened], records: Iterator[PlainRecord]) -> None:
    record = next(records, None)
    if record is not None:
        heappush(opened, _Opened(record, records))


def _some(records: Iterator[PlainRecord]) -> list[PlainRecord]:
    return list(islice(records, _RUN_RECORDS))


def _of_table(table: pa.Table) -> Iterator[PlainRecord]:
    for batch in table.select([f"kafka_{name}" for name in ("offset", "time", "key", "value")]).to_batches(_READ_ROWS):
        offsets, times, keys, values = batch.columns
        times_ms = [time_us // 1000 for time_us in times.cast(pa.int64()).to_pylist()]
        for told in zip(offsets.to_pylist(), times_ms, keys.to_pylist(), values.to_pylist(), strict=True):
            offset, time_ms, key, value = told
            yield PlainRecord(offset, time_ms, 1, key, value)
