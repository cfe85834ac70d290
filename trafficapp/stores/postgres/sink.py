"""Runs of records into Postgres, each record once whatever crashes, freezes or comes back.

The row of `sink_offsets` for a topic partition says which record comes next. A transaction reads it,
leaves out the records before it, writes the others' rows and moves it on, if it still says the same;
else all of it is undone and done again. So it does not matter whether the commit of a lost connection
happened, nor who else writes the same partition meanwhile. The row is locked last and so for a moment
only: a process that freezes in the middle of a COPY, where no time-out of the server ends it, stops nobody.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import asyncpg

from trafficapp.engine.state_rows import UNTOLD, SourceLog, continued
from trafficapp.settings import PostgresSettings
from trafficapp.stores.outage import Abandoned
from trafficapp.stores.postgres.connection import create_pool, outage_of, retrying
from trafficapp.stores.postgres.time_partitions import EnsuredPartitions

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection, Pool

_log = logging.getLogger(__name__)
Batch = TypeVar("Batch")
Row = TypeVar("Row")

CLOSE_SECONDS = 5

#: What a value that Postgres cannot hold raises: there, or here when it is encoded.
REFUSED_VALUES = (
    asyncpg.DataError,
    asyncpg.NotNullViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
    OverflowError,
)

_CLAIM = """
    INSERT INTO sink_offsets (sink, topic, partition, next_offset)
    SELECT $1, $2, partition, 0 FROM unnest($3::int[]) AS partition ORDER BY partition
    ON CONFLICT DO NOTHING
"""
_READ = """
    SELECT partition, next_offset, log_id FROM sink_offsets
    WHERE sink = $1 AND topic = $2 AND partition = ANY($3::int[])
"""
_NAME_LOG = """
    UPDATE sink_offsets SET log_id = $4
    WHERE sink = $1 AND topic = $2 AND partition = ANY($3::int[]) AND log_id = ''
"""
_NEXT = "SELECT next_offset FROM sink_offsets WHERE sink = $1 AND topic = $2 AND partition = $3"
_MOVE = """
    UPDATE sink_offsets SET next_offset = $5, updated_at = now()
    WHERE sink = $1 AND topic = $2 AND partition = $3 AND next_offset = $4
