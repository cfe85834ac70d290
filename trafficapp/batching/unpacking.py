"""The batches that a fetch returned for a partition, unpacked as they are asked for, and bounded while they are.

aiokafka unpacks a batch record by record through a generator and copies each into a dataclass, which costs about as
much as counting the record does. The records that its C extension makes have all that is needed, so for topics that are
read in runs a batch goes into a list in one step. All consumers of the process unpack by the same rules:

* A batch that the extension cannot unpack is taken apart by hand (`trafficapp.batching.record_batches`).
* One that unpacks to more than `UNPACKED_BYTES`, or cannot be decompressed, is delivered as one unreadable record.
* Records of aborted transactions are left out, where the consumer reads only what is committed.
* Bytes that do not fit their checksum raise `DamagedLog`.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple, NoReturn

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from models.records import PlainRecord, unreadable, why_unreadable
from trafficapp.batching.codecs import CODEC_MASK, PIECE_BYTES, UNPACKED_BYTES, Undecompressable, decompress
from trafficapp.batching.record_batches import (
    ATTRIBUTES_AT,
    CONTROL,
    HEADER_BYTES,
    LENGTH_AT,
    MAGIC_AT,
    TRANSACTIONAL,
    UNCOUNTED_BYTES,
    BatchHeader,
    fits_checksum,
    header_of,
    records_of,
    unreadable_batch,
)
from trafficapp.batching.runs import Run

#: A run holds values of so many bytes at most, or one record.
RUN_BYTES = 1 << 20

#: So much counts for a record beside what it holds: there may be very many small ones.
_RECORD_BYTES = 8

#: What one call unpacks of a partition; the rest stays as it is until the next call.
_CALL_BYTES = 4 << 20

#: Of larger batches only the first and the last offset are looked at: a look at each costs a sixth of unpacking it. No
#: client numbers the records of a batch wrongly; who makes one by hand, which the broker takes, makes a small one.
_FEW_RECORDS = 16

#: The library copies a record all at once, which nothing else runs beside. It is left to copy those of large batches
#: only if they are so many that they must be small; else taking them apart by hand takes 60 ms at most.
_FEW_LARGE_RECORDS = 10_000

#: Batches that need more than to be put into a list.
_NOT_PLAIN = CODEC_MASK | TRANSACTIONAL | CONTROL

_length_at = struct.Struct(">i").unpack_from
_attributes = struct.Struct(">h")
_offset_of = attrgetter("offset")


class DamagedLog(Exception):
    """Bytes of a batch do not fit its checksum: a disk or a network has changed them."""


class FetchedBytes:
    """What a fetch returned for a partition: its batches and their bytes; in place of aiokafka's `MemoryRecords`."""

    __slots__ = ("batches", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.batches = MemoryRecords(data)

    def has_next(self) -> bool:
        """Whether there is a whole batch."""
        return bool(self.batches.has_next())

    def size_in_bytes(self) -> int:
        """How many bytes were fetched."""
        return int(self.batches.size_in_bytes())


class _Batch(NamedTuple):
    """A batch that is to be delivered.

    Attributes:
        data: its bytes, decompressed.
        header: None for one of a version before 2.
        reason: why it cannot be read at all.
    """

    data: memoryview
    header: BatchHeader | None
    next_offset: int
    reason: str | None = None


@dataclass(slots=True)
class _Rest:
    """What is left of a batch that is taken piece by piece.

    Attributes:
        records: those that come next.
        end: the offset behind the batch.
        ahead: the record before them, which did not fit into the run before.
    """

    records: Iterator[Any]
    end: int
    ahead: Any = None


class Unpacking(fetcher.PartitionRecords):
    """In place of aiokafka's `PartitionRecords`: `take` gives runs, iterating the records as aiokafka has them.

    Attributes:
        unpacked_bytes: a batch that unpacks to more is not read.
        next_fetch_offset: the log was read up to here.
        is_over: whether `take` has given everything.
    """

    unpacked_bytes = UNPACKED_BYTES
    next_fetch_offset: int
    _records: FetchedBytes
    _tp: Any
    _check_crcs: bool
    _isolation_level: int
    _aborted_producers: set[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_over = False
        self._is_fresh = True
        self._data = memoryview(self._records.data)
        self._at = 0
        #: A batch that did not fit into the run before.
        self._held: _Batch | None = None
        self._rest: _Rest | None = None

    def take(self, run_records: int) -> list[Run]:
        """Unpack the next runs; none when nothing is left, not even a marker.

        Args:
            run_records: the most that a run may hold.

        Raises:
            DamagedLog: bytes do not fit their checksum.
        """
        runs: list[Run] = []
        size = 0
        while size < _CALL_BYTES and not self.is_over:
            run = Run()
            run.begin, run.unreadable = self.next_fetch_offset, 0
            size += self._fill(run)
            run.end = self.next_fetch_offset
            if run.end > run.begin:
                runs += _cut(run, run_records)
        return runs

    def _fill(self, run: Run) -> int:
        """Put the next records into a run; returns how many bytes they are."""
        if self._is_fresh:
            self._take_plain(run)
            if self.is_over:
                return len(self._data)
        # what the quick way took counts
        size = self._take_rest(run, self._at if run else 0)
        while self._rest is None:
            batch = self._next() if self._held is None else self._held
            self._held = None
            if batch is None:
                self.is_over = True
                break
            if size and size + len(batch.data) > RUN_BYTES:
                self._held = batch
                break
            if len(batch.data) <= RUN_BYTES and self._put(run, batch):
                size += len(batch.data)
                self.next_fetch_offset = batch.next_offset
            else:
                self._rest = _Rest(self._one_by_one(batch), batch.next_offset)
                size = self._take_rest(run, size)
        return size

    def _take_plain(self, run: Run) -> None:
        """Take the batches up to the first that is more than a list of records with the next offsets.

        This is the way of nearly all records, so it looks at a batch as little as it can. What it does not take gets a
        closer look.
        """
        self._is_fresh = False
        if len(self._data) > RUN_BYTES:
            return
        next_batch, check_crcs, begin = self._records.batches.next_batch, self._check_crcs, self.next_fetch_offset
        data, at = self._records.data, 0
        records: list[Any] = []
        large: list[tuple[int, int]] = []
        due, not_plain, few = begin, _NOT_PLAIN, _FEW_RECORDS
        try:
            for batch in iter(next_batch, None):
                behind = at + UNCOUNTED_BYTES + _length_at(data, at + LENGTH_AT)[0]
                # a batch of a version before 2 has no attributes
                if (check_crcs and not fits_checksum(data, at, behind)) or batch.attributes & not_plain:
                    break
                records += batch
                end = batch.next_offset
                if end - due > few:
                    large.append((due - begin, end - begin))
                due, at = end, behind
            else:
                self.is_over = True
        except Exception:  # whatever the library raises
            del records[due - begin :]
        if not _are_sound(records, begin, due, large):
            self.is_over = False
            return
        run += records
        self.next_fetch_offset, self._at = due, at

    def _take_rest(self, run: Run, size: int) -> int:
        """Go on with the batch that is taken piece by piece, until the run is full."""
        rest = self._rest
        while rest is not None:
            record, rest.ahead = rest.ahead or next(rest.records, None), None
            if record is None:
                self._rest, self.next_fetch_offset = None, max(self.next_fetch_offset, rest.end)
                break
            weight = _weight(record)
            if size and size + weight > RUN_BYTES:
                rest.ahead = record
                break
            run.append(record)
            if type(record) is PlainRecord and why_unreadable(record) is not None:
                run.unreadable += 1
            size += weight
            self.next_fetch_offset = record.offset + 1
        return size

    def _unpack_records(self) -> Iterator[Any]:
        while (batch := self._next()) is not None:
            for record in self._one_by_one(batch):
                self.next_fetch_offset = record.offset + 1
                yield self._consumer_record(self._tp, record)
            self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)

    def _next(self) -> _Batch | None:
        """The next batch that is to be delivered; those that are not are stepped over."""
        while len(self._data) - self._at > UNCOUNTED_BYTES:
            end = self._at + UNCOUNTED_BYTES + _length_at(self._data, self._at + LENGTH_AT)[0]
            if end > len(self._data):
                # cut off; it comes with the next fetch
                break
            data, self._at = self._data[self._at : end], end
            if data[MAGIC_AT] < 2:
                return self._old(data)
            if self._check_crcs and not fits_checksum(self._records.data, end - len(data), end):
                self._raise_damaged()
            batch = _Batch(data, header := header_of(data), header.next_offset)
            if not self._is_left_out(batch, header):
                return self._decompressed(batch, header) if header.attributes & CODEC_MASK else batch
            self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)
        return None

    def _old(self, data: memoryview) -> _Batch:
        """A batch of a version before 2, which a broker made of what it has kept for years."""
        batch = LegacyRecordBatch(data, data[MAGIC_AT])
        if self._check_crcs and not batch.validate_crc():
            self._raise_damaged()
        return _Batch(data, None, batch.next_offset)

    def _raise_damaged(self) -> NoReturn:
        raise DamagedLog(
            f"{self._tp.topic}-{self._tp.partition}: bytes of the batch at or behind offset {self.next_fetch_offset} "
            "do not fit their checksum: a disk or a network has changed them"
        )

    def _is_left_out(self, batch: _Batch, header: BatchHeader) -> bool:
        """Whether a batch is a marker, or of a transaction that was aborted."""
        attributes = header.attributes
        if self._isolation_level == fetcher.READ_COMMITTED and attributes & (TRANSACTIONAL | CONTROL):
            self._consume_aborted_up_to(header.base_offset)
            if attributes & CONTROL:
                if self._contains_abort_marker(DefaultRecordBatch(batch.data)):
                    self._aborted_producers.discard(header.producer_id)
            elif header.producer_id in self._aborted_producers:
                return True
        return bool(attributes & CONTROL)

    def _decompressed(self, packed: _Batch, header: BatchHeader) -> _Batch:
        """The same batch without compression."""
        data, attributes = packed.data, header.attributes & ~CODEC_MASK
        plain_header = bytearray(data[:HEADER_BYTES])
        _attributes.pack_into(plain_header, ATTRIBUTES_AT, attributes)
        codec = header.attributes & CODEC_MASK
        try:
            plain = decompress(codec, data[HEADER_BYTES:], self.unpacked_bytes, bytes(plain_header))
        except Undecompressable as error:
            return packed._replace(reason=str(error))
        return _Batch(memoryview(plain), header._replace(attributes=attributes), packed.next_offset)

    def _put(self, run: Run, batch: _Batch) -> bool:
        """Put all records of a batch into a run; False, and the run is as it was, when one needs a closer look."""
        header = batch.header
        if header is None or batch.reason is not None or header.base_offset < self.next_fetch_offset:
            return False
        try:
            records = list(DefaultRecordBatch(batch.data))
        except Exception:  # whatever the library raises
            return False
        begin, end = header.base_offset, header.next_offset
        large = [(0, len(records))] if len(records) > _FEW_RECORDS else []
        if not _are_sound(records, begin, end, large):
            return False
        run += records
        return True

    def _one_by_one(self, batch: _Batch) -> Iterator[Any]:
        """The records of a batch that are wanted, each looked at."""
        header, wanted = batch.header, self.next_fetch_offset
        if header is None:
            yield from _of_old_batch(batch, wanted)
            return
        if batch.reason is not None:
            if header.base_offset >= wanted:
                yield unreadable_batch(header, batch.reason)
            return
        read = 0
        if not header.is_overfull and not _may_hold_large_records(batch, header):
            read = yield from _by_library(batch.data, header, wanted)
        if read < header.record_count:
            for record in islice(records_of(header, batch.data[HEADER_BYTES:]), read, None):
                if record.offset >= wanted:
                    yield record


