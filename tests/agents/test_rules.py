"""Rules over the messages of a feed: each takes effect once, whatever ends the process, and silence is told once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord
from msgspec import Struct

from agents.rules import RulesSink, _Partition
from models.cameras.detections import Rejected
from tests.feeds.parking_bays import PARKING_BAYS, ParkingBay
from tests.feeds.rules_place import RulesPlace, rules_place
from trafficapp.engine.begin_anew import Step, plan
from trafficapp.engine.kafka_topics import TopicAdmin
from trafficapp.engine.state_rows import UNTOLD, PartitionsChanged, SourceLog
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.clock import SilenceClock
from trafficapp.feeds.declaration import Convert, Sends
from trafficapp.feeds.rules import Rules, Told, When
from trafficapp.settings import Settings, load_settings

SECOND = 1_000_000
#: The bay is silent after this time of the clock.
SILENT_US = 60 * SECOND


class Seen(Struct, frozen=True):
    """A bay as the rules hear of it."""

    bay_id: str
    occupied: bool


class Remembered(Struct):
    """What the rules remember of a bay."""

    changes: int
    occupied: bool
    heard_us: int
    silent: bool = False


class Bays:
    """Counts how often a bay changed, and tells each bay that is silent."""

    def __init__(self, topic: str, rows: Mapping[bytes, bytes]) -> None:
        self._topic = topic
        self._bays = {key.decode(): msgspec.msgpack.decode(row, type=Remembered) for key, row in rows.items()}
        self._changed = set[str]()

    def apply(self, message: Seen, when: When) -> Iterable[Told]:
        bay = self._bays.get(message.bay_id)
        if bay is None:
            bay = self._bays[message.bay_id] = Remembered(0, message.occupied, when.clock_us)
        self._changed.add(message.bay_id)
        bay.heard_us, bay.silent = when.clock_us, False
        if message.occupied != bay.occupied:
            bay.occupied, bay.changes = message.occupied, bay.changes + 1
            yield Told(self._topic, message.bay_id.encode(), f"changed {bay.changes}".encode())

    def tick(self, clock_us: int) -> Iterable[Told]:
        for bay_id, bay in self._bays.items():
            if not bay.silent and clock_us - bay.heard_us > SILENT_US:
                bay.silent = True
                self._changed.add(bay_id)
                yield Told(self._topic, bay_id.encode(), b"silent")

    def changed_rows(self) -> Iterable[tuple[bytes, bytes | None]]:
        changed, self._changed = self._changed, set()
        for bay_id in sorted(changed):
            yield bay_id.encode(), msgspec.msgpack.encode(self._bays[bay_id])


def told_topic(settings: Settings) -> str:
    return f"{settings.app_id}-told"


def make(settings: Settings) -> Callable[[int, Mapping[bytes, bytes]], Bays]:
    return lambda partition, rows: Bays(told_topic(settings), rows)


def convert(settings: Settings) -> Convert:
    def messages(bay: ParkingBay, time_us: int) -> Iterable[tuple[str, Struct]]:
        if bay.lat > 44.9:
            raise Rejected("no_bays_there", "nobody parks in the hills")
        yield bay.bay_id, Seen(bay.bay_id, bay.occupied)

    return messages


RULES = Rules(name="bays", summary="Changes of bays.", key="bay_id", shape=Seen, make=make)
FEED = replace(
    PARKING_BAYS,
    rekey=False,
    current=None,
    history=None,
    path=None,
    place=lambda bay: (bay.lat, bay.lon),
    sends=Sends(to=RULES, messages=convert),
)
TOLD = replace(
    PARKING_BAYS, name="told", topic=told_topic, rekey=False, is_ours=True, current=None, history=None, path=None
)


def bay(bay_id: str, *, occupied: bool, **others: Any) -> bytes:
    message = {"bay_id": bay_id, "occupied": occupied, "timestamp": "2026-01-14T12:00:00Z", "lat": 44.5, "lon": 11.3}
    return json.dumps(message | others).encode()


@pytest.fixture
async def place(kafka_bootstrap: str) -> AsyncIterator[RulesPlace]:
    bounds = {"bounds": [44.0, 11.0, 45.0, 12.0]}
    async with rules_place([FEED], RULES, [TOLD], kafka_bootstrap, city=bounds) as made:
        yield made


async def words(place: RulesPlace, *, transaction_is_open: bool = False) -> list[tuple[str, str]]:
    found = await place.told(told_topic(place.settings), transaction_is_open=transaction_is_open)
    return sorted(((record.key or b"").decode(), (record.value or b"").decode()) for record in found)


async def test_each_message_takes_effect_once_whatever_ends_the_process(
    place: RulesPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = FEED.name
    for key in (None, b"\xff"):
        await place.send(name, *(bay(f"bay-{number}", occupied=False) for number in range(5)), key=key)
    await place.settle()
    await place.send(name, *(bay(f"bay-{number}", occupied=True) for number in range(5)), key=b"one")
    for lost in ("send_offsets_to_transaction", "commit_transaction"):
        # a process that ends in the middle of a transaction, before or behind what it sent
        await place.begin()
        assert place.rules is not None
        for owned in place.rules._owned.values():

            async def end(*_: Any) -> None:
                raise SystemExit

            monkeypatch.setattr(owned.producer, lost, end)
        with pytest.raises(SystemExit):
            await place.settle()
    assert await words(place, transaction_is_open=True) == []
    for _ in range(3):
        await place.begin()
        await place.settle()
    assert await words(place) == [(f"bay-{number}", "changed 1") for number in range(5)]


async def test_silence_is_told_once_and_not_while_something_is_unread(place: RulesPlace) -> None:
    name, begin = FEED.name, time.time_ns() // 1000
    await place.send(name, bay("a", occupied=False), bay("b", occupied=False))
    for step in range(8):
        if step == 3:
            await place.begin()
        if step > 3:
            await place.send(name, bay("b", occupied=False))
        await place.settle(begin + step * 10 * SECOND)
    assert await words(place) == [("a", "silent")]
    # an outage of an hour, after which all are heard again
    await place.settle(begin + 3600 * SECOND)
    assert await words(place) == [("a", "silent")]


async def test_what_is_refused_has_a_letter_with_the_reason(place: RulesPlace) -> None:
    await place.send(
        FEED.name,
        bay("hills", occupied=True, lat=44.95, lon=11.3),
        bay("swapped", occupied=True, lat=11.3, lon=44.5),
        bay("nowhere", occupied=True, lat=44.5, lon=13.0),
        b"no json",
        bay("right", occupied=True),
    )
    await place.settle()
    letters = await place.letters()
    assert sorted(letter.reason for letter in letters) == ["no_bays_there", "not_json", "outside_city", "outside_city"]
    assert sum("they look swapped" in (letter.detail or "") for letter in letters) == 1


async def test_a_topic_with_other_partitions_is_refused(place: RulesPlace) -> None:
    await place.send(FEED.name, bay("a", occupied=False))
    await place.settle()
    assert place.rules is not None
    log = SourceLog(partitions=4)
    await place.rules.load([0, 1], log)
    await place.send(FEED.name, bay("a", occupied=True))
    await place.settle()
    with pytest.raises(PartitionsChanged):
        await place.rules.load([0, 1], SourceLog(partitions=5))


async def test_rules_whose_topic_got_more_partitions_begin_anew(place: RulesPlace) -> None:
    inner = RULES.partitions_in(place.settings)
    topic, admin = RULES.topic_in(place.settings), TopicAdmin(place.settings)
    await place.send(FEED.name, *(bay(f"bay-{number}", occupied=False) for number in range(5)))
    await place.settle()
    before = await words(place)

    def log() -> SourceLog:
        return admin.logs([topic])[topic]

    def steps() -> list[Step]:
        return plan(place.settings, admin, topic, with_history=False, feeds=place.feeds.values())

    assert place.rules is not None
    # where each row tells of which log it was made
    await place.rules.load(range(inner), await asyncio.to_thread(log))
    await place.send(FEED.name, bay("bay-0", occupied=True))
    await place.settle()
    await asyncio.to_thread(admin.add_partitions, topic, inner + 1)
    with pytest.raises(PartitionsChanged):
        await place.rules.load(range(inner), await asyncio.to_thread(log))
    (step,) = await asyncio.to_thread(steps)
    changelog = RULES.changelog_in(place.settings)
    assert step.words.startswith(f"delete {changelog} (it has {inner}), the state made from {topic}, and create")
    await asyncio.to_thread(step.do)
    await place.begin()
    starts = await place.rules.load(range(inner + 1), await asyncio.to_thread(log))
    assert starts == dict.fromkeys(range(inner + 1), 0)
    await place.settle()
    assert await words(place) == sorted([*before, *before, *[("bay-0", "changed 1")] * 2])


class BaysOfARun(Bays):
    """Tells at the end of each run how many messages it had."""

    taken = 0

    def apply(self, message: Seen, when: When) -> Iterable[Told]:
        self.taken += 1
        return super().apply(message, when)

    def finish(self) -> Iterable[Told]:
        taken, self.taken = self.taken, 0
        yield Told(self._topic, b"run", str(taken).encode())


def test_rules_have_their_say_at_the_end_of_a_run() -> None:
    """Behind what its messages led to, and before what is to be remembered of them."""
    settings = load_settings()
    sink = RulesSink(RULES, [FEED.name], settings, Telemetry("feeds", settings.app_id))
    clock = SilenceClock([FEED.name], 5.0)
    sink._partitions[0] = _Partition(BaysOfARun(told_topic(settings), {}), clock, UNTOLD)
    seen = [msgspec.json.encode(Seen("bay-1", occupied)) for occupied in (False, True, False)]
    run = [
        ConsumerRecord("", 0, offset, SILENT_US // 1000, 0, b"bay-1", value, None, 0, 0, ())
        for offset, value in enumerate(seen)
    ]
    outgoing = list(sink.outcome(0, run))
    assert [one.value for one in outgoing if one.topic == told_topic(settings)] == [b"changed 1", b"changed 2", b"3"]
    assert [one.topic for one in outgoing[-2:]] == [RULES.changelog_in(settings)] * 2
