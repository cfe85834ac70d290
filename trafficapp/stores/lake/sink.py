"""Runs of records into files of the lake, each record in one file, whatever crashes, freezes or fills up.

A storage has no transactions, so here is why nothing is lost and nothing comes twice (docs/decisions/0020):

1. What was gathered of a partition is written into files that no reader sees.
2. One Kafka transaction commits the offset behind it, and a row of the changelog that names these files. A process that
   was frozen while another took over is shut out by the broker, so its files are never named.
3. Named files get the name under which readers see them. Whoever takes over does what is left of that before anything
   else; done twice, it changes nothing.

Only the newest row of a partition can have files that are not published, since the next flush comes after.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeVar

import msgspec
import pyarrow as pa
from aiokafka import ConsumerRecord
from msgspec import Struct

from trafficapp.engine.kafka import partitions_of
from trafficapp.engine.state_rows import UNTOLD, SourceLog
from trafficapp.engine.transactions import Outgoing, TransactionalSink
from trafficapp.settings import Settings
from trafficapp.stores.lake.compaction import small_neighbours
from trafficapp.stores.lake.pieces import Piece
from trafficapp.stores.lake.storage import Storage
from trafficapp.stores.lake.tables import LakeTable
from trafficapp.stores.outage import Abandoned, Outage, retrying
from trafficapp.topics import lake_changelog

_Result = TypeVar("_Result")


class _Written(Struct, frozen=True, array_like=True):
    """The files of a flush, or that of a compaction.

    Attributes:
        first, last: offsets of the span.
        files: what they are called, and the day each is of.
        next_offset: behind all that was flushed; the broker forgets its own after a week without any.
        replaced: spans of files of that day that are in it.
    """

    log: str
    first: int
    last: int
    files: list[tuple[str, date]]
    next_offset: int
    replaced: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class _Gathered:
    """What came of a partition and is in no file yet.

    Attributes:
        since: when the first of it came, by a clock that only goes on.
    """

    records: list[ConsumerRecord] = field(default_factory=list)
    bytes: int = 0
    since: float = 0.0
    still_owned: Callable[[], bool] = lambda: False
    flushing: asyncio.Lock = field(default_factory=asyncio.Lock)


class LakeSink(TransactionalSink):
    """A `trafficapp.engine.sink.RunSink` that keeps the records of a topic in files.

    Unlike others it returns from `apply` when records are gathered; where it goes on is told by `load` alone.

    Args:
        table: what their rows are.
        settings: of the process; ``lake.url`` must be there.
        on_written: is told how many records were written.

    Attributes:
        storage: where the files go.
        changelog: the topic that names them.
    """

    takes_unreadable = False

    def __init__(
        self,
        table: LakeTable,
        settings: Settings,
        on_written: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__(settings, table.topic, f"{settings.app_id}-{table.name}-lake")
        if settings.lake.url is None:
            raise ValueError("lake.url says no place")
        self.changelog = lake_changelog(settings, table.name)
        self._table, self._limits = table, settings.lake
        self.storage = Storage(settings.lake.url)
        self._on_written = on_written
        self._gathered: dict[int, _Gathered] = {}
        self._written: dict[int, _Written] = {}
        self._committed: set[int] = set()
        self._full = Outage(self.storage.name)

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Take over partitions: files that are named, but not seen yet, are published first."""
        starts = await super().load(partitions, log)
        rows = await self.remembered(self.changelog, partitions)
        for number in partitions:
            row = rows[number].get(_key(number))
            if row is not None:
                written = msgspec.json.decode(row, type=_Written)
                await self._publish(number, written, lambda: True)
                if written.log == self._owned[number].log_id and written.next_offset > starts[number]:
                    starts[number] = self._owned[number].next_offset = written.next_offset
            self._gathered[number] = _Gathered()
        return starts

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Gather records, and write them where there are enough."""
        gathered = self._gathered[partition]
        if not gathered.records:
            gathered.since = time.monotonic()
        gathered.records += records
        gathered.bytes += _bytes_of(records)
        gathered.still_owned = still_owned
        if len(gathered.records) >= self._limits.piece_records or gathered.bytes >= self._limits.piece_bytes:
            await self._flush(partition, gathered)

    async def write_old(self) -> None:
        """Write what was gathered a while ago."""
        due = time.monotonic() - self._limits.piece_seconds
        old = [(number, one) for number, one in self._gathered.items() if one.records and one.since <= due]
        # each transaction is followed by a pause, as long as there are partitions: one after the other takes minutes
        await asyncio.gather(*(self._flush(number, gathered) for number, gathered in old))

    async def named(self) -> set[str]:
        """The files of all partitions, ours or not, that are named and perhaps not published yet."""
        rows = await self.remembered(self.changelog, await partitions_of(self._settings, self.changelog))
        written = (msgspec.json.decode(row, type=_Written) for known in rows.values() for row in known.values())
        return {path for one in written for path, _ in one.files}

    async def compact(self) -> int:
        """Make one file of many small ones that follow each other; returns how many it made."""
        count = 0
        for number, gathered in list(self._gathered.items()):
            groups = await self._retrying(lambda: small_neighbours(self.storage, self.topic), lambda: True) or []
            for group in groups:
                log = self._owned[number].log_id if number in self._owned else None
                if (group[0].log, group[0].partition) == (log, number):
                    count += await self._merge(number, gathered, group)
        return count

    async def _merge(self, partition: int, gathered: _Gathered, pieces: Sequence[Piece]) -> int:
        """Write a file with what is in others, name it as those of a flush, and let it take their place."""

        def is_ours() -> bool:
            return self._gathered.get(partition) is gathered

        async with gathered.flushing:
            if not is_ours():
                return 0

            def write() -> _Written:
                # files of before a column was added are without it
                table = pa.concat_tables([self.storage.read(piece) for piece in pieces], promote_options="default")
                path = self.storage.write(table.sort_by("kafka_offset"))
                first, last = pieces[0].first, pieces[-1].last
                spans = tuple((piece.first, piece.last) for piece in pieces)
                next_offset = self._owned[partition].next_offset
                return _Written(pieces[0].log, first, last, [(path, pieces[0].day)], next_offset, spans)

            written = await self._retrying(write, is_ours)
            if written is None:
                return 0
            row = Outgoing(self.changelog, _key(partition), msgspec.json.encode(written), partition)
            if not await self.send_apart(partition, [row]):
                return 0
            await self._publish(partition, written, is_ours)
            return 1

    def release(self, partitions: Collection[int]) -> None:
        """Forget partitions, and what was gathered of them: the next owner reads it again."""
        super().release(partitions)
        for number in partitions:
            self._gathered.pop(number, None)

    def is_waiting(self) -> bool:
        """Whether the broker or the storage is away, or full."""
        return super().is_waiting() or self._full.lasting

    def outcome(self, partition: int, records: Sequence[ConsumerRecord]) -> Iterator[Outgoing]:
        """The row that names the files."""
        yield Outgoing(self.changelog, _key(partition), msgspec.json.encode(self._written[partition]), partition)

    def sent(self, partition: int) -> None:
        """The files are named."""
        self._committed.add(partition)

    async def _flush(self, partition: int, gathered: _Gathered) -> None:
        """Write all that is gathered of a partition, unless it is given up meanwhile."""
        async with gathered.flushing:
            while gathered.records and self._gathered.get(partition) is gathered:
                records = list(gathered.records)  # more may come meanwhile
                written, count = await self._write(partition, records, gathered.still_owned)
                if written is None:
                    return
                self._written[partition] = written
                self._committed.discard(partition)
                await super().apply(partition, records[:count], gathered.still_owned)
                if partition not in self._committed:
                    return
                await self._publish(partition, written, gathered.still_owned)
                self._on_written(count)
                gathered.records = gathered.records[count:]
                gathered.bytes = _bytes_of(gathered.records)
                gathered.since = time.monotonic()

    async def _write(
        self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]
    ) -> tuple[_Written | None, int]:
        """Write files of the first records; waits while there is no room."""

        def write() -> tuple[_Written, int]:
            tables, count = self._table.tables(records, partition)
            files: list[tuple[str, date]] = []
            try:
                for day, table in tables.items():
                    files.append((self.storage.write(table), day))
            except OSError:
                self.storage.forget(path for path, _ in files)
                raise
            log = self._owned[partition].log_id
            first, last = records[0].offset, records[count - 1].offset
            return _Written(log, first, last, files, last + 1), count

        return await self._retrying(write, still_owned) or (None, 0)

    async def _publish(self, partition: int, written: _Written, still_owned: Callable[[], bool]) -> None:
        def publish() -> bool:
            for path, day in written.files:
                piece = Piece(self.topic, day, written.log, partition, written.first, written.last)
                self.storage.publish(path, piece)
                for first, last in written.replaced:
                    self.storage.delete(replace(piece, first=first, last=last))
            return True

        await self._retrying(publish, still_owned)

    async def _retrying(self, act: Callable[[], _Result], still_owned: Callable[[], bool]) -> _Result | None:
        """Do something until the storage lets us; None when the partition went meanwhile."""
        try:
            return await retrying(
                lambda: asyncio.to_thread(act), self._full, still_owned, lambda error: isinstance(error, OSError)
            )
        except Abandoned:
            return None


def _bytes_of(records: Sequence[ConsumerRecord]) -> int:
    return sum(len(record.value or b"") + len(record.key or b"") for record in records)


def _key(partition: int) -> bytes:
    return str(partition).encode()