def _may_hold_large_records(batch: _Batch, header: BatchHeader) -> bool:
    """Whether a batch is to be taken apart by hand for what the library copies at once, see `_FEW_LARGE_RECORDS`."""
    return len(batch.data) > PIECE_BYTES and header.record_count <= _FEW_LARGE_RECORDS


def _by_library(data: memoryview, header: BatchHeader, wanted: int) -> Generator[Any, None, int]:
    """The wanted records of a batch up to the first that the library cannot read, or that is numbered wrongly.

    Returns:
        how many it read, wanted or not.
    """
    due, latest = header.base_offset, header.latest_offset(0)
    try:
        for record in DefaultRecordBatch(data):
            offset = record.offset
            if offset != due and not due < offset <= latest:
                break
            due = offset + 1
            latest += 1
            if offset >= wanted:
                yield record
    except Exception:  # noqa: S110 - whatever the library raises, the caller reads on by hand
        pass
    return latest - header.latest_offset(0)


def _are_sound(records: list[Any], begin: int, end: int, large: list[tuple[int, int]]) -> bool:
    """Whether records have the offsets from the one up to the other; of those in large batches see `_FEW_RECORDS`.

    Args:
        records: all of them.
        begin: offset of the first.
        end: offset behind the last.
        large: from where to where among the records there are large batches.
    """
    if len(records) != end - begin:
        return False
    at = 0
    for first, behind in large:
        if records[first].offset != begin + first or records[behind - 1].offset != begin + behind - 1:
            return False
        if at < first and not _follow(records[at:first], begin + at):
            return False
        at = behind
    return at == len(records) or _follow(records[at:], begin + at)


