"""A sink sees every record once and in order, whatever the stream of runs does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from trafficapp.batching import reader as reader_module
from trafficapp.batching.fatal import Exit
from trafficapp.batching.reader import Run, RunReader


@dataclass
class PlainRecord:
    """All of a record that a reader looks at."""

    offset: int


class Sink:
    """Remembers what it is given; a partition can be made to wait."""

    def __init__(self) -> None:
        self.applied: dict[int, list[int]] = {}
        self.owned: list[Callable[[], bool]] = []
        self.released: list[int] = []
        self.waits: dict[int, asyncio.Event] = {}
        self.fails = False

    async def load(self, partitions: Collection[int]) -> dict[int, int]:
        return dict.fromkeys(partitions, 7)

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
    """The offsets that a partition holds, and the seeks that were asked for."""

    def __init__(self, offsets: Collection[int]) -> None:
        self.offsets = sorted(offsets)
        self.seeks: list[tuple[int, int]] = []

    async def first_offset(self, partition: int, offset: int) -> int:
        return next(held for held in self.offsets if held >= offset)

    async def seek_back(self, partition: int, offset: int) -> None:
        self.seeks.append((partition, offset))


class Setup:
    """A reader that owns partitions 0 and 1 from offset 0."""

    def __init__(self, log: Collection[int] = range(100)) -> None:
        self.sink, self.log, self.now = Sink(), Log(log), 1000.0
        self.reader = RunReader("topic", self.sink, self.log.first_offset)
        self.reader.bind(self.log.seek_back)
        self.reader._clock = lambda: self.now
        self.reader.own({0: 0, 1: 0})
        _setups.append(self)

    def run(self, *offsets: int, partition: int = 0) -> Run:
        run = Run(PlainRecord(offset) for offset in offsets)
        run.epoch, run.partition = self.reader.epoch, partition
        return run

    async def submit(self, *offsets: int, partition: int = 0) -> None:
        await self.reader.submit(self.run(*offsets, partition=partition))
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


async def test_offsets_that_hold_no_record_are_no_hole() -> None:
    setup = Setup(log=[0, 1, 5, 6])
    await setup.submit(0, 1)
    await setup.submit(5, 6)
    assert setup.sink.applied == {0: [0, 1, 5, 6]}
    assert setup.log.seeks == []


async def test_a_gap_with_one_record_in_it_is_a_hole() -> None:
    setup = Setup(log=[0, 1, 4, 5, 6])
    await setup.submit(0, 1)
    await setup.submit(5, 6)
    assert setup.sink.applied == {0: [0, 1]}
    assert setup.log.seeks == [(0, 2)]


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
    assert await Setup().reader.load([3, 4]) == {3: 7, 4: 7}


def record_ends(monkeypatch: pytest.MonkeyPatch) -> list[Exit]:
    """Have ends of the process noted instead of carried out."""
    ended: list[Exit] = []

    def end_process(status: Exit, why: str) -> NoReturn:
        ended.append(status)
        raise asyncio.CancelledError

    monkeypatch.setattr(reader_module, "end_process", end_process)
    return ended
