"""What the stores of a city's feeds cost without what is around them: ``python -m tests.bench.city_sinks``.

Messages of each feed go through its intake and the rules behind it, here and without Kafka. What came of them is given
in runs to the sinks of the roles history and live, on a real Postgres and a real Redis, and the CPU time of this
process is divided by the messages of the producers. What is left to a worker's own measurement (`tests.bench.city`) is
the client of Kafka.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from rich.console import Console
from rich.table import Table

from agents.feeds import FeedIntake, read_by_one_decoder
from models.records import PlainRecord
from tests.bench.city_messages import SOURCES, Source, of_one
from tests.bench.servers import running
from trafficapp.areas.feeds import AREAS
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Current
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.rules import PartitionRules, When
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers import data_dir
from trafficapp.stores.areas.areas_sink import HistoryAreasSink
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.log_sink import LogSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import PartitionSpan

ROLES = ("history", "live")
PARTITIONS = 4


class Sent(NamedTuple):
    """A record on its way."""

    topic: str
    key: bytes | None
    value: bytes
    timestamp: int


class City:
    """Intakes and rules of all feeds, and what they send."""

    def __init__(self, settings: Settings) -> None:
        self._intakes = {feed.topic_in(settings): FeedIntake(feed, settings, Telemetry()) for feed in FEEDS}
        declared = {
            rules.topic_in(settings): rules
            for feed in FEEDS
            for rules in (feed.sends.rules_in(settings) if feed.sends is not None else ())
        }
        self._decoders = {topic: msgspec.json.Decoder(rules.shape).decode for topic, rules in declared.items()}
        self._rules: dict[str, PartitionRules[Any]] = {
            topic: rules.make(settings)(0, {}) for topic, rules in declared.items()
        }

    def records(self, messages: Iterable[tuple[str, bytes, bytes]]) -> dict[str, list[Sent]]:
        """What stands in each topic once messages went all their way."""
        found: dict[str, list[Sent]] = defaultdict(list)
        for offset, (topic, key, value) in enumerate(messages):
            now_ms = time.time_ns() // 1_000_000
            record = Sent(topic, key or None, value, now_ms)
            found[topic].append(record)
            for one in self._follows(record, offset):
                found[one.topic].append(one)
        return found

    def _follows(self, record: Sent, offset: int) -> Iterator[Sent]:
        plain = PlainRecord(offset, record.timestamp, 1, record.key, record.value)
        for one in self._intakes[record.topic].outcome(0, [plain]):  # type: ignore[list-item]
            if (rules := self._rules.get(one.topic)) is None:
                yield Sent(one.topic, one.key, one.value or b"", record.timestamp)
                continue
            us = record.timestamp * 1000
            for told in rules.apply(self._decoders[one.topic](one.value or b""), When(us, us)):
                if told.value is not None:
                    yield Sent(told.topic, told.key, told.value, record.timestamp)


class Stores:
    """The sinks of all feeds in a role, by topic; of one role at a time, as each has tasks of its own."""

    def __init__(self, role: str, settings: Settings, redis_url: str) -> None:
        self._client = connect(redis_url)
        self.sinks: dict[str, Any] = {}
        self._offsets: dict[tuple[str, int], int] = defaultdict(int)
        for feed in FEEDS:
            topic = feed.kept_topic_in(settings)
            if role == "history" and feed.history is not None:
                self.sinks[topic] = HistoryAreasSink(settings) if feed is AREAS else RowsSink(feed, settings)
            if role == "live" and feed.current is not None:
                kind = DocumentsSink if isinstance(feed.current, Current) else LogSink
                self.sinks[topic] = kind(feed, settings, self._client, _nothing_before)
            if topic in self.sinks:
                read_by_one_decoder(feed, settings, [self.sinks[topic]])

    async def load(self) -> None:
        """Take over all partitions, behind what was applied of topics of these names before."""
        for topic, sink in self.sinks.items():
            for number, offset in (await sink.load(range(PARTITIONS))).items():
                self._offsets[topic, number] = offset

    def runs(self, found: dict[str, list[Sent]], length: int) -> list[tuple[str, int, list[PlainRecord]]]:
        """Records as the engine gives them: by topic and partition, so many at a time."""
        runs = []
        for topic, sent in found.items():
            if topic not in self.sinks:
                continue
            by_partition: dict[int, list[PlainRecord]] = defaultdict(list)
            for one in sent:
                number = crc32(one.key or b"") % PARTITIONS
                offset = self._offsets[topic, number]
                self._offsets[topic, number] += 1
                by_partition[number].append(PlainRecord(offset, one.timestamp, 1, one.key, one.value))
            for number, records in by_partition.items():
                runs += [(topic, number, records[at : at + length]) for at in range(0, len(records), length)]
        return runs

    async def apply(self, runs: Sequence[tuple[str, int, list[PlainRecord]]]) -> None:
        """Let the sinks take runs."""
        for topic, number, records in runs:
            await self.sinks[topic].apply(number, records, lambda: True)

    async def close(self) -> None:
        """Close connections."""
        for sink in self.sinks.values():
            sink.release(range(PARTITIONS))
            if isinstance(sink, RowsSink):
                await sink.close()
        await self._client.aclose()


async def _nothing_before(partitions: Collection[int]) -> dict[int, PartitionSpan]:
    return {number: PartitionSpan(0, 1 << 40) for number in partitions}


async def measure(environment: dict[str, str], sources: Sequence[Source], count: int, length: int, top: int) -> None:
    """Print µs of CPU for a message of each feed, and with `top` where so many functions spend it."""
    settings = load_settings(postgres={"url": environment["DATABASE_URL"]}, app_id=f"bench-{time.time_ns():x}")
    spent: dict[str, list[str]] = {source.topic: [] for source in sources}
    for role in ROLES:
        city, stores = City(settings), Stores(role, settings, environment["REDIS_URL"])
        await stores.load()
        for source in sources:
            # what is new about keys is not the cost of a message
            for number in (min(count, 2_000), count):
                runs = stores.runs(city.records(islice(of_one(source), number)), length)
                profile = cProfile.Profile() if top and number == count else None
                began = time.process_time()
                with profile or nullcontext():
                    await stores.apply(runs)
                cost = (time.process_time() - began) / number * 1e6
                if profile is not None:
                    print(f"--- {source.topic}, {role}")
                    pstats.Stats(profile).sort_stats("tottime").print_stats(top)
            spent[source.topic].append(f"{cost:.1f}")
        await stores.close()
    table = Table("feed", *ROLES, title=f"µs of CPU per message, runs of {length}")
    for topic, costs in spent.items():
        table.add_row(topic, *costs)
    Console().print(table)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="messages of each feed")
    parser.add_argument("--run", type=int, default=500, help="records that a sink is given at once")
    parser.add_argument("--top", type=int, default=0, help="functions to show of a profile, which itself costs a lot")
    parser.add_argument("topics", nargs="*", help="of feeds to measure; all without any")
    arguments = parser.parse_args()
    sources = [source for source in SOURCES if source.topic in arguments.topics or not arguments.topics]
    with tempfile.TemporaryDirectory(prefix="trafficapp-bench-sinks-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        asyncio.run(_measure(data_dir.prepare(Path(path)), sources, arguments))


async def _measure(folder: Path, sources: Sequence[Source], arguments: argparse.Namespace) -> None:
    async with running(folder) as (_, environment):
        await measure(environment, sources, arguments.count, arguments.run, arguments.top)


if __name__ == "__main__":
    main()