def _follow(records: list[Any], begin: int) -> bool:
    """Whether the offsets of records are the one that is given and those that follow."""
    return list(map(_offset_of, records)) == list(range(begin, begin + len(records)))


def _cut(run: Run, run_records: int) -> list[Run]:
    """A run in pieces that are not too long, without a gap between them."""
    if len(run) <= run_records:
        return [run]
    pieces = [Run(run[first : first + run_records]) for first in range(0, len(run), run_records)]
    begin = run.begin
    for piece in pieces:
        piece.begin, piece.end = begin, piece[-1].offset + 1
        piece.unreadable = sum(why_unreadable(record) is not None for record in piece) if run.unreadable else 0
        begin = piece.end
    pieces[-1].end = run.end
    return pieces


def _of_old_batch(batch: _Batch, wanted: int) -> Iterator[Any]:
    """The records of a batch of a version before 2; what cannot be unpacked of it is one record."""
    due = wanted
    try:
        for record in LegacyRecordBatch(batch.data, batch.data[MAGIC_AT]):
            if record.offset >= due:
                due = record.offset + 1
                # the first version knew no times
                time, kind = (0, 0) if record.timestamp is None else (record.timestamp, record.timestamp_type)
                yield PlainRecord(record.offset, time, kind, record.key, record.value)
    except Exception as error:  # whatever the library raises
        if due < batch.next_offset:
            yield unreadable(due, 0, 0, f"a batch of Kafka's old format cannot be unpacked: {error}")


def _weight(record: Any) -> int:
    """Bytes that a record holds."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers + _RECORD_BYTES
