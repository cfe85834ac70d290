"""One topic read once for several sinks: each has its own offset, and none waits long for another.

A `SharedReader` is to the consumer what a `RunReader` is, and hands each run to the reader of every sink. What keeps
records in order, without holes and without repeats is in those readers and is the same as when they are alone: a run
that a sink has had already is passed over by its offsets.

A sink whose store is away, or that is slower than the others, would hold all of them up. It is left behind instead:
what is fetched for the others passes it by, and it is read for by itself, from where it is, until it has caught up with
them. So is one whose store does not say where to read on. So Postgres may be away for an hour, also when a process
starts, while windows and the present go on, as with processes of their own (docs/decisions/0032).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from aiokafka.errors import KafkaError

from trafficapp.batching.runs import Run
from trafficapp.engine.fatal import Exit, end_process
from trafficapp.engine.ownership import refuse_other_log
from trafficapp.engine.reader import RunReader, SeekBack
from trafficapp.engine.state_rows import UNTOLD, OtherLog, SourceLog

logger = logging.getLogger(__name__)

#: How long others wait for a sink that takes no run. Longer than the pause behind a transaction of a busy process.
PATIENCE_SECONDS = 5.0

#: Sinks that begin no more than so many records apart are read for together from the first of these on.
NEAR_RECORDS = 20_000

#: How often a take-over looks whether all that it waits for are sinks whose stores are away.
LOAD_SECONDS = 10.0

_AGAIN_SECONDS = 1.0
_LOOK_SECONDS = 0.05

#: Reads a partition from an offset on, without end; raises KafkaError or OSError when the broker is away.
ReadFrom = Callable[[int, int], AsyncGenerator[Run, None]]

#: Ends the process when a topic ends before what sinks have applied of it: offsets by partition, and whose they are.
CheckEnds = Callable[[Mapping[int, int], object], Awaitable[None]]


@dataclass(slots=True)
class _Member:
    """The reader of one sink.

    Attributes:
        wanted: by partition, the offset that its sink wants to be read from.
        behind: tasks that read for it alone, by partition.
        sought: where such a task is to read again, since runs were dropped on their way.
        late: waits until its sink knows where to read on; until then it is handed nothing.
    """

    reader: RunReader
    wanted: dict[int, int] = field(default_factory=dict)
    behind: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    sought: dict[int, int] = field(default_factory=dict)
    late: asyncio.Task[None] | None = None


class SharedReader:
    """Hands the runs of one topic to several sinks.

    Args:
        topic: its name.
        read_from: reads for a sink alone.
        check_ends: asked of a sink that says later than others where to read on.
        patience_seconds: how long others wait for a sink.
        near_records: how far apart sinks may begin that are read for together.
        load_seconds: how long all wait for sinks whose stores are away, to hear where to read on.
    """

    def __init__(
        self,
        topic: str,
        read_from: ReadFrom,
        check_ends: CheckEnds,
        patience_seconds: float = PATIENCE_SECONDS,
        near_records: int = NEAR_RECORDS,
        load_seconds: float = LOAD_SECONDS,
    ) -> None:
        self.topic = topic
        self._read_from = read_from
        self._patience_seconds = patience_seconds
        self._check_ends = check_ends
        self._near_records = near_records
        self._load_seconds = load_seconds
        self._members: list[_Member] = []
        self._seek_back: SeekBack | None = None
        #: Sinks that are asked where to read on.
        self._loading: set[asyncio.Future[dict[int, int]]] = set()
        #: Where each partition is read from for all that begin near to each other, and how far it was handed on.
        self._starts: dict[int, int] = {}
        self._handed_to: dict[int, int] = {}

    def add(self, reader: RunReader) -> None:
        """Have the runs handed to another reader, too; before any is."""
        self._members.append(_Member(reader))

    @property
    def parts(self) -> tuple[RunReader, ...]:
        """The readers of the sinks."""
        return tuple(member.reader for member in self._members)

    @property
    def epoch(self) -> int:
        """The assignment; that of all readers, which are given up together."""
        return self._members[0].reader.epoch

    @property
    def partitions(self) -> frozenset[int]:
        """Partitions that are ours, and loaded by all sinks but those that are late."""
        return frozenset(self._handed_to)

    def next_offset(self, partition: int) -> int | None:
        """Offset after the last record that all sinks have applied but late ones, None while none has loaded it."""
        offsets = [member.reader.next_offset(partition) for member in self._members]
        return min((offset for offset in offsets if offset is not None), default=None)

    def bind(self, seek_back: SeekBack) -> None:
        """Connect the readers to the consumer that feeds them."""
        self._seek_back = seek_back
        for member in self._members:
            member.reader.bind(partial(self._seek_back_for, member))

    def release(self) -> None:
        """Give up all partitions; what is on its way is dropped."""
        for load in self._loading:
            load.cancel()
        self._loading.clear()
        for member in self._members:
            for task in member.behind.values():
                task.cancel()
            member.behind.clear()
            member.sought.clear()
            if member.late is not None:
                member.late.cancel()
                member.late = None
            member.reader.release()
        self._starts.clear()
        self._handed_to.clear()

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Ask the sinks where to read on; the partitions are not ours before `own`.

        Returns:
            for each partition where to read on for those that are farthest, and for whoever is near to them.

        Raises:
            OtherLog: what a sink keeps is of another topic of that name.
        """
        loading = {asyncio.ensure_future(member.reader.load(partitions, log)): member for member in self._members}
        self._loading = set(loading)
        waiting = set(loading)
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=self._load_seconds)
            if all(loading[load].reader.sink.is_waiting() for load in waiting):
                break
        for load, member in loading.items():
            if load.done():
                member.wanted = load.result()
            else:
                logger.warning("%s: %r does not say yet where to read on", self.topic, member.reader.sink)
                member.late = asyncio.create_task(self._load_late(member, load), name=f"load {self.topic}")
        for number in partitions:
            # where nobody knows yet, it is read through from its beginning, and each for itself later
            dues = [member.wanted[number] for member in self._members if member.late is None] or [0]
            self._starts[number] = min(due for due in dues if due >= max(dues) - self._near_records)
        return {number: self._starts[number] for number in partitions}

    def reached(self, wanted: Mapping[int, int]) -> dict[int, int]:
        """How far the sink that is farthest has come in partitions that were loaded."""
        known = [member.wanted for member in self._members if member.late is None]
        return {number: max((one[number] for one in known), default=0) for number in wanted}

    async def _load_late(self, member: _Member, load: asyncio.Future[dict[int, int]]) -> None:
        """Take partitions over for a sink whose store was away when the others did, and read for it alone."""
        try:
            member.wanted = await load
            await self._check_ends(member.wanted, member.reader.sink)
            # those who take over at the same time come first
            while not self._handed_to.keys() >= member.wanted.keys():  # noqa: ASYNC110 - at most once an outage
                await asyncio.sleep(_LOOK_SECONDS)
        except OtherLog as error:
            refuse_other_log(self.topic, error)
        except Exception:
            logger.exception("%s: taking over for %r failed", self.topic, member.reader.sink)
            end_process(Exit.NOT_LOADED, f"{self.topic} for {member.reader.sink!r}")
        member.late = None
        member.reader.own(dict(member.wanted))
        for number in member.wanted:
            self._leave_behind(member, number)

    def own(self, starts: dict[int, int]) -> None:
        """Take partitions over, to be read from the given offsets; for who is far behind these, from where it is."""
        self._handed_to |= starts
        for member in self._members:
            if member.late is not None:
                continue
            is_far = {number: member.wanted[number] < self._starts[number] for number in starts}
            member.reader.own(
                {
                    number: member.wanted[number] if is_far[number] else max(member.wanted[number], start)
                    for number, start in starts.items()
                }
            )
            for number in starts:
                if is_far[number]:
                    self._leave_behind(member, number)

    async def submit(self, run: Run) -> None:
        """Take a run from the stream; waits a while for sinks that have enough to do."""
        if run.epoch != self.epoch:
            return
        self._handed_to[run.partition] = run.end
        for member in self._members:
            if member.late is not None or run.partition in member.behind:
                continue
            if len(self._members) == 1:
                await member.reader.submit(run)
                continue
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await member.reader.submit(run)
            except TimeoutError:
                if run.epoch == self.epoch:
                    self._leave_behind(member, run.partition)

    def _leave_behind(self, member: _Member, partition: int) -> None:
        due = member.reader.next_offset(partition)
        place = (self.topic, partition, member.reader.sink)
        logger.info("%s-%d: %r is behind at %s and is read for by itself", *place, due)
        name = f"catch up {self.topic}-{partition}"
        member.behind[partition] = asyncio.create_task(self._catch_up(member, partition), name=name)

    async def _catch_up(self, member: _Member, partition: int) -> None:
        """Read for a sink alone until it has had what was handed to the others."""
        reader = member.reader
        while (due := reader.next_offset(partition)) is not None:
            offset = member.sought.pop(partition, due)
            try:
                async with aclosing(self._read_from(partition, offset)) as runs:
                    async for run in runs:
                        run.epoch, run.partition = reader.epoch, partition
                        await reader.submit(run)
                        if partition in member.sought:
                            break
                        if run.end >= self._handed_to[partition]:
                            # the next run that is handed to all goes on there, or before
                            del member.behind[partition]
                            logger.info("%s-%d: %r has caught up", self.topic, partition, reader.sink)
                            return
            except (KafkaError, OSError) as error:
                logger.warning("%s-%d: reading behind the others failed: %r", self.topic, partition, error)
                await asyncio.sleep(_AGAIN_SECONDS)
            except Exception:
                # nobody else would read for this sink any more
                logger.exception("%s-%d: reading behind the others failed", self.topic, partition)
                end_process(Exit.STALLED, f"{self.topic}-{partition} is not read for {reader.sink!r}")

    async def _seek_back_for(self, member: _Member, partition: int, offset: int) -> None:
        """Have runs read again that were dropped on their way to a sink."""
        if partition in member.behind:
            member.sought[partition] = offset
        elif self._seek_back is not None:
            await self._seek_back(partition, offset)