"""


class _Overtaken(Exception):
    """Another process wrote the same partition in the meantime."""


class HistoryWentBack(Exception):
    """Postgres knows less than it had confirmed, as after a restored backup; read again from `load`."""


@dataclass
class SinkCounters:
    """What a sink did since it was made.

    Attributes:
        rows: rows written.
        unreadable: records or detections left out because they are not acceptable by their form.
        unstorable: rows left out because Postgres refuses their values.
        repeated: rows that were there already, the same.
        differing: rows that were there already with other values, and were replaced.
    """

    rows: int = 0
    unreadable: int = 0
    unstorable: int = 0
    repeated: int = 0
    differing: int = 0

    def add(self, other: SinkCounters) -> None:
        """Add what another one counted."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class HistorySink(ABC, Generic[Batch]):
    """A `trafficapp.engine.sink.RunSink` that writes one topic into one table.

    Args:
        settings: where Postgres is.
        topic: the topic the records are of.
        should_stop: asked while Postgres is away; True gives up waiting.

    Attributes:
        counters: what was done; a transaction counts when it is known to have happened.
    """

    #: Name in `sink_offsets`: the table that is written.
    name: str

    def __init__(self, settings: PostgresSettings, topic: str, should_stop: Callable[[], bool] = lambda: False) -> None:
        self.topic = topic
        self.counters = SinkCounters()
        self._should_stop = should_stop
        self._outage = outage_of(settings.url.get_secret_value())
        self._settings = settings
        self._pool: Pool | None = None
        self._partitions = EnsuredPartitions()
        self._next_offsets: dict[int, int] = {}

    @abstractmethod
    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[Batch, SinkCounters]:
        """Turn records into what `write` takes, and count what is left out. Runs in a thread, for several at once."""

    @abstractmethod
    async def ensure_partitions(self, connection: Connection, batch: Batch) -> None:
        """Make sure that the time partitions of a batch exist."""

    @abstractmethod
    async def write(self, connection: Connection, batch: Batch, counters: SinkCounters, isolating: bool) -> None:
        """Write a batch within the transaction that is open, and count.

        When `isolating`, an attempt has failed because of the data: leave out the rows that Postgres refuses.

        Raises:
            asyncpg.PostgresError: as the server says.
        """

    async def prepare_connection(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Prepare a new connection of the pool."""
        # Timestamps go in as 1-tuples of microseconds since 2000, as `postgres_time` makes them: encoding a
        # datetime costs more than the rest of its row. `tuple` returns a tuple as it is.
        await connection.set_type_codec(
            "timestamptz", schema="pg_catalog", encoder=tuple, decoder=tuple, format="tuple"
        )

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Take over partitions; waits for Postgres. See `RunSink.load`.

        Raises:
            Abandoned: told to stop while Postgres was away.
            OtherLog: the offsets are of another topic of that name.
        """
        numbers = sorted(set(partitions))

        async def read() -> list[asyncpg.Record]:
            async with pool.acquire() as connection:
                await self._partitions.ensure_ahead(connection)
                found = await connection.fetch(_READ, self.name, self.topic, numbers)
                if len(found) < len(numbers):
                    # Only now: the insertion waits for everybody who is about to move an offset.
                    await connection.execute(_CLAIM, self.name, self.topic, numbers)
                    found = await connection.fetch(_READ, self.name, self.topic, numbers)
                if log.id and any(not row["log_id"] for row in found):
                    await connection.execute(_NAME_LOG, self.name, self.topic, numbers, log.id)
                return found

        pool = await self._opened_pool()
        found = await retrying(read, self._outage, lambda: not self._should_stop())
        for row in found:
            continued(SourceLog(row["log_id"]), log)
        starts = {row["partition"]: row["next_offset"] for row in found}
        self._next_offsets.update(starts)
        return starts

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Write the rows of consecutive records. See `RunSink.apply`.

        When the partition is lost while Postgres is away, nothing is written: the next owner does it.

        Raises:
            asyncio.CancelledError: told to stop while Postgres is away; nothing was written.
            HistoryWentBack: records that were confirmed earlier are no longer there.
        """
        if not records:
            return
        isolating = False
        batch, counters = await asyncio.to_thread(self.decode, records)

        async def attempt() -> None:
            nonlocal isolating
            partition_was_missing = False
            while True:
                try:
                    return await self._write_once(partition, records, batch, counters, isolating)
                except _Overtaken:
                    pass
                except REFUSED_VALUES:
                    if isolating:
                        raise
                    isolating = True
                except asyncpg.CheckViolationError:  # "no partition of relation found for row"
                    if partition_was_missing:
                        raise
                    partition_was_missing = True
                    self._partitions.forget()

        try:
            await retrying(attempt, self._outage, lambda: still_owned() and not self._should_stop())
        except Abandoned:
            if still_owned():
                # Nothing may follow a run that was not written.
                raise asyncio.CancelledError(f"{self.name}: told to stop while Postgres is away") from None
            _log.info("%s: partition %d of %s was given up; its next owner goes on", self.name, partition, self.topic)

    def release(self, partitions: Collection[int]) -> None:
        """Forget partitions that are no longer ours."""
        for partition in partitions:
            self._next_offsets.pop(partition, None)

    def is_waiting(self) -> bool:
        """Whether Postgres is away."""
        return self._outage.lasting

    async def close(self) -> None:
        """Close all connections, at once if they do not end by themselves within five seconds."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    async def _opened_pool(self) -> Pool:
        """The pool; made here because asyncpg binds it to the running event loop."""
        if self._pool is None:
            self._pool = create_pool(self._settings, init=self.prepare_connection)
        await self._pool
        return self._pool

    async def _write_once(
        self,
        partition: int,
        records: Sequence[ConsumerRecord],
        batch: Batch,
        decoded: SinkCounters,
        isolating: bool,
    ) -> None:
        end = records[-1].offset + 1
        counters = SinkCounters(**vars(decoded))
        key = (self.name, self.topic, partition)
        pool = await self._opened_pool()
        async with pool.acquire() as connection:
            await self.ensure_partitions(connection, batch)
            async with connection.transaction():
                next_offset = await connection.fetchval(_NEXT, *key)
                expected = self._next_offsets.get(partition, 0)
                if next_offset is None or next_offset < expected:
                    raise HistoryWentBack(
                        f"{self.name}: partition {partition} of {self.topic} is at {next_offset}, was at {expected}"
                    )
                if next_offset > records[0].offset:
                    rest = [record for record in records if record.offset >= next_offset]
                    batch, counters = await asyncio.to_thread(self.decode, rest)
                if next_offset < end:
                    await self.write(connection, batch, counters, isolating)
                    if await connection.execute(_MOVE, *key, next_offset, end) != "UPDATE 1":
                        raise _Overtaken
        if partition in self._next_offsets:
            self._next_offsets[partition] = max(end, next_offset)
        self.counters.add(counters)


async def write_what_fits(
    connection: Connection, rows: Sequence[Row], write: Callable[[Sequence[Row]], Awaitable[None]]
) -> int:
    """Write rows within an open transaction, without those whose values Postgres refuses.

    Halves the rows until the refused ones stand alone.

    Returns:
        how many rows were left out; each is logged.
    """
    try:
        async with connection.transaction():
            await write(rows)
    except REFUSED_VALUES as error:
        if len(rows) == 1:
            _log.error("left out a row that Postgres refuses (%s): %.500r", error, rows[0])
            return 1
    else:
        return 0
    middle = len(rows) // 2
    left_out = await write_what_fits(connection, rows[:middle], write)
    return left_out + await write_what_fits(connection, rows[middle:], write)


#: Microseconds between the epoch and that of Postgres, 2000-01-01.
POSTGRES_EPOCH_US = 946_684_800_000_000


#: The years from 1 to 9999, which calendars have.
_FIRST_US, _END_US = -62_135_596_800_000_000, 253_402_300_800_000_000


def postgres_time(time_us: int) -> tuple[int]:
    """A timestamptz as the connections of a sink take it, from microseconds since the epoch.

    Raises:
        ValueError: no calendar has the time.
    """
    if not _FIRST_US <= time_us < _END_US:
        raise ValueError(f"{time_us} us since 1970 lie in no year between 1 and 9999")
    return (time_us - POSTGRES_EPOCH_US,)
