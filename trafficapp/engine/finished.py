"""Finished windows on the worker's own disk: two tumbling tables in RocksDB, by camera and by lane.

They hold what went through ``traffic.metrics`` in the partitions of this worker, serve "current" when
Redis is away, and can be rebuilt from that topic at any time. Their changelog is the topic itself, so
writing them costs no record: rows and the offset they reach go to RocksDB in one batch. For the same reason RocksDB
keeps no log of its own: what a killed process had in memory comes again from the topic, behind the offset on the disk.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from aiokafka import ConsumerRecord
from faust.stores.base import SerializedStore
from faust.tables.table import Table
from faust.types.windows import WindowRange
from rocksdict import AccessType, Options, Rdict, WriteBatch, WriteOptions

from models.cameras.window_rows import WindowRow, decode_window_row
from models.records import MALFORMED
from models.timestamps import epoch_us
from trafficapp.engine.state_rows import UNTOLD, SourceLog

logger = logging.getLogger(__name__)

#: Keys of the offset that is reached, and of Kafka's id of the topic that it is of.
_POSITION = b"\x00applied"
_LOG = b"\x00log"
_OWN_KEYS = frozenset((_POSITION, _LOG))
_INT64 = struct.Struct(">q")
_MICROSECONDS = 1_000_000
_WRITE_BUFFER_BYTES = 8 << 20


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_max_background_jobs(1)
    return options


def _without_log() -> WriteOptions:
    options = WriteOptions()
    options.disable_wal = True
    return options


class FinishedStore(SerializedStore):
    """Rows of one table, one RocksDB for each partition.

    Keys are ``name NUL start``, so that the windows of one camera or lane lie side by side in time.
    """

    size_us: int = 5 * _MICROSECONDS
    keep_seconds: float = 3600.0

    def __post_init__(self) -> None:
        self.databases: dict[int, Rdict] = {}

    def open(self, folder: Path, partition: int) -> None:
        """Open the database of a partition; a damaged one is thrown away and rebuilt."""
        if partition in self.databases:
            return
        path = folder / f"{self.table_name}-{partition}"
        access = AccessType.with_ttl(max(int(self.keep_seconds), 1))
        try:
            self.databases[partition] = Rdict(str(path), _options(), access_type=access)
        except Exception as error:  # rocksdict raises bare exceptions
            if "lock" in str(error).lower():
                raise
            logger.warning("%s is damaged (%s); building it again", path, error)
            Rdict.destroy(str(path))
            self.databases[partition] = Rdict(str(path), _options(), access_type=access)

    def close(self, partition: int) -> None:
        """Close the database of a partition."""
        database = self.databases.pop(partition, None)
        if database is not None:
            database.close()

    def newest(self, name: str) -> bytes | None:
        """The row of the newest window of a camera or lane that is here, as JSON."""
        return next(self.newest_first(name), None)

    def newest_first(self, name: str) -> Iterator[bytes]:
        """Rows of a camera or lane, newest first."""
        prefix = _beginning(name)
        for database in list(self.databases.values()):
            iterator = database.iter()
            iterator.seek_for_prev(prefix + b"\xff" * _INT64.size)
            while iterator.valid() and iterator.key().startswith(prefix):
                yield iterator.value()
                iterator.prev()

    def at(self, name: str, start_us: int) -> bytes | None:
        """The row of one window, as JSON."""
        return self._get(row_key(name, start_us))

    def names(self, prefix: str = "") -> list[str]:
        """Cameras or lanes that have a window here, jumping from name to name."""
        found: list[str] = []
        first = _packed(prefix)
        for database in list(self.databases.values()):
            iterator = database.iter()
            iterator.seek(first or b"\x01")
            while iterator.valid() and iterator.key().startswith(first):
                name, _ = _split(iterator.key())
                found.append(_unpacked(name))
                iterator.seek(name + b"\x00" + b"\xff" * (_INT64.size + 1))
        return found

    # ------------------------------------------------------------------ what Faust asks of a store

    def _encode_key(self, key: tuple[str, WindowRange]) -> bytes:
        name, (start, _) = key
        return row_key(name, round(start * _MICROSECONDS))

    def _decode_key(self, key: bytes | None) -> tuple[str, WindowRange]:
        name, start = _split(key or b"")
        begin = _INT64.unpack(start)[0] / _MICROSECONDS
        # Faust ends its windows a tenth of a second early
        return _unpacked(name), (begin, begin + self.size_us / _MICROSECONDS - 0.1)

    def _get(self, key: bytes) -> bytes | None:
        return next((value for db in list(self.databases.values()) if (value := db.get(key)) is not None), None)

    def _set(self, key: bytes, value: bytes | None) -> None:
        raise TypeError("finished windows are written by their reader alone")

    _del = _set

    def _iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        for database in list(self.databases.values()):
            yield from ((key, value) for key, value in database.items() if key not in _OWN_KEYS)

    def _iterkeys(self) -> Iterator[bytes]:
        return (key for key, _ in self._iteritems())

    def _itervalues(self) -> Iterator[bytes | None]:
        return (value for _, value in self._iteritems())

    def _size(self) -> int:
        return sum(1 for _ in self._iteritems())

    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None

    def _clear(self) -> None:
        raise TypeError("finished windows are written by their reader alone")

    def persisted_offset(self, tp: Any) -> int | None:
        """Faust's recovery has nothing to do with this table."""
        return None

    def reset_state(self) -> None:
        """Throw the databases away; they are rebuilt from the topic."""
        for partition in list(self.databases):
            self.reset(partition)

    def reset(self, partition: int) -> None:
        """Throw the database of a partition away."""
        path = self.databases[partition].path()
        self.close(partition)
        Rdict.destroy(path)

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Not needed: the table can be rebuilt."""

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        """Not needed: the table can be rebuilt."""


class FinishedTable(Table):
    """Table of finished windows; its changelog is the topic it is read from."""

    def _new_store(self) -> FinishedStore:
        return FinishedStore("rocksdict://", self.app, self, table_name=self.name, key_type=str, value_type=bytes)

    async def on_start(self) -> None:
        """No changelog topic is declared."""
        await self.add_runtime_dependency(self.data)


def row_key(name: str, start_us: int) -> bytes:
    """Key of a window in a store; `name` is a camera_id, or ``camera_id/lane``."""
    return _beginning(name) + _INT64.pack(start_us)


def lane_name(camera_id: str, lane_id: int) -> str:
    """Name of a lane in the table by lane."""
    return f"{camera_id}/{lane_id}"


def _packed(name: str) -> bytes:
    """A name as it stands in a key. JSON allows NUL in it, which ends names here; no UTF-8 has the byte FF."""
    return name.encode().replace(b"\x00", b"\xff")


def _beginning(name: str) -> bytes:
    """How the keys of a camera or lane begin."""
    return _packed(name) + b"\x00"


@lru_cache(maxsize=1 << 16)
def _beginning_of(camera_id: str, lane_id: int | None) -> bytes:
    """How the keys begin that a row has."""
    return _beginning(camera_id if lane_id is None else lane_name(camera_id, lane_id))


def _unpacked(name: bytes) -> str:
    return name.replace(b"\xff", b"\x00").decode()


def _split(key: bytes) -> tuple[bytes, bytes]:
    """Name and packed start of a key; the start may hold NUL bytes itself."""
    return key[: -_INT64.size - 1], key[-_INT64.size :]


class FinishedSink:
    """Files finished windows of ``traffic.metrics`` in the tables by camera and by lane."""

    takes_runs_together = True

    def __init__(
        self,
        folder: Callable[[], Path],
        cameras: FinishedStore,
        lanes: FinishedStore,
        offset_of_time: Callable[[Collection[int], float], Awaitable[dict[int, int]]],
        end_offsets: Callable[[Collection[int]], Awaitable[dict[int, int]]],
    ) -> None:
        self._folder = folder
        self._cameras = cameras
        self._lanes = lanes
        self._offset_of_time = offset_of_time
        self._end_offsets = end_offsets
        self._log_ids: dict[int, bytes] = {}
        self._writing = _without_log()

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Open the databases; where one is empty, reading begins as far back as windows are kept."""
        # opening sixteen databases takes a tenth of a second, which the event loop does not have
        await asyncio.to_thread(self._open, partitions)
        starts = {partition: start for partition in partitions if (start := self._reached(partition)) is not None}
        ends = await self._end_offsets(list(starts))
        foreign = [
            partition
            for partition, start in starts.items()
            if start > ends[partition] or not self._is_of(partition, log)
        ]
        for partition in foreign:
            logger.warning("the topic was made anew: building the windows of partition %d again", partition)
            await asyncio.to_thread(self._make_anew, partition)
            del starts[partition]
        for partition in partitions:
            self._log_ids[partition] = log.id.encode() or max(self._known_ids(partition))
        empty = [partition for partition in partitions if partition not in starts]
        if empty:
            starts |= await self._offset_of_time(empty, time.time() - self._cameras.keep_seconds)
        return starts

    def _reached(self, partition: int) -> int | None:
        """The offset behind what both tables have; None when one has nothing, since either may have been lost alone."""
        positions = [store.databases[partition].get(_POSITION) for store in (self._cameras, self._lanes)]
        offsets = [_INT64.unpack(position)[0] for position in positions if position is not None]
        return min(offsets) + 1 if len(offsets) == len(positions) else None

    def _open(self, partitions: Collection[int]) -> None:
        folder = self._folder()
        folder.mkdir(parents=True, exist_ok=True)
        for partition in partitions:
            self._cameras.open(folder, partition)
            self._lanes.open(folder, partition)

    def _is_of(self, partition: int, log: SourceLog) -> bool:
        """Whether the databases of a partition may be of a log."""
        return not log.id or self._known_ids(partition) <= {b"", log.id.encode()}

    def _known_ids(self, partition: int) -> set[bytes]:
        """Which logs the databases of a partition are of; nothing where it is not told."""
        return {store.databases[partition].get(_LOG) or b"" for store in (self._cameras, self._lanes)}

    def _make_anew(self, partition: int) -> None:
        self._cameras.reset(partition)
        self._lanes.reset(partition)
        self._open([partition])

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Write the rows of a run, and the offset they reach in the same batch."""
        cameras, lanes = WriteBatch(raw_mode=True), WriteBatch(raw_mode=True)
        starts: dict[str, bytes] = {}
        for record in records:
            try:
                row = decode_window_row(record.value)
                start = starts.get(row.window_start)
                if start is None:
                    start = starts[row.window_start] = _INT64.pack(epoch_us(row.window_start))
            except MALFORMED as error:
                logger.warning("partition %d, offset %d is no window: %s", partition, record.offset, error)
                continue
            table = cameras if row.lane_id is None else lanes
            table.put(_beginning_of(row.camera_id, row.lane_id) + start, record.value)
        position = _INT64.pack(records[-1].offset)
        lanes.put(_POSITION, position)
        cameras.put(_POSITION, position)
        log_id = self._log_ids.get(partition, b"")
        lanes.put(_LOG, log_id)
        cameras.put(_LOG, log_id)
        self._lanes.databases[partition].write(lanes, self._writing)
        self._cameras.databases[partition].write(cameras, self._writing)

    def release(self, partitions: Collection[int]) -> None:
        """Close the databases."""
        for partition in partitions:
            self._cameras.close(partition)
            self._lanes.close(partition)

    def is_waiting(self) -> bool:
        """The disk is always there."""
        return False

    def current(self, camera_id: str | None) -> list[WindowRow]:
        """Rows of the newest window of a camera, or of every camera that is here for None.

        Each camera's camera-wide row comes first, then its lanes in ascending order.
        """
        cameras = sorted(self._cameras.names()) if camera_id is None else [camera_id]
        return [row for camera in cameras for row in self._current(camera)]

    def _current(self, camera_id: str) -> list[WindowRow]:
        newest = self._cameras.newest(camera_id)
        if newest is None:
            return []
        whole = decode_window_row(newest)
        start_us = epoch_us(whole.window_start)
        # camera_ids may hold slashes: those of "a/b" begin like those of "a"
        lanes = sorted(
            lane for name in self._lanes.names(f"{camera_id}/") for of, lane in [_lane_of(name)] if of == camera_id
        )
        found = (self._lanes.at(lane_name(camera_id, lane), start_us) for lane in lanes)
        return [whole, *(decode_window_row(row) for row in found if row is not None)]


def _lane_of(name: str) -> tuple[str, int]:
    """camera_id and lane_id of a name in the table by lane."""
    camera_id, _, lane_id = name.rpartition("/")
    return camera_id, int(lane_id)
