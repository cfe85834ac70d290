"""A sink sees every record once and in order, whatever the stream of runs does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest
from aiokafka.errors import KafkaError

from models.records import UNREADABLE
from trafficapp.batching.runs import Run
from trafficapp.engine import reader as reader_module
from trafficapp.engine.fatal import Exit
from trafficapp.engine.reader import RunReader
from trafficapp.engine.state_rows import UNTOLD, SourceLog


@dataclass
class PlainRecord:
    """All of a record that a reader looks at."""

    offset: int
    headers: Sequence[tuple[str, bytes]] = ()


class Sink:
    """Remembers what it is given; a partition can be made to wait."""

    takes_unreadable = False

    def __init__(self) -> None:
        self.applied: dict[int, list[int]] = {}
        self.owned: list[Callable[[], bool]] = []
        self.released: list[int] = []
        self.waits: dict[int, asyncio.Event] = {}
        self.fails = False
        self.start = 7
        self.logs: list[SourceLog] = []

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        self.logs.append(log)
        return dict.fromkeys(partitions, self.start)

    async def apply(self, partition: int, records: Sequence[Any], still_owned: Callable[[], bool]) -> None:
        if self.fails:
            raise ValueError("no")
        self.owned.append(still_owned)
        if partition in self.waits:
            await self.waits[partition].wait()
        self.applied.setdefault(partition, []).extend(record.offset for record in records)

    def release(self, partitions: Collection[int]) -> None:
        self.released += partitions

    def is_waiting(self) -> bool:
        return False


class Log:
    """Where a partition begins, how often that was asked, and the seeks that were asked for."""

    def __init__(self, start: int) -> None:
        self.begins = start
        self.looks = 0
        self.fails = False
        self.seeks: list[tuple[int, int]] = []

    async def start(self, partition: int) -> int:
        self.looks += 1
        if self.fails:
            raise KafkaError("away")
        return self.begins

    async def seek_back(self, partition: int, offset: int) -> None:
        self.seeks.append((partition, offset))


class Watcher:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def lost(self, topic: str, partition: int, first: int, last: int) -> None:
        self.told.append(("lost", topic, partition, first, last))

    def left_out(self, topic: str, partition: int, count: int, offset: int, reason: str) -> None:
        self.told.append(("left out", topic, partition, count, offset, reason))


class Setup:
    """A reader that owns partitions 0 and 1 from offset 0."""

    def __init__(self, log_start: int = 0, *, takes_unreadable: bool = False) -> None:
        self.sink, self.log, self.now = Sink(), Log(log_start), 1000.0
        self.watcher = Watcher()
        self.sink.takes_unreadable = takes_unreadable
        self.reader = RunReader("topic", self.sink, self.log.start, self.watcher)
        self.reader.bind(self.log.seek_back)
        self.reader._clock = lambda: self.now
        self.reader.own({0: 0, 1: 0})
        _setups.append(self)

    def run(
        self, *offsets: int, partition: int = 0, begin: int | None = None, end: int | None = None, bad: Any = ()
    ) -> Run:
        """A run with these records, of which the bad ones cannot be read; the log was read from begin to end for it."""
        run = Run(
            PlainRecord(offset, [(UNREADABLE, b"why %d" % offset)] if offset in bad else [("h", b"")])
            for offset in offsets
        )
        run.epoch, run.partition, run.unreadable = self.reader.epoch, partition, len(bad)
        run.begin = offsets[0] if begin is None else begin
        run.end = offsets[-1] + 1 if end is None else end
        return run

    async def submit(self, *offsets: int, **options: Any) -> None:
        await self.reader.submit(self.run(*offsets, **options))
        await settled()


_setups: list[Setup] = []


@pytest.fixture(autouse=True)
async def _released() -> AsyncIterator[None]:
    yield
    for setup in _setups:
        setup.reader.release()
    _setups.clear()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_runs_are_applied_in_order() -> None:
    setup = Setup()
    await setup.submit(0, 1, 2)
    await setup.submit(3, 4)
    assert setup.sink.applied == {0: [0, 1, 2, 3, 4]}
    assert (setup.reader.next_offset(0), setup.reader.next_offset(1), setup.reader.next_offset(2)) == (5, 0, None)


async def test_what_was_applied_is_not_applied_again() -> None:
    setup = Setup()
    await setup.submit(0, 1, 2)
    await setup.submit(1, 2)
    await setup.submit(2, 3, 4)
    assert setup.sink.applied == {0: [0, 1, 2, 3, 4]}


async def test_a_dropped_run_is_read_again_and_nothing_is_applied_after_the_hole() -> None:
    setup = Setup()
    await setup.submit(0, 1)
    await setup.submit(4, 5)
    assert setup.log.seeks == [(0, 2)]
    assert setup.sink.applied == {0: [0, 1]}
    await setup.submit(2, 3, 4, 5)
    await setup.submit(6)
    assert setup.sink.applied == {0: [0, 1, 2, 3, 4, 5, 6]}


async def test_seeking_back_is_not_repeated_for_every_run_that_is_on_its_way() -> None:
    setup = Setup()
    for first in (4, 6, 8):
        await setup.submit(first, first + 1)
    assert setup.log.seeks == [(0, 0)]
    setup.now += 3
    await setup.submit(10)
    assert setup.log.seeks == [(0, 0), (0, 0)]
    assert setup.sink.applied == {}


async def test_what_is_missing_within_the_bounds_of_a_run_is_no_hole_and_costs_no_look() -> None:
    setup = Setup()
    await setup.submit(0, 1)
    await setup.submit(5, 6, begin=2, end=9)
    await setup.submit(begin=9, end=10)
    await setup.submit(12, begin=10)
    assert setup.sink.applied == {0: [0, 1, 5, 6, 12]}
    assert setup.reader.next_offset(0) == 13
    assert (setup.log.seeks, setup.log.looks) == ([], 0)


async def test_a_run_without_a_record_moves_the_reader_on() -> None:
    setup = Setup()
    await setup.submit(begin=0, end=1)
    assert setup.reader.next_offset(0) == 1
    assert setup.sink.applied == {}
    await setup.submit(begin=0, end=1)
    assert setup.reader.next_offset(0) == 1


async def test_a_run_without_a_record_behind_a_dropped_one_shows_the_hole() -> None:
    setup = Setup()
    await setup.submit(begin=4, end=5)
    assert setup.log.seeks == [(0, 0)]
    assert setup.reader.next_offset(0) == 0


async def test_a_run_that_begins_before_what_is_due_is_applied_from_there() -> None:
    setup = Setup()
    await setup.submit(0, 1, 2)
    await setup.submit(2, 5, begin=1, end=8)
    assert setup.sink.applied == {0: [0, 1, 2, 5]}
    assert setup.reader.next_offset(0) == 8


async def test_deleted_records_are_told_and_reading_goes_on() -> None:
    setup = Setup()
    await setup.submit(0, 1)
    setup.log.begins = 5
    await setup.submit(6, 7, begin=5)
    assert setup.watcher.told == [("lost", "topic", 0, 2, 4)]
    assert setup.sink.applied == {0: [0, 1, 6, 7]}
    assert setup.log.seeks == []
    setup.log.begins = 30
    await setup.submit(20, begin=20)
    assert setup.watcher.told[1:] == [("lost", "topic", 0, 8, 19)]
    assert setup.sink.applied[0][-1] == 20


async def test_what_is_left_behind_deleted_records_is_read_again() -> None:
    setup = Setup()
    await setup.submit(0, 1)
    setup.log.begins = 4
    await setup.submit(9)
    assert setup.watcher.told == [("lost", "topic", 0, 2, 3)]
    assert setup.log.seeks == [(0, 4)]
    await setup.submit(4, 5, 6, 7, 8, 9)
    assert setup.sink.applied == {0: [0, 1, 4, 5, 6, 7, 8, 9]}


async def test_a_broker_that_does_not_say_where_the_log_begins_is_asked_again() -> None:
    setup = Setup()
    setup.log.fails = True
    await setup.submit(4)
    assert (setup.log.seeks, setup.sink.applied) == ([], {})
    setup.log.fails = False
    await setup.submit(5)
    assert setup.log.seeks == [(0, 0)]


async def test_records_that_cannot_be_read_are_left_out_and_told() -> None:
    setup = Setup()
    await setup.submit(0, 1, 2, 3, bad=(1, 2))
    await setup.submit(4, bad=(4,))
    await setup.submit(5)
    assert setup.sink.applied == {0: [0, 3, 5]}
    assert setup.reader.next_offset(0) == 6
    assert setup.watcher.told == [("left out", "topic", 0, 2, 1, "why 1"), ("left out", "topic", 0, 1, 4, "why 4")]


async def test_a_sink_that_makes_dead_letters_gets_records_that_cannot_be_read() -> None:
    setup = Setup(takes_unreadable=True)
    await setup.submit(0, 1, 2, bad=(1,))
    assert setup.sink.applied == {0: [0, 1, 2]}
    assert setup.watcher.told == []


async def test_a_hole_that_stays_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = record_ends(monkeypatch)
    setup = Setup()
    await setup.submit(4)
    setup.now += 19
    await setup.submit(5)
    assert ended == []
    setup.now += 2
    await setup.submit(6)
    assert ended[0] is Exit.HOLE


async def test_a_hole_that_was_closed_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = record_ends(monkeypatch)
    setup = Setup()
    await setup.submit(4)
    await setup.submit(0, 1, 2, 3, 4)
    setup.now += 60
    await setup.submit(7)
    assert ended == []
    assert setup.log.seeks == [(0, 0), (0, 5)]


async def test_runs_of_an_earlier_assignment_are_dropped() -> None:
    setup = Setup()
    stale = setup.run(0, 1)
    setup.reader.release()
    setup.reader.own({0: 0})
    await setup.reader.submit(stale)
    await settled()
    assert setup.sink.applied == {}


async def test_runs_of_partitions_that_are_not_ours_are_dropped() -> None:
    setup = Setup()
    await setup.submit(0, 1, partition=5)
    assert setup.sink.applied == {}


async def test_releasing_cancels_what_is_being_applied_and_tells_the_sink() -> None:
    setup = Setup()
    setup.sink.waits[0] = asyncio.Event()
    await setup.submit(0, 1)
    await setup.submit(2, 3)
    (still_owned,) = setup.sink.owned
    assert still_owned()
    setup.reader.release()
    setup.sink.waits[0].set()
    await settled()
    assert not still_owned()
    assert setup.sink.applied == {}
    assert setup.sink.released == [0, 1]
    assert setup.reader.partitions == frozenset()


async def test_a_partition_taken_over_again_does_not_look_owned_to_what_began_before() -> None:
    setup = Setup()
    setup.sink.waits[0] = asyncio.Event()
    await setup.submit(0, 1)
    setup.reader.release()
    setup.reader.own({0: 0})
    assert not setup.sink.owned[0]()


async def test_releasing_frees_a_stream_that_waits_for_room() -> None:
    setup = Setup()
    setup.sink.waits[0] = asyncio.Event()
    waiting = [asyncio.create_task(setup.reader.submit(setup.run(offset))) for offset in range(6)]
    await settled()
    assert not all(task.done() for task in waiting)
    setup.reader.release()
    await asyncio.wait_for(asyncio.gather(*waiting), 1)


async def test_partitions_are_applied_side_by_side() -> None:
    setup = Setup()
    setup.sink.waits[0] = asyncio.Event()
    await setup.submit(0, 1)
    await setup.submit(0, 1, partition=1)
    assert setup.sink.applied == {1: [0, 1]}
    setup.reader.release()


async def test_a_run_that_cannot_be_applied_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = record_ends(monkeypatch)
    setup = Setup()
    setup.sink.fails = True
    await setup.submit(0, 1)
    assert ended == [Exit.APPLY_FAILED]
    assert setup.reader.next_offset(0) == 0


async def test_the_sink_says_where_to_read_on() -> None:
    setup = Setup()
    assert await setup.reader.load([3, 4], SourceLog("id", 8)) == {3: 7, 4: 7}
    assert setup.sink.logs == [SourceLog("id", 8)]


def record_ends(monkeypatch: pytest.MonkeyPatch) -> list[Exit]:
    """Have ends of the process noted instead of carried out."""
    ended: list[Exit] = []

    def end_process(status: Exit, why: str) -> NoReturn:
        ended.append(status)
        raise asyncio.CancelledError

    monkeypatch.setattr(reader_module, "end_process", end_process)
    return ended
