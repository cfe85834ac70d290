"""How feeds stand, asked of the broker alone: how much comes in, who is behind, what was refused, the newest event."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from models.cameras.detections import TICK_HEADER
from models.records import MALFORMED, why_unreadable
from trafficapp.engine.begin_anew import group_of
from trafficapp.engine.kafka import committed_offsets, groupless_consumer
from trafficapp.engine.kafka_topics import TopicAdmin
from trafficapp.feeds.declaration import inner_topic
from trafficapp.feeds.incoming import Incoming, Judge
from trafficapp.settings import Role, Settings
from trafficapp.topics import DEAD_LETTERS

_ROLES: tuple[Role, ...] = get_args(Role)

#: So many of the newest records of a partition are read: ticks among them are no messages, the rest says when.
_READ_BACK_RECORDS = 2000
#: When they are larger together, only these.
_MOST_BYTES = 64 << 20
_FEW_RECORDS = 20

#: So many of the newest letters of a partition are read, and no longer than so.
_LETTERS = 50_000
_LETTER_SECONDS = 20.0

#: An event farther ahead of its record tells nothing of what is newest.
_AHEAD_US = 60_000_000


class _Letter(Struct):
    """What is read of a dead letter here."""

    topic: str
    reason: str


_decode_letter = msgspec.json.Decoder(_Letter).decode


@dataclass(slots=True)
class Letters:
    """Dead letters of a topic that are still there.

    Attributes:
        reasons: how many, by reason.
        are_all: whether all letters were read, or these are only the newest of too many.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    are_all: bool = True


@dataclass(slots=True)
class Standing:
    """How a feed stands.

    Attributes:
        exists: whether the broker has the topic.
        partitions: of it.
        per_minute: messages a minute, of late.
        lags: records that a consumer group of ours has not done yet, for those that read the topic or the one by
            natural key that is made from it.
        newest_us: the newest time of an event among the newest records, microseconds since the epoch.
        retention_seconds: how long the broker keeps records; None when it keeps them for ever, or does not say.
    """

    feed: Incoming
    exists: bool = False
    partitions: int = 0
    per_minute: float = 0.0
    lags: dict[str, int] = field(default_factory=dict)
    letters: Letters = field(default_factory=Letters)
    newest_us: int | None = None
    retention_seconds: float | None = None


async def standings(settings: Settings, feeds: Sequence[Incoming], minutes: int) -> list[Standing]:
    """How feeds stand.

    Args:
        settings: where Kafka is.
        feeds: which.
        minutes: over which messages are counted.

    Raises:
        KafkaError: the broker does not answer.
        KafkaException: likewise.
        TimeoutError: not in time.
    """
    found = {feed.topic: Standing(feed) for feed in feeds}
    admin = TopicAdmin(settings)
    inner_topics = [inner_topic(settings, feed.name) for feed in feeds if feed.any_key]
    logs = await asyncio.to_thread(admin.logs, [*found, *inner_topics, DEAD_LETTERS])
    for topic, standing in found.items():
        if topic in logs:
            standing.exists, standing.partitions = True, logs[topic].partitions
            standing.retention_seconds = await asyncio.to_thread(_retention_seconds, admin, topic)
    committed = await committed_offsets(settings, [group_of(settings, role) for role in _ROLES])
    async with groupless_consumer(settings, fetch_max_wait_ms=20) as consumer:
        for topic, standing in found.items():
            if standing.exists:
                tps = [TopicPartition(topic, partition) for partition in range(standing.partitions)]
                begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
                standing.lags = _lags(committed, begins, ends)
                if (inner := inner_topic(settings, standing.feed.name)) in logs:
                    tps = [TopicPartition(inner, partition) for partition in range(logs[inner].partitions)]
                    await _add_inner_lags(consumer, tps, committed, standing.lags)
                await _look_back(consumer, standing, settings, begins, ends, minutes)
        if DEAD_LETTERS in logs:
            tps = [TopicPartition(DEAD_LETTERS, partition) for partition in range(logs[DEAD_LETTERS].partitions)]
            await _read_letters(consumer, tps, {topic: standing.letters for topic, standing in found.items()})
    return list(found.values())


def _retention_seconds(admin: TopicAdmin, topic: str) -> float | None:
    config = admin.config(topic) or {}
    kept_ms = int(config["retention.ms"].value or -1) if "retention.ms" in config else -1
    return kept_ms / 1000 if kept_ms >= 0 else None


