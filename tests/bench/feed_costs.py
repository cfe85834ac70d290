"""What a message of each feed of a city costs the role ``feeds`` beside Kafka: ``python -m tests.bench.feed_costs``.

One process, no servers. Messages of a feed are put into batches as a producer's client does; then everything that the
role does with their bytes is done and timed: unpacking, the intake, putting what it sends into batches, unpacking
those, the rules, and putting into batches what they tell and remember. What is left out is the same for all feeds: the
sockets, and the requests of a transaction, which a run shares.

CPU time of this process; of some runs the quickest, as others disturb a measurement but never help it. With
``--profile FEED`` the functions that take longest are printed instead.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder

from agents.feeds import FeedIntake
from agents.rules import RulesSink, _Partition
from tests.bench.city_messages import SOURCES, Source, of_one
from trafficapp.batching.unpacking import FetchedBytes, Unpacking
from trafficapp.engine.kafka import home_partition
from trafficapp.engine.state_rows import SourceLog
from trafficapp.engine.telemetry import Telemetry
from trafficapp.engine.transactions import Outgoing, _batches_of
from trafficapp.feeds.clock import SilenceClock
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Settings, load_settings

#: Records that come together when a worker has enough to do.
RUN_RECORDS = 1000
_PARTITIONS = 4
_LOG = SourceLog("", _PARTITIONS)


class _Builder:
    """Makes batches as a producer does, without a broker."""

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(900_000, 0, is_transactional=True)


def _built(records: Sequence[Outgoing]) -> bytes:
    return b"".join(batch._build() for batch in _batches_of(_Builder(), records))  # type: ignore[arg-type]


def _by_partition(outgoing: Sequence[Outgoing]) -> dict[tuple[str, int], list[Outgoing]]:
    found: dict[tuple[str, int], list[Outgoing]] = defaultdict(list)
    for one in outgoing:
        number = one.partition if one.partition is not None else home_partition(one.key or b"", _PARTITIONS)
        found[one.topic, number].append(one)
    return found


def _unpacked(data: bytes) -> list[ConsumerRecord]:
    unpacking = Unpacking(TopicPartition("", 0), FetchedBytes(data), [], 0, None, None, True, 0)
    return [record for runs in iter(lambda: unpacking.take(RUN_RECORDS), []) for run in runs for record in run]


class Chain:
    """The intake of a feed and the rules that it sends to, without servers."""

    def __init__(self, feed: Feed[Any], settings: Settings) -> None:
        telemetry = Telemetry("feeds", settings.app_id)
        self.intake = FeedIntake(feed, settings, telemetry)
        self.rules: RulesSink | None = None
        self.inner = ""
        self.spent: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        for rules in feed.sends.rules_in(settings)[:1] if feed.sends is not None else ():
            self.inner = rules.topic_in(settings)
            self.rules = RulesSink(rules, [feed.name], settings, telemetry)
            make = rules.make(settings)
            for number in range(_PARTITIONS):
                clock = SilenceClock([feed.name], rules.tick_seconds or 5)
                self.rules._partitions[number] = _Partition(make(number, {}), clock, _LOG)

    def run(self, messages: Iterator[tuple[str, bytes, bytes]]) -> None:
        """Do everything with a run of messages."""
        now = time.time_ns() // 1_000_000
        sent = [Outgoing("", key, value, 0, now) for _, key, value in messages]
        fetched = _built(sent)
        records = self._timed("unpack", lambda: _unpacked(fetched))
        outgoing = self._timed("intake", lambda: list(self.intake.outcome(0, records)))
        batches = self._timed("send on", lambda: {place: _built(one) for place, one in _by_partition(outgoing).items()})
        if self.rules is None:
            return
        for (topic, number), inner in batches.items():
            if topic != self.inner:
                # minutes of quality, or what other rules are told: they are sent, and followed no further
                continue
            read = self._timed("unpack", lambda data=inner: _unpacked(data))
            told = self._timed("rules", lambda number=number, read=read: list(self.rules.outcome(number, read)))
            self.told.update(one.topic for one in told)
            self._timed("tell", lambda told=told: [_built(one) for one in _by_partition(told).values()])

    def _timed(self, what: str, do: Callable[[], Any]) -> Any:
        began = time.process_time_ns()
        done = do()
        self.spent[what] += time.process_time_ns() - began
        return done


def chain_of(source: Source, settings: Settings) -> Chain:
    """Of a source of messages."""
    feed = next(one for one in FEEDS if one.is_checked and one.topic_in(settings) == source.topic)
    return Chain(feed, settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--feed", default="")
    parser.add_argument("--profile", default="")
    arguments = parser.parse_args()
    settings = load_settings()
    # as a worker has it
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    if arguments.profile:
        source = next(one for one in SOURCES if one.topic == arguments.profile)
        chain, messages = chain_of(source, settings), of_one(source)
        chain.run(islice(messages, RUN_RECORDS * 3))
        profile = cProfile.Profile()
        profile.enable()
        for _ in range(arguments.runs):
            chain.run(islice(messages, RUN_RECORDS))
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return
    stages = ("unpack", "intake", "send on", "rules", "tell")
    print(f"{'µs a message':24}", *(f"{stage:>8}" for stage in stages), f"{'all':>8}")
    for source in SOURCES:
        if arguments.feed and source.topic != arguments.feed:
            continue
        chain, messages = chain_of(source, settings), of_one(source)
        chain.run(islice(messages, RUN_RECORDS * 3))
        chain.told.clear()
        best: dict[str, float] = {}
        for _ in range(arguments.runs):
            chain.spent.clear()
            chain.run(islice(messages, RUN_RECORDS))
            for stage, spent in chain.spent.items():
                best[stage] = min(spent / RUN_RECORDS / 1000, best.get(stage, 1e9))
        print(
            f"{source.topic:24}",
            *(f"{best.get(stage, 0):8.2f}" for stage in stages),
            f"{sum(best.values()):8.2f}",
            {topic: count / arguments.runs / RUN_RECORDS for topic, count in chain.told.items()},
        )


if __name__ == "__main__":
    main()
