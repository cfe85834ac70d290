"""The durable form of a table of states: its changelog, merged by source offset.

The windows have one and the alerts have one. Every row begins with the source offset it covers, and a camera's
row is a pure function of the source topic up to that offset. Merging keeps the row with the largest offset,
never the last one written: a row that a frozen process writes late is then stale but never false, and any prefix
of the changelog, whoever wrote it, gives a state to go on from. No fencing is needed. docs/decisions/0001 has the
argument.

What is forgotten gets a tombstone, so that compaction removes its row. It carries the offset that it covers as a header
and removes no row beyond it, so a late tombstone of a frozen process is as harmless as a late row.

What stands in the topic and is no row of ours is skipped, and never takes the place of one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import ChainMap
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from models.records import MALFORMED, why_unreadable
from trafficapp.engine.fatal import Exit, end_process
from trafficapp.engine.kafka import read_to_end
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.state_rows import (
    PARTITION_KEY_PREFIX,
    NoStateRow,
    as_record,
    is_forgotten,
    offset_of,
    partition_key,
    row_of,
)
from trafficapp.settings import Settings

logger = logging.getLogger(__name__)


class StateLog:
    """Reads and writes state rows.

    Args:
        settings: where Kafka is.
        outbox: the producer of the process.
        topic: the changelog.
        partitions: how many it has; state of a source partition is in the partition of the same number.
        decode: reads a row with its key; raises one of `models.records.MALFORMED` on one that is none.

    Attributes:
        rows: merged rows by partition and key; they survive rebalances, so that only what others
            wrote meanwhile must be read.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        topic: str,
        partitions: int,
        decode: Callable[[bytes, bytes], object] = lambda key, row: None,
    ) -> None:
        self.topic = topic
        self._decode = decode
        self.rows: dict[int, dict[bytes, bytes]] = {p: {} for p in range(partitions)}
        self._settings = settings
        self._outbox = outbox
        #: Whether each row is decoded before it takes the place of another.
        self._looks_closely = False
        #: By partition: the changelog was read up to here, or written by nobody but us.
        self._position: dict[int, int] = {}
        #: Held while rows of a partition are handed to the outbox, so that they leave in the order in which they came.
        self._order: dict[int, asyncio.Lock] = {}
        self._unacknowledged: set[asyncio.Task[None]] = set()

    def view(self) -> ChainMap[bytes, bytes]:
        """All rows as one mapping, as the table shows them."""
        return ChainMap(*self.rows.values())

    async def load(self, partitions: Collection[int]) -> Mapping[int, Mapping[bytes, bytes]]:
        """Read the changelog of partitions to its end and merge it.

        Waits for the broker when it does not answer.

        Returns:
            the merged rows by partition.
        """
        delay_seconds = 0.2
        while True:
            try:
                began = time.monotonic()
                count = await self._read(partitions)
                count += await self._read_again([p for p in partitions if not self._is_sound(p)])
                logger.info(
                    "read %d state rows of partitions %s in %.2f s",
                    count,
                    sorted(partitions),
                    time.monotonic() - began,
                )
                return {p: self.rows.get(p, {}) for p in partitions}
            except (KafkaError, OSError) as error:
                logger.warning("reading %s failed (%r); trying again", self.topic, error)
                await asyncio.sleep(delay_seconds)
                delay_seconds = min(delay_seconds * 2, 5.0)

    async def write(self, partition: int, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Hand rows to the producer, in order; a row that cannot be written ends the process.

        Rows of what is forgotten come last, behind the partition's: the state that they are part of is then written.

        Once merged here they are written, even when the caller is cancelled because the partition is
        taken away: later rows of this process build on them.
        """
        rows = list(rows)
        for key, row in rows:
            self._merge(partition, key, row)
        await asyncio.shield(self._task(self._hand_over(partition, rows)))

    async def _hand_over(self, partition: int, rows: list[tuple[bytes, bytes]]) -> None:
        async with self._order.setdefault(partition, asyncio.Lock()):
            try:
                acknowledgements = await self._send(partition, rows)
            except Exception as error:
                end_process(Exit.SEND_FAILED, f"state rows of partition {partition}: {error!r}")
        self._task(self._await_acknowledgements(partition, acknowledgements, len(rows)))

    async def _send(self, partition: int, rows: list[tuple[bytes, bytes]]) -> list[asyncio.Future[RecordMetadata]]:
        acknowledgements: list[asyncio.Future[RecordMetadata]] = []
        records = (as_record(key, row) for key, row in rows)
        # the outbox gives all records of a call the same headers
        for headers, group in itertools.groupby(records, lambda one: one[1]):
            sent = [key_and_value for key_and_value, _ in group]
            acknowledgements += await self._outbox.send(self.topic, partition, sent, headers)
        return acknowledgements

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._unacknowledged.add(task)
        task.add_done_callback(self._unacknowledged.discard)
        return task

    async def flush(self) -> None:
        """Wait until all rows that were handed in are acknowledged."""
        while self._unacknowledged:
            await asyncio.wait(self._unacknowledged)

    async def _await_acknowledgements(
        self, partition: int, acknowledgements: list[asyncio.Future[RecordMetadata]], count: int
    ) -> None:
        try:
            metadata = [await acknowledgement for acknowledgement in acknowledgements]
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # a lost row must never be followed by another one
            end_process(Exit.SEND_FAILED, f"state rows of partition {partition}: {error!r}")
        if len(metadata) == 1 and metadata[0].offset == self._position.get(partition):
            # nobody wrote in between: these rows need not be read again
            self._position[partition] += count

    def _take_in(self, partition: int, record: ConsumerRecord) -> None:
        """Merge what a record of the changelog says, if it is one of ours."""
        try:
            if (reason := why_unreadable(record)) is not None:
                raise NoStateRow(reason)
            row = row_of(record.value, record.headers)
            if row is not None:
                self._merge(partition, self._checked_key(partition, record.key, row), row)
        except NoStateRow as error:
            logger.error("%s-%d: offset %d is no state row, skipped: %s", self.topic, partition, record.offset, error)

    def _checked_key(self, partition: int, key: bytes | None, row: bytes) -> bytes:
        """The key of a row.

        Raises:
            NoStateRow: there is none, or the row is not one of ours with this key.
        """
        if key is None:
            raise NoStateRow("it has no key")
        if key.startswith(PARTITION_KEY_PREFIX) and key != partition_key(partition):
            raise NoStateRow("it is of another partition")
        if self._looks_closely and not is_forgotten(row) and not self._is_row(key, row):
            raise NoStateRow("it cannot be decoded")
        return key

    def _merge(self, partition: int, key: bytes, row: bytes) -> None:
        rows = self.rows.setdefault(partition, {})
        known = rows.get(key)
        if is_forgotten(row):
            if known is not None and offset_of(row) >= offset_of(known):
                del rows[key]
        elif known is None or offset_of(row) > offset_of(known):
            rows[key] = row

    def _is_sound(self, partition: int) -> bool:
        """Whether all rows of a partition can be decoded."""
        return all(self._is_row(key, row) for key, row in self.rows.get(partition, {}).items())

    def _is_row(self, key: bytes, row: bytes) -> bool:
        try:
            self._decode(key, row)
        except MALFORMED:
            return False
        return True

    async def _read_again(self, partitions: Collection[int]) -> int:
        """Read partitions anew and look at each row before it takes the place of another: a stranger has written one.

        That is not done for all: most rows are replaced by later ones, and decoding costs more than reading.
        """
        for partition in partitions:
            self.rows[partition].clear()
            self._position.pop(partition, None)
        self._looks_closely = True
        try:
            return await self._read(partitions)
        finally:
            self._looks_closely = False

    async def _read(self, partitions: Collection[int]) -> int:
        count = 0
        if partitions:
            starts = {partition: self._position.get(partition, 0) for partition in partitions}
            async with aclosing(read_to_end(self._settings, self.topic, starts)) as found:
                async for partition, records in found:
                    for record in records:
                        self._take_in(partition, record)
                    self._position[partition] = records[-1].offset + 1
                    count += len(records)
        return count