def _lags(
    committed: dict[str, dict[TopicPartition, int]], begins: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> dict[str, int]:
    """What groups that have done anything of a topic have still to do."""
    return {
        group: sum(max(end - max(done.get(tp, 0), begins[tp]), 0) for tp, end in ends.items())
        for group, done in committed.items()
        if done.keys() & ends.keys()
    }


async def _add_inner_lags(
    consumer: AIOKafkaConsumer,
    tps: Sequence[TopicPartition],
    committed: dict[str, dict[TopicPartition, int]],
    lags: dict[str, int],
) -> None:
    """Add what groups have still to do of a topic that is written in transactions: their ends stand there, too."""
    begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    for group, lag in _lags(committed, begins, ends).items():
        done = committed[group]
        if lag <= _READ_BACK_RECORDS:
            starts = {tp: max(done.get(tp, 0), begins[tp]) for tp in tps}
            lag = len([record async for _, record in _records(consumer, starts, ends)])
        lags[group] = lags.get(group, 0) + lag


async def _look_back(
    consumer: AIOKafkaConsumer,
    standing: Standing,
    settings: Settings,
    begins: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
    minutes: int,
) -> None:
    """Count the messages of the last minutes, and find the newest event."""
    since_ms = int(time.time() * 1000) - minutes * 60_000
    told = await consumer.offsets_for_times(dict.fromkeys(ends, since_ms))
    since = {tp: ends[tp] if told[tp] is None else told[tp].offset for tp in ends}
    tail = await _tail(consumer, begins, ends, _READ_BACK_RECORDS)
    if tail is None:
        tail = await _tail(consumer, begins, ends, _FEW_RECORDS) or {}
    judge, count = standing.feed.judge(settings), 0.0
    for tp, records in tail.items():
        counted = [record for record in records if record.offset >= since[tp]]
        messages = sum(not _is_ours(record) for record in counted)
        # of more than was read, as many are ticks as among what was
        share = messages / len(counted) if counted else 0.0
        count += messages if len(counted) >= ends[tp] - since[tp] else share * (ends[tp] - since[tp])
        standing.newest_us = _newest_us(judge, records, standing.newest_us)
    standing.per_minute = count / minutes


async def _tail(
    consumer: AIOKafkaConsumer, begins: dict[TopicPartition, int], ends: dict[TopicPartition, int], most: int
) -> dict[TopicPartition, list[Any]] | None:
    """The newest records of partitions; None when they are too large together."""
    found: dict[TopicPartition, list[Any]] = {tp: [] for tp in ends}
    size = 0
    async for tp, record in _records(consumer, {tp: max(begins[tp], end - most) for tp, end in ends.items()}, ends):
        size += len(record.value or b"")
        if size > _MOST_BYTES and most > _FEW_RECORDS:
            return None
        found[tp].append(record)
    return found


async def _records(
    consumer: AIOKafkaConsumer, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> Any:
    """The records of partitions between offsets, those of a partition in order."""
    open_ends = {tp: ends[tp] for tp, start in starts.items() if start < ends[tp]}
    if not open_ends:
        return
    consumer.assign(list(open_ends))
    for tp in open_ends:
        consumer.seek(tp, starts[tp])
    while open_ends:
        batches = await asyncio.wait_for(consumer.getmany(*open_ends, timeout_ms=1000), 30)
        for tp, records in batches.items():
            for record in records:
                if record.offset < ends[tp]:
                    yield tp, record
        for tp in list(open_ends):
            if await consumer.position(tp) >= open_ends[tp]:
                del open_ends[tp]


def _is_ours(record: Any) -> bool:
    return bool(record.headers) and record.headers[0][0] == TICK_HEADER


def _newest_us(judge: Judge, records: Iterable[Any], newest_us: int | None) -> int | None:
    for record in records:
        if _is_ours(record) or why_unreadable(record) is not None or record.value is None:
            continue
        time_us = judge.time_us(record.value)
        if time_us is not None and time_us <= record.timestamp * 1000 + _AHEAD_US:
            newest_us = time_us if newest_us is None else max(newest_us, time_us)
    return newest_us


async def _read_letters(
    consumer: AIOKafkaConsumer, tps: Collection[TopicPartition], letters: dict[str, Letters]
) -> None:
    """Count the dead letters of topics, as far as they are not too many."""
    begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    starts = {tp: max(begins[tp], ends[tp] - _LETTERS) for tp in tps}
    are_all, deadline = starts == begins, time.monotonic() + _LETTER_SECONDS
    async for _, record in _records(consumer, starts, ends):
        if time.monotonic() > deadline:
            are_all = False
            break
        try:
            letter = _decode_letter(record.value or b"")
        except MALFORMED:
            continue
        if letter.topic in letters:
            letters[letter.topic].reasons[letter.reason] += 1
    for one in letters.values():
        one.are_all = are_all
