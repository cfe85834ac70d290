"""Reading one topic in runs: order, holes, ownership.

A `RunReader` stands between the consumer and a `RunSink`. It makes sure that the sink sees every
record of a partition once and in order while the partition is ours, whatever rebalances, seeks and
cleared buffers do to the stream of runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from models.records import why_unreadable
from trafficapp.batching.runs import Run
from trafficapp.engine.fatal import Exit, end_process
from trafficapp.engine.sink import RunSink
from trafficapp.engine.state_rows import UNTOLD, SourceLog

logger = logging.getLogger(__name__)

#: Runs of one partition that may wait for their turn; more only costs memory.
_WAITING_RUNS = 2

#: Of runs that are applied as one, no other is added beyond so many records.
_RECORDS_TOGETHER = 4000

#: A hole that seeking back has not closed for this long ends the process.
_HOLE_SECONDS = 20.0
_SEEK_AGAIN_SECONDS = 2.0

#: Asks the consumer to read a partition again from an offset.
SeekBack = Callable[[int, int], Awaitable[None]]

#: Tells the first offset of a partition that was not deleted.
LogStart = Callable[[int], Awaitable[int]]


class Watcher(Protocol):
    """Is told what happens to the records of a topic between Kafka and its sink."""

    def lost(self, topic: str, partition: int, first: int, last: int) -> None:
        """Records from the one offset to the other were deleted before they were read."""
        ...

    def left_out(self, topic: str, partition: int, count: int, offset: int, reason: str) -> None:
        """Records cannot be read, the first of them at an offset for a reason, and the sink does not take such."""
        ...


@dataclass(slots=True)
class _Hole:
    """Records are due, and others came: those on their way were dropped, or those in the log deleted.

    Attributes:
        since: when it was found.
        sought: when the consumer was last sought back to read again what is due.
    """

    since: float
    sought: float = -inf


@dataclass(slots=True)
class _Loaded:
    """A partition that is ours.

    Attributes:
        next_offset: the record to be applied next.
        held: a run that was taken and does not go on where the one before it ended.
    """

    partition: int
    next_offset: int
    runs: asyncio.Queue[Run] = field(default_factory=lambda: asyncio.Queue(_WAITING_RUNS))
    worker: asyncio.Task[None] | None = None
    held: Run | None = None
    hole: _Hole | None = None

    def drain(self) -> None:
        """Drop the runs that nobody takes any more; a `submit` that waits for room gets it."""
        while not self.runs.empty():
            self.runs.get_nowait()


class RunReader:
    """Hands the runs of one topic to a sink.

    Args:
        topic: its name.
        sink: where the runs go.
        log_start: looks into the log itself, to tell a dropped run from records that were deleted.
        watcher: is told what does not reach the sink.
    """

    def __init__(self, topic: str, sink: RunSink, log_start: LogStart, watcher: Watcher) -> None:
        self.topic = topic
        self.sink = sink
        self.epoch = 0
        self._log_start = log_start
        self._watcher = watcher
        self._takes_unreadable = bool(getattr(sink, "takes_unreadable", False))
        self._takes_runs_together = bool(getattr(sink, "takes_runs_together", False))
        self._seek_back: SeekBack | None = None
        self._loaded: dict[int, _Loaded] = {}
        self._asked_for: set[int] = set()
        self._clock = time.monotonic

    @property
    def parts(self) -> tuple[RunReader, ...]:
        """The readers of the sinks: this one, which has one."""
        return (self,)

    def reached(self, wanted: Mapping[int, int]) -> dict[int, int]:
        """How far the sink has come in partitions that were loaded."""
        return dict(wanted)

    def bind(self, seek_back: SeekBack) -> None:
        """Connect the reader to the consumer that feeds it."""
        self._seek_back = seek_back

    @property
    def partitions(self) -> frozenset[int]:
        """Partitions that are ours and loaded."""
        return frozenset(self._loaded)

    def next_offset(self, partition: int) -> int | None:
        """Offset after the last applied record, None while the partition is not loaded."""
        loaded = self._loaded.get(partition)
        return None if loaded is None else loaded.next_offset

    def release(self) -> None:
        """Give up all partitions; what is on its way is dropped."""
        self.epoch += 1
        loaded, self._loaded = self._loaded, {}
        for one in loaded.values():
            if one.worker is not None:
                one.worker.cancel()
            one.drain()
        partitions, self._asked_for = loaded.keys() | self._asked_for, set()
        if partitions:
            self.sink.release(sorted(partitions))

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Ask the sink where to read on; the partitions are not ours before `own`.

        Raises:
            OtherLog: what the sink keeps is of another topic of that name.
        """
        self._asked_for |= set(partitions)
        return await self.sink.load(partitions, log)

    def own(self, starts: dict[int, int]) -> None:
        """Take partitions over, to be read from the given offsets."""
        for partition, offset in starts.items():
            loaded = self._loaded[partition] = _Loaded(partition, offset)
            loaded.worker = asyncio.create_task(self._work(loaded), name=f"apply {self.topic}-{partition}")

    async def submit(self, run: Run) -> None:
        """Take a run from the stream; waits while the partition has enough to do."""
        loaded = self._loaded.get(run.partition)
        if loaded is None or run.epoch != self.epoch:
            return
        await loaded.runs.put(run)
        if not self._owns(loaded):
            loaded.drain()

    async def _work(self, loaded: _Loaded) -> None:
        try:
            while True:
                run, loaded.held = loaded.held or await loaded.runs.get(), None
                if not await self._is_due(loaded, run):
                    continue
                records, end = self._wanted(loaded, run), run.end
                while self._takes_runs_together and len(records) < _RECORDS_TOGETHER and not loaded.runs.empty():
                    more = loaded.runs.get_nowait()
                    if more.begin != end:
                        loaded.held = more
                        break
                    records, end = [*records, *self._wanted(loaded, more)], more.end
                if records:
                    await self.sink.apply(loaded.partition, records, lambda: self._owns(loaded))
                if not self._owns(loaded):
                    return
                loaded.next_offset = end
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException:
            # half-applied memory must not live on: the next process starts from what is durable
            logger.exception("%s-%d: applying a run failed", self.topic, loaded.partition)
            end_process(Exit.APPLY_FAILED, f"{self.topic}-{loaded.partition}")

    def _owns(self, loaded: _Loaded) -> bool:
        return self._loaded.get(loaded.partition) is loaded

    async def _is_due(self, loaded: _Loaded, run: Run) -> bool:
        """Whether a run goes on where the one before ended; what lies between its bounds and is missing is no hole."""
        if run.begin > loaded.next_offset:
            await self._mend_hole(loaded, run.begin)
        is_due = run.begin <= loaded.next_offset < run.end
        if is_due:
            loaded.hole = None
        return is_due

    def _wanted(self, loaded: _Loaded, run: Run) -> Sequence[ConsumerRecord]:
        """The records of a run that are due and that the sink takes."""
        due = loaded.next_offset
        records = run if run.begin >= due else [record for record in run if record.offset >= due]
        if not run.unreadable or self._takes_unreadable:
            return records
        unreadable = [(record.offset, reason) for record in records if (reason := why_unreadable(record)) is not None]
        if unreadable:
            self._watcher.left_out(self.topic, loaded.partition, len(unreadable), *unreadable[0])
        return [record for record in records if why_unreadable(record) is None]

    async def _mend_hole(self, loaded: _Loaded, begin: int) -> None:
        """Do what closes a hole before an offset: step over what was deleted, have the rest of it read again."""
        now = self._clock()
        hole = loaded.hole = loaded.hole or _Hole(now)
        if now - hole.since > _HOLE_SECONDS:
            end_process(Exit.HOLE, f"{self.topic}-{loaded.partition} due {loaded.next_offset} got {begin}")
        if now - hole.sought <= _SEEK_AGAIN_SECONDS:
            # this run was on its way before what was read again
            return
        kept = await self._first_kept(loaded.partition)
        if kept is None:
            return
        self._step_over_deleted(loaded, min(kept, begin))
        if loaded.next_offset < begin:
            hole.sought = now
            logger.info("%s-%d: due %d, got %d; reading again", self.topic, loaded.partition, loaded.next_offset, begin)
            if self._seek_back is not None:
                await self._seek_back(loaded.partition, loaded.next_offset)

    async def _first_kept(self, partition: int) -> int | None:
        """The first offset of a partition that was not deleted; None when the log cannot be looked into now."""
        try:
            return await self._log_start(partition)
        except (KafkaError, OSError) as error:
            logger.warning("%s-%d: could not look into the log: %r", self.topic, partition, error)
            return None

    def _step_over_deleted(self, loaded: _Loaded, kept: int) -> None:
        """Go on at an offset before which everything was deleted."""
        if kept > loaded.next_offset:
            self._watcher.lost(self.topic, loaded.partition, loaded.next_offset, kept - 1)
            loaded.next_offset = kept
