"""Agents of rules that know what came before: what follows from messages of feeds, role ``feeds``.

What a run leads to, what is to be remembered of it and the offset behind it are one Kafka transaction
(`trafficapp.engine.transactions`). Whoever takes a partition over shuts out the one before, reads what was remembered
to its end, and goes on behind it: the state is that of exactly the records before the offset, so nothing is told twice
and nothing left out. The offset stands with the state, too, since the broker forgets offsets of what is quiet for long.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from agents.feeds import FeedIntake
from models.cameras.detections import TICK_HEADER
from models.records import MALFORMED, why_unreadable
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.kafka import groupless_consumer
from trafficapp.engine.state_rows import UNTOLD, SourceLog, continued
from trafficapp.engine.telemetry import Telemetry
from trafficapp.engine.transactions import Outgoing, TransactionalSink
from trafficapp.feeds.clock import ClockState, SilenceClock, Tick, decode_tick, encode_tick
from trafficapp.feeds.declaration import rules_of
from trafficapp.feeds.rules import (
    ERASED_HEADER,
    TICK_SECONDS,
    CountingRules,
    ErasingRules,
    LackingRules,
    PartitionRules,
    ReadRules,
    Rules,
    RunRules,
    Told,
    When,
)
from trafficapp.settings import Settings

logger = logging.getLogger(__name__)

#: Key of the row that says how far a partition is; no key of rules begins with NUL.
_PLACE_KEY = b"\x00place"


class _Place(Struct):
    """How far the rules of a partition are.

    Attributes:
        next_offset: of the inner record to be applied next.
        log: id of the inner topic.
        partitions: how many it has.
        clock: of the partition.
    """

    next_offset: int
    log: str
    partitions: int
    clock: ClockState


_encode = msgspec.msgpack.Encoder().encode
_decode_ids = msgspec.json.Decoder(list[str]).decode
_decode_place = msgspec.msgpack.Decoder(_Place).decode


class _Partition:
    """The rules of a partition that is ours, its clock, and the log that its records are of."""

    def __init__(self, rules: PartitionRules[Any], clock: SilenceClock, log: SourceLog) -> None:
        self.rules, self.clock, self.log = rules, clock, log
        self.taken = 0
        self.unreadable = 0


class RulesSink(TransactionalSink):
    """Applies rules to what feeds send on, and sends what follows.

    Args:
        rules: the declaration.
        feeds: names of those who send to it.
        settings: of the process.
        telemetry: of the process.
    """

    def __init__(self, rules: Rules[Any], feeds: Collection[str], settings: Settings, telemetry: Telemetry) -> None:
        super().__init__(settings, rules.topic_in(settings), f"{settings.app_id}-{rules.name}-rules")
        self._declared, self._feeds, self._telemetry = rules, tuple(feeds), telemetry
        self._changelog = rules.changelog_in(settings)
        self._make = rules.make(settings)
        #: Topics of the rules that read what these tell, and how many partitions each has.
        self._then = {then.topic_in(settings): then.partitions_in(settings) for then in rules.then(settings)}
        self._decode = msgspec.json.Decoder(rules.shape).decode
        self._partitions: dict[int, _Partition] = {}

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Take over partitions: what was remembered of them says where to read on."""
        await super().load(partitions, log)
        rows = await self.remembered(self._changelog, partitions)
        for number in partitions:
            known = rows[number]
            place = _Place(0, "", 0, ClockState())
            if (row := known.pop(_PLACE_KEY, None)) is not None:
                place = _decode_place(row)
            there = continued(SourceLog(place.log, place.partitions), log)
            made = await asyncio.to_thread(self._make, number, known)
            clock = SilenceClock(self._feeds, self._declared.tick_seconds or TICK_SECONDS, place.clock)
            self._partitions[number] = _Partition(made, clock, there)
            self._owned[number].next_offset = place.next_offset
        return {number: self._owned[number].next_offset for number in partitions}

    def release(self, partitions: Collection[int]) -> None:
        """Forget partitions."""
        super().release(partitions)
        for number in partitions:
            self._partitions.pop(number, None)

    def outcome(self, partition: int, records: Sequence[ConsumerRecord]) -> Iterator[Outgoing]:
        """What follows from a run, then what is to be remembered."""
        one = self._partitions[partition]
        rules, clock, decode, clock_us = one.rules, one.clock, self._decode, one.clock.clock_us
        apply, now_us = rules.apply, clock_us
        for record in records:
            tick = message = erased = None
            try:
                if not record.headers:
                    message = decode(record.value or b"")
                elif any(name == ERASED_HEADER for name, _ in record.headers):
                    erased = _decode_ids(record.value or b"")
                elif _is_tick(record):
                    tick = decode_tick(record.value or b"")
                else:
                    message = decode(record.value or b"")
            except MALFORMED as error:
                # nobody but us writes here
                one.unreadable += 1
                logger.error("%s-%d: offset %d was left out: %s", self.topic, partition, record.offset, error)
                continue
            told: Iterable[Told]
            if message is not None:
                one.taken += 1
                record_us = record.timestamp * 1000
                told = apply(message, When(record_us, now_us or record_us))
            elif tick is not None:
                told = _told_by_tick(rules, clock, tick)
                now_us = clock.clock_us
            else:
                told = rules.erase(erased or []) if isinstance(rules, ErasingRules) else ()
            for this in told:
                yield Outgoing(this.topic, this.key, this.value)
        if isinstance(rules, RunRules):
            for this in rules.finish():
                yield Outgoing(this.topic, this.key, this.value)
        if clock.clock_us != clock_us:
            yield from self._passed_on(partition, one)
        for key, row in rules.changed_rows():
            yield Outgoing(self._changelog, key, row, partition)
        place = _Place(records[-1].offset + 1, one.log.id, one.log.partitions, clock.state)
        yield Outgoing(self._changelog, _PLACE_KEY, _encode(place), partition)

    def _passed_on(self, partition: int, one: _Partition) -> Iterator[Outgoing]:
        """Ticks for rules that read what these tell: up to our clock all of it was told."""
        clock_us, own = one.clock.clock_us, one.log.partitions or self._declared.partitions_in(self._settings)
        value = encode_tick(Tick(self._declared.name, partition, own, clock_us))
        for topic, partitions in self._then.items():
            for place in range(partitions):
                yield Outgoing(topic, None, value, place, clock_us // 1000, ((TICK_HEADER, b""),))

    def sent(self, partition: int) -> None:
        """Count what came of a run."""
        one = self._partitions.get(partition)
        if one is None:
            return
        counted = self._telemetry.feed_messages
        counted.labels(self._declared.name, "applied").inc(one.taken)
        if one.unreadable:
            counted.labels(self._declared.name, "unreadable").inc(one.unreadable)
        if isinstance(one.rules, CountingRules):
            for reason, count in one.rules.take_counts().items():
                counted.labels(self._declared.name, reason).inc(count)
        one.taken = one.unreadable = 0
        if isinstance(one.rules, LackingRules):
            self._telemetry.rules_lacking.labels(self._declared.name).set(one.rules.lacking is not None)


def _is_tick(record: ConsumerRecord) -> bool:
    """Whether a record tells how far a feed was read.

    Raises:
        ValueError: it cannot be read.
    """
    if (reason := why_unreadable(record)) is not None:
        raise ValueError(reason)
    return any(name == TICK_HEADER for name, _ in record.headers)


def _told_by_tick(rules: PartitionRules[Any], clock: SilenceClock, tick: Tick) -> Iterable[Told]:
    """What follows from a tick: by how far its feed was read, and by the clock, if that moved."""
    told: list[Told] = []
    if isinstance(rules, ReadRules):
        told += rules.read(tick.feed, tick.partition, tick.partitions, tick.time_us)
    if clock.take(tick):
        told += rules.tick(clock.clock_us)
    return told


class Ticks:
    """Tells the clocks of rules on: what had come into feeds by a time was read.

    Args:
        app: which reads them.
        intakes: of feeds that send to rules with a clock.
    """

    def __init__(self, app: TrafficApp, intakes: Sequence[FeedIntake]) -> None:
        self._app, self._intakes = app, intakes

    async def send(self) -> None:
        """Look how far feeds are, and tell what was reached; while the broker is away, nothing."""
        wanted = {intake: intake.partitions_without_tick() for intake in self._intakes}
        tps = [TopicPartition(intake.topic, number) for intake, numbers in wanted.items() for number in numbers]
        now_us = time.time_ns() // 1000
        ends: dict[TopicPartition, int] = {}
        if tps:
            try:
                ends = await self._ends(tps)
            except (KafkaError, OSError) as error:
                logger.info("looking how far the feeds are failed: %s", error)
                return
        for intake in self._intakes:
            known = {number: ends[TopicPartition(intake.topic, number)] for number in wanted[intake]}
            await intake.send_ticks(now_us, known, intake.next_offset)

    async def _ends(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        async with groupless_consumer(self._app.settings) as consumer:
            return dict(await consumer.end_offsets(list(tps)))


def register(app: TrafficApp, intakes: Sequence[FeedIntake]) -> None:
    """Put the rules that feeds send to on an application of the role ``feeds``."""
    senders: dict[str, list[str]] = {}
    declared = rules_of(app.feeds, app.settings)
    for feed in app.feeds:
        for rules in feed.sends.rules_in(app.settings) if feed.sends is not None else ():
            senders.setdefault(rules.name, []).append(feed.name)
    for rules in declared:
        for then in rules.then(app.settings):
            senders.setdefault(then.name, []).append(rules.name)
    for rules in declared:
        sink = RulesSink(rules, senders[rules.name], app.settings, app.telemetry)
        name = f"rules_{rules.name.replace('-', '_')}"
        app.read_in_runs(sink.topic, sink, name=name, partitions=rules.partitions_in(app.settings))
        app.close_at_end(sink.close)
    timed = [intake for intake in intakes if intake.tick_seconds is not None]
    if timed:
        ticks = Ticks(app, timed)

        @app.timer(interval=min(intake.tick_seconds or TICK_SECONDS for intake in timed))
        async def tick() -> None:
            await ticks.send()
