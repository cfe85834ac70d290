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

from agents.feeds import FeedIntake
from models.records import PlainRecord
from tests.bench.city_messages import SOURCES, Source, of_one
from tests.bench.servers import running
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Current
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.rules import PartitionRules, Rules, When
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers import data_dir
from trafficapp.stores.areas.areas_sink import HistoryAreasSink
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.log_sink import LogSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import PartitionSpan

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
            feed.sends.to.topic_in(settings): feed.sends.to
            for feed in FEEDS
            if feed.sends is not None and isinstance(feed.sends.to, Rules)
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
    """The sinks of all feeds, by role and topic."""

    def __init__(self, settings: Settings, redis_url: str) -> None:
        self._clients = []
        self.sinks: dict[str, dict[str, Any]] = {"history": {}, "live": {}}
        self._offsets: dict[tuple[str, int], int] = defaultdict(int)
        for feed in FEEDS:
            topic = feed.kept_topic_in(settings)
            if feed.history is not None:
                is_area = feed.history.table == "area_readings"
                self.sinks["history"][topic] = HistoryAreasSink(settings) if is_area else RowsSink(feed, settings)
            if feed.current is not None:
                client = connect(redis_url)
                self._clients.append(client)
                kind = DocumentsSink if isinstance(feed.current, Current) else LogSink
                self.sinks["live"][topic] = kind(feed, settings, client, _nothing_before)

    async def load(self) -> None:
        """Take over all partitions, behind what was applied of topics of these names before."""
        for sinks in self.sinks.values():
            for topic, sink in sinks.items():
                for number, offset in (await sink.load(range(PARTITIONS))).items():
                    self._offsets[topic, number] = max(self._offsets[topic, number], offset)

    def runs(self, found: dict[str, list[Sent]], length: int) -> list[tuple[str, int, list[PlainRecord]]]:
        """Records as the engine gives them: by topic and partition, so many at a time."""
        runs = []
        for topic, sent in found.items():
            by_partition: dict[int, list[PlainRecord]] = defaultdict(list)
            for one in sent:
                number = crc32(one.key or b"") % PARTITIONS
                offset = self._offsets[topic, number]
                self._offsets[topic, number] += 1
                by_partition[number].append(PlainRecord(offset, one.timestamp, 1, one.key, one.value))
            for number, records in by_partition.items():
                runs += [(topic, number, records[at : at + length]) for at in range(0, len(records), length)]
        return runs

    async def apply(self, role: str, runs: Sequence[tuple[str, int, list[PlainRecord]]]) -> None:
        """Let the sinks of a role take runs."""
        for topic, number, records in runs:
            if (sink := self.sinks[role].get(topic)) is not None:
                await sink.apply(number, records, lambda: True)

    async def close(self) -> None:
        """Close connections."""
        for sink in self.sinks["history"].values():
            await sink.close()
        for sink in self.sinks["live"].values():
            sink.release(range(PARTITIONS))
        for client in self._clients:
            await client.aclose()


async def _nothing_before(partitions: Collection[int]) -> dict[int, PartitionSpan]:
    return {number: PartitionSpan(0, 1 << 40) for number in partitions}


async def measure(environment: dict[str, str], sources: Sequence[Source], count: int, length: int, top: int) -> None:
    """Print µs of CPU for a message of each feed, and with `top` where so many functions spend it."""
    settings = load_settings(postgres={"url": environment["DATABASE_URL"]}, app_id=f"bench-{time.time_ns():x}")
    city, stores = City(settings), Stores(settings, environment["REDIS_URL"])
    await stores.load()
    table = Table("feed", *stores.sinks, "records", title=f"µs of CPU per message, runs of {length}")
    for source in sources:
        # what is new about keys is not the cost of a message
        for number in (min(count, 2_000), count):
            found = city.records(islice(of_one(source), number))
            runs, spent = stores.runs(found, length), {}
            for role in stores.sinks:
                profile = cProfile.Profile() if top and number == count else None
                began = time.process_time()
                with profile or nullcontext():
                    await stores.apply(role, runs)
                spent[role] = (time.process_time() - began) / number * 1e6
                if profile is not None:
                    print(f"--- {source.topic}, {role}")
                    pstats.Stats(profile).sort_stats("tottime").print_stats(top)
        kept = {topic for sinks in stores.sinks.values() for topic in sinks}
        table.add_row(
            source.topic,
            *(f"{one:.1f}" for one in spent.values()),
            ", ".join(f"{topic.removeprefix(settings.app_id)} {len(found[topic])}" for topic in found if topic in kept),
        )
    await stores.close()
    Console(width=160).print(table)


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
