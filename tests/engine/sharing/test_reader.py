"""Each of several sinks sees every record once and in order, however the others do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from trafficapp.batching.runs import Run
from trafficapp.engine.reader import RunReader
from trafficapp.engine.sharing.reader import SharedReader
from trafficapp.engine.state_rows import UNTOLD, SourceLog

_PATIENCE_SECONDS = 0.02


class Record:
    """All of a record that a reader looks at."""

    headers = ()

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Sink:
    """Remembers what it is given; it can be made to wait."""

    takes_unreadable = True

    def __init__(self, start: int = 0) -> None:
        self.start, self.applied = start, list[int]()
        self.goes_on, self.is_there = asyncio.Event(), asyncio.Event()
        self.goes_on.set()
        self.is_there.set()

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        await self.is_there.wait()
        return dict.fromkeys(partitions, self.start)

    async def apply(self, partition: int, records: Sequence[Any], still_owned: Callable[[], bool]) -> None:
        await self.goes_on.wait()
        self.applied.extend(record.offset for record in records)

    def release(self, partitions: Collection[int]) -> None:
        pass

    def is_waiting(self) -> bool:
        return not (self.goes_on.is_set() and self.is_there.is_set())


class Watcher:
    """Nothing is lost here."""

    def lost(self, *_: Any) -> None:
        raise AssertionError

    def left_out(self, *_: Any) -> None:
        raise AssertionError


class Place:
    """A log of one partition, and sinks that share it."""

    def __init__(self, *sinks: Sink, near_records: int = 100) -> None:
        self.sinks, self.end, self.read_from, self.fails = sinks, 0, list[int](), 0
        self.grew = asyncio.Event()
        self.sought: list[int] = []
        self.reader = SharedReader(
            "topic", self._read_from, self._check_ends, _PATIENCE_SECONDS, near_records, _PATIENCE_SECONDS
        )
        self.checked: list[int] = []
        for sink in sinks:
            self.reader.add(RunReader("topic", sink, self._start, Watcher()))
        self.reader.bind(self._seek_back)

    async def take_over(self) -> int:
        """Own the partition; where it is read from for all."""
        starts = await self.reader.load([0])
        self.reader.own(starts)
        return starts[0]

    def run(self, begin: int, end: int) -> Run:
        run = Run(Record(offset) for offset in range(begin, end))
        run.epoch, run.partition, run.unreadable, run.begin, run.end = self.reader.epoch, 0, 0, begin, end
        self.end = max(end, self.end)
        self.grew.set()
        return run

    async def submit(self, begin: int, end: int) -> None:
        await self.reader.submit(self.run(begin, end))

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not is_so():  # noqa: ASYNC110 - what is waited for is a sum of what several tasks do
                await asyncio.sleep(0.001)

    async def _read_from(self, partition: int, offset: int) -> AsyncGenerator[Run, None]:
        self.read_from.append(offset)
        if self.fails:
            self.fails -= 1
            raise KafkaConnectionError("away")
        while True:
            while offset < self.end:
                end = min(offset + 7, self.end)
                yield self.run(offset, end)
                offset = end
            self.grew.clear()
            await self.grew.wait()

    async def _check_ends(self, wanted: Mapping[int, int], sink: object) -> None:
        self.checked.append(wanted[0])

    async def _start(self, partition: int) -> int:
        return 0

    async def _seek_back(self, partition: int, offset: int) -> None:
        self.sought.append(offset)


@pytest.fixture
async def places() -> AsyncIterator[list[Place]]:
    """Places that are given up at the end."""
    found: list[Place] = []
    yield found
    for place in found:
        for sink in place.sinks:
            sink.goes_on.set()
        place.reader.release()


async def test_sinks_at_different_offsets_each_get_what_is_due(places: list[Place]) -> None:
    first, second = Sink(5), Sink(12)
    place = Place(first, second)
    places.append(place)
    assert await place.take_over() == 5
    assert place.reader.reached({0: 5}) == {0: 12}
    for begin in range(5, 25, 5):
        await place.submit(begin, begin + 5)
    await place.until(lambda: place.reader.next_offset(0) == 25)
    assert (first.applied, second.applied) == ([*range(5, 25)], [*range(12, 25)])
    assert place.read_from == []


async def test_a_sink_that_waits_holds_nobody_up_and_catches_up(places: list[Place]) -> None:
    waiting, other = Sink(), Sink()
    place = Place(waiting, other)
    places.append(place)
    await place.take_over()
    waiting.goes_on.clear()
    for begin in range(0, 200, 10):
        await place.submit(begin, begin + 10)
    await place.until(lambda: other.applied == [*range(200)])
    assert waiting.applied == []
    assert place.reader.next_offset(0) == 0, "what one has not done is not reported as done"
    waiting.goes_on.set()
    await place.until(lambda: waiting.applied == [*range(200)])
    read_before = len(place.read_from)
    await place.submit(200, 210)
    await place.until(lambda: place.reader.next_offset(0) == 210)
    assert waiting.applied == other.applied == [*range(210)]
    assert len(place.read_from) == read_before, "it is with the others again"


async def test_a_sink_that_begins_far_behind_is_read_for_by_itself(places: list[Place]) -> None:
    behind, other = Sink(3), Sink(5_000)
    place = Place(behind, other)
    places.append(place)
    place.end, place.fails = 5_000, 1
    assert await place.take_over() == 5_000
    await place.submit(5_000, 5_010)
    await place.until(lambda: other.applied == [*range(5_000, 5_010)])
    await place.until(lambda: place.reader.next_offset(0) == 5_010)
    assert behind.applied == [*range(3, 5_010)]
    assert place.read_from == [3, 3], "an outage of the broker is waited out"


async def test_a_sink_whose_store_is_away_at_the_start_comes_later(places: list[Place]) -> None:
    away, other = Sink(90), Sink(100)
    place = Place(away, other)
    places.append(place)
    place.end = 100
    away.is_there.clear()
    assert await place.take_over() == 100
    assert place.reader.partitions == {0}
    await place.submit(100, 110)
    await place.until(lambda: other.applied == [*range(100, 110)])
    assert place.reader.next_offset(0) == 110
    away.is_there.set()
    await place.until(lambda: away.applied == [*range(90, 110)])
    assert place.checked == [90]
    await place.submit(110, 120)
    await place.until(lambda: away.applied == [*range(90, 120)])
    assert place.read_from == [90], "it is with the others again"


async def test_nothing_is_taken_over_late_that_was_given_up_meanwhile(places: list[Place]) -> None:
    away, other = Sink(90), Sink(100)
    place = Place(away, other)
    places.append(place)
    away.is_there.clear()
    await place.take_over()
    place.reader.release()
    away.is_there.set()
    await asyncio.sleep(0.2)
    assert (place.reader.partitions, place.reader.parts[0].partitions, place.checked) == (frozenset(), frozenset(), [])


async def test_the_only_sink_of_a_topic_may_come_later_too(places: list[Place]) -> None:
    away = Sink(90)
    place = Place(away)
    places.append(place)
    away.is_there.clear()
    assert await place.take_over() == 0
    for begin in range(0, 200, 10):
        await place.submit(begin, begin + 10)
    away.is_there.set()
    await place.until(lambda: away.applied == [*range(90, 200)])
    await place.submit(200, 210)
    await place.until(lambda: away.applied == [*range(90, 210)])


async def test_what_was_dropped_on_its_way_is_read_again_for_all(places: list[Place]) -> None:
    first, second = Sink(), Sink()
    place = Place(first, second)
    places.append(place)
    await place.take_over()
    await place.submit(0, 5)
    await place.submit(10, 15)
    await place.until(lambda: place.sought == [5, 5])
    await place.submit(5, 10)
    await place.submit(10, 15)
    await place.until(lambda: place.reader.next_offset(0) == 15)
    assert first.applied == second.applied == [*range(15)]


async def test_given_up_while_one_is_behind(places: list[Place]) -> None:
    waiting, other = Sink(), Sink()
    place = Place(waiting, other)
    places.append(place)
    await place.take_over()
    waiting.goes_on.clear()
    for begin in range(0, 100, 10):
        await place.submit(begin, begin + 10)
    old = place.run(100, 110)
    place.reader.release()
    await place.reader.submit(old)
    waiting.goes_on.set()
    await asyncio.sleep(0.01)
    assert place.reader.partitions == frozenset()
    waiting.start = other.start = 50
    assert await place.take_over() == 50
    await place.submit(50, 60)
    await place.until(lambda: place.reader.next_offset(0) == 60)
    assert waiting.applied == [*range(50, 60)]


@pytest.mark.parametrize("seed", range(5))
async def test_every_sink_sees_every_record_once(places: list[Place], seed: int) -> None:
    chance = random.Random(seed)
    sinks = [Sink(chance.choice([0, 3, 90, 400])) for _ in range(3)]
    place = Place(*sinks)
    places.append(place)
    place.end = 400
    at = await place.take_over()
    while at < 1_500:
        end = at + chance.randrange(1, 30)
        await place.submit(at, end)
        # now and then the stream is sought back, as somebody had it read again
        at = end - chance.randrange(0, 60) if chance.random() < 0.1 and end > 600 else end
        sink = chance.choice(sinks)
        (sink.goes_on.clear if chance.random() < 0.3 else sink.goes_on.set)()
        await asyncio.sleep(0)
    for sink in sinks:
        sink.goes_on.set()
    await place.until(lambda: place.reader.next_offset(0) == place.end)
    assert [sink.applied for sink in sinks] == [[*range(sink.start, place.end)] for sink in sinks]
