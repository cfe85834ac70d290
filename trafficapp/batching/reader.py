"""Reading one topic in runs: order, holes, ownership.

A `RunReader` stands between the consumer and a `RunSink`. It makes sure that the sink sees every
record of a partition once and in order while the partition is ours, whatever rebalances, seeks and
cleared buffers do to the stream of runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord

from trafficapp.batching.fatal import Exit, end_process
from trafficapp.batching.sink import RunSink

logger = logging.getLogger(__name__)

#: Runs of one partition that may wait for their turn; more only costs memory.
_WAITING_RUNS = 2

#: A hole that seeking back has not closed for this long ends the process.
_HOLE_SECONDS = 20.0
_SEEK_AGAIN_SECONDS = 2.0


class Run(list[ConsumerRecord]):
    """Consecutive records of one partition as they were fetched, and the assignment they belong to."""

    __slots__ = ("epoch", "partition")
    epoch: int
    partition: int


#: Asks the consumer to read a partition again from an offset.
SeekBack = Callable[[int, int], Awaitable[None]]

#: Tells the first offset at or after the given one that a partition really holds.
FirstOffset = Callable[[int, int], Awaitable[int]]


@dataclass(slots=True)
class _Loaded:
    """A partition that is ours.

    Attributes:
        next_offset: the record to be applied next.
    """

    partition: int
    next_offset: int
    runs: asyncio.Queue[Run] = field(default_factory=lambda: asyncio.Queue(_WAITING_RUNS))
    worker: asyncio.Task[None] | None = None
    hole_since: float | None = None
    sought: float = 0.0

    def drain(self) -> None:
        """Drop the runs that nobody takes any more; a `submit` that waits for room gets it."""
        while not self.runs.empty():
            self.runs.get_nowait()


class RunReader:
    """Hands the runs of one topic to a sink.

    Args:
        topic: its name.
        sink: where the runs go.
        first_offset: looks into the log itself, to tell a dropped run from offsets that hold no record.
    """

    def __init__(self, topic: str, sink: RunSink, first_offset: FirstOffset) -> None:
        self.topic = topic
        self.sink = sink
        self.epoch = 0
        self._first_offset = first_offset
        self._seek_back: SeekBack | None = None
        self._loaded: dict[int, _Loaded] = {}
        self._asked_for: set[int] = set()
        self._clock = time.monotonic

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

    async def load(self, partitions: Collection[int]) -> dict[int, int]:
        """Ask the sink where to read on; the partitions are not ours before `own`."""
        self._asked_for |= set(partitions)
        return await self.sink.load(partitions)

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
                run = await loaded.runs.get()
                records = await self._expected(loaded, run)
                if not records:
                    continue
                await self.sink.apply(loaded.partition, records, lambda: self._owns(loaded))
                if not self._owns(loaded):
                    return
                loaded.next_offset = records[-1].offset + 1
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException:
            # half-applied memory must not live on: the next process starts from what is durable
            logger.exception("%s-%d: applying a run failed", self.topic, loaded.partition)
            end_process(Exit.APPLY_FAILED, f"{self.topic}-{loaded.partition}")

    def _owns(self, loaded: _Loaded) -> bool:
        return self._loaded.get(loaded.partition) is loaded

    async def _expected(self, loaded: _Loaded, run: Run) -> Sequence[ConsumerRecord]:
        """The records of a run that are due; none when the run begins beyond them."""
        first, last = run[0].offset, run[-1].offset
        due = loaded.next_offset
        if last < due:
            return ()
        if first > due and not await self._no_record_between(loaded, first):
            return ()
        loaded.hole_since = None
        loaded.sought = 0.0
        if first >= due:
            return run
        return [record for record in run if record.offset >= due]

    async def _no_record_between(self, loaded: _Loaded, first: int) -> bool:
        """A run begins beyond the due record: was a run dropped on its way, or is there nothing?

        Transaction markers and deleted records leave offsets without a record. Everything else is
        read again.
        """
        partition, due, now = loaded.partition, loaded.next_offset, self._clock()
        if loaded.hole_since is None:
            loaded.hole_since = now
        if now - loaded.hole_since > _HOLE_SECONDS:
            end_process(Exit.HOLE, f"{self.topic}-{partition} due {due} got {first}")
        if now - loaded.sought <= _SEEK_AGAIN_SECONDS:
            return False
        if await self._first_offset(partition, due) >= first:
            return True
        loaded.sought = now
        logger.info("%s-%d: due %d, got %d; reading again", self.topic, partition, due, first)
        if self._seek_back is not None:
            await self._seek_back(partition, due)
        return False
