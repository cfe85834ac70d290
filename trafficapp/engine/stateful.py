"""A sink whose state is a changelog: the order of effects that makes windows and alerts exact.

A run is applied in memory, what comes of it is acknowledged by the broker, and only then the state that
covers the run may be written. A crash in between repeats the run, which gives the same records again, byte
for byte.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from aiokafka import ConsumerRecord
from aiokafka.structs import RecordMetadata

from trafficapp.engine.fatal import Exit, end_process
from trafficapp.engine.state import StateLog
from trafficapp.engine.state_rows import UNTOLD, SourceLog

#: Longest time that applied records wait for their state rows; a crash repeats no more than this.
STATE_SECONDS = 0.5

#: State of large rows is written less often: on average, a partition writes no more than this.
_STATE_BYTES_PER_SECOND = 8 << 20

#: So much of state rows is made in one go; meanwhile the event loop does nothing else.
_ROWS_AT_ONCE_BYTES = 1 << 20

#: All rows of a partition are written again after this time, so that compaction, which keeps the last
#: row written, never has only the stale row of a frozen process to keep.
_REWRITE_SECONDS = 600.0

#: They are written again so many session timeouts after a take-over for the first time. Within one, whoever was frozen
#: has lost its partitions; the other is for what it still writes before it knows. The rows written then come last.
_SESSIONS_BEFORE_REWRITE = 2


class PartitionStates(Protocol):
    """The states of one partition: a pure function of its records up to `applied`."""

    @property
    def applied(self) -> int:
        """Offset of the last record applied; -1 before the first."""
        ...

    def changed_rows(self) -> Iterable[tuple[bytes, bytes]]:
        """State rows that changed since the last call: cameras, the partition's row, then those of what is forgotten.

        They may be made one by one, while they are taken; all must be.
        """
        ...

    def all_rows(self) -> Iterable[tuple[bytes, bytes]]:
        """All state rows, in the same order."""
        ...


States = TypeVar("States", bound=PartitionStates)


@dataclass(slots=True)
class Owned(Generic[States]):
    """A partition that is ours; times are of the monotonic clock.

    Attributes:
        written: when rows were last written.
        rewrite_at: from when on all rows are to be written again.
        lock: of whoever changes or writes the states.
        applied: when a run was last applied.
        dirty: whether that was after the rows were written.
        pause_seconds: between one write and the next.
    """

    states: States
    written: float
    rewrite_at: float
    lock: asyncio.Lock
    applied: float
    dirty: bool = False
    pause_seconds: float = STATE_SECONDS

    def is_due(self) -> bool:
        """Whether its state may be written again."""
        return time.monotonic() - self.written >= self.pause_seconds


class StatefulSink(ABC, Generic[States]):
    """Applies runs to the states of their partition and sends what comes of it.

    Args:
        state: the changelog.
        session_timeout_seconds: after which time a frozen owner has lost its partitions.
    """

    def __init__(self, state: StateLog, session_timeout_seconds: float) -> None:
        self._state = state
        self._session_timeout_seconds = session_timeout_seconds
        self._partitions: dict[int, Owned[States]] = {}

    #: Whether records that cannot be read are applied, too, since they lead to dead letters.
    takes_unreadable = True

    @abstractmethod
    def take_over(self, partition: int, rows: Mapping[bytes, bytes], log: SourceLog) -> States:
        """The states that rows hold, to go on from. Runs in a thread: nothing but the states may be touched.

        Raises:
            OtherLog: they were made of another log than the one that is there.
        """

    def taken_over(self, partition: int, states: States) -> None:
        """A partition is ours now."""

    @abstractmethod
    async def take_effect(self, partition: int, states: States, records: Sequence[ConsumerRecord]) -> None:
        """Apply a run to the states and send what comes of it; returns when that is acknowledged."""

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Take over partitions: their state rows say where to read on. See `RunSink.load`."""
        loaded = await self._state.load(partitions)
        now = time.monotonic()
        starts = {}
        for partition in partitions:
            # decoding the rows of thousands of cameras is no work for an event loop
            states = await asyncio.to_thread(self.take_over, partition, dict(loaded[partition]), log)
            self.taken_over(partition, states)
            rewrite_at = now + _SESSIONS_BEFORE_REWRITE * self._session_timeout_seconds
            self._partitions[partition] = Owned(states, now, rewrite_at, asyncio.Lock(), now)
            starts[partition] = states.applied + 1
        return starts

    def release(self, partitions: Collection[int]) -> None:
        """Forget the decoded state; the rows stay for the next time."""
        for partition in partitions:
            self._partitions.pop(partition, None)

    def is_waiting(self) -> bool:
        """Kafka is the only store: when it is away, there are no records to wait with."""
        return False

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Apply a run; returns when what came of it is acknowledged."""
        one = self._partitions[partition]
        async with one.lock:
            one.dirty, one.applied = True, time.monotonic()
            try:
                await self.take_effect(partition, one.states, records)
            except BaseException:
                # half-applied, so it must not be written by whoever gets the lock next
                if self._partitions.get(partition) is one:
                    del self._partitions[partition]
                raise
            if still_owned() and one.is_due():
                await self._write_state(partition, one)

    async def write_pending_state(self) -> None:
        """Write the state of partitions whose runs have been waiting for it."""
        for partition, one in list(self._partitions.items()):
            if not one.dirty or not one.is_due() or one.lock.locked():
                continue
            async with one.lock:
                if self._partitions.get(partition) is one:
                    await self._write_state(partition, one)

    async def flush(self) -> None:
        """Write all state that is not written yet; returns when it is acknowledged."""
        for partition, one in list(self._partitions.items()):
            async with one.lock:
                if one.dirty and self._partitions.get(partition) is one:
                    await self._write_state(partition, one)
        await self._state.flush()

    async def _write_state(self, partition: int, one: Owned[States]) -> None:
        now = time.monotonic()
        everything = now >= one.rewrite_at
        if everything:
            one.rewrite_at = now + _REWRITE_SECONDS
        rows: list[tuple[bytes, bytes]] = []
        total_bytes = pending_bytes = 0
        for key, row in one.states.all_rows() if everything else one.states.changed_rows():
            rows.append((key, row))
            total_bytes += len(row)
            pending_bytes += len(row)
            if pending_bytes > _ROWS_AT_ONCE_BYTES:
                pending_bytes = 0
                await asyncio.sleep(0)
        one.written, one.dirty = now, False
        one.pause_seconds = max(STATE_SECONDS, total_bytes / _STATE_BYTES_PER_SECOND)
        await self._state.write(partition, rows)


async def acknowledged(acknowledgements: Sequence[asyncio.Future[RecordMetadata]], what: str) -> list[RecordMetadata]:
    """Wait until the broker has taken what was sent; a record that it does not take ends the process."""
    try:
        return [await acknowledgement for acknowledgement in acknowledgements]
    except asyncio.CancelledError:
        raise
    except Exception as error:
        end_process(Exit.SEND_FAILED, f"{what}: {error!r}")
