"""What a message of each feed costs at the very least with our clients: ``python -m tests.bench.city_floor``.

Everything that a message leads to is recorded first: what goes on by its key, what the rules tell and remember, which
rows and documents follow. Then loops without Faust, checks, rules, windows or guarantees do with the very same bytes
what cannot be left out, on the real servers, in runs as wide as those of a worker that has enough to do:

========  ====================================================================================================
read      a consumer reads each record as often as one of the three roles does, unpacked by the C extension
decode    one ``msgspec`` decode of each of these into its shape
send      what follows goes out in batches, in Kafka transactions with the offsets
copy      COPY of rows that are made, the insertion from the copied ones, the offset, a transaction a run
put       documents that are made, as calls of the sink's script
========  ====================================================================================================

CPU time of this process alone; beside them what ``--ours FILE`` (``build/city.json`` of `tests.bench.city`) says of the
roles. Rows ``{name, value, unit, before}`` go into ``build/city_floor.json``: the floor, and before it ours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from rich.console import Console
from rich.table import Table

from models.records import PlainRecord
from tests.bench.city_messages import SOURCES, Source, of_one
from tests.bench.city_sinks import City, Sent, Stores
from tests.bench.feed_costs import chain_of
from tests.bench.servers import running
from trafficapp.batching.fetching import in_runs
from trafficapp.engine.kafka import aiokafka_config, create_topics
from trafficapp.engine.transactions import Outgoing, _batches_of
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers import data_dir
from trafficapp.stores.postgres.sink import SinkCounters
from trafficapp.stores.redis.sink import Call
from trafficapp.topics import MAX_RECORD_BYTES, TopicDeclaration

RESULT = Path("build") / "city_floor.json"
#: As many as the engine applies as one, and rows or documents that are written as one.
RUN_RECORDS = 4000
#: As workers rest behind a transaction: the broker is not done with it at once, and refuses the next for a while.
_REST_SECONDS = 0.2
STAGES = ("read", "decode", "send", "copy", "put")


def _runs(sent: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    for first in range(0, len(sent), RUN_RECORDS):
        yield sent[first : first + RUN_RECORDS]


class Spent:
    """CPU time of this process by stage, seconds."""

    def __init__(self) -> None:
        self.of: dict[str, float] = defaultdict(float)

    async def timed(self, stage: str, work: Callable[[], Any]) -> None:
        """Add what work takes, which may be a coroutine function."""
        began = time.process_time()
        made = work()
        if asyncio.iscoroutine(made):
            await made
        self.of[stage] += time.process_time() - began


class Recorded:
    """What messages of a feed lead to.

    Attributes:
        outer: what producers send.
        inner: what goes on by key.
        told: what the rules tell and remember, by topic.
    """

    def __init__(self, source: Source, count: int, settings: Settings) -> None:
        chain = chain_of(source, settings)
        messages = [*islice(of_one(source), count)]
        now = time.time_ns() // 1_000_000
        self.outer = [Outgoing("", key, value, 0, now) for _, key, value in messages]
        self.inner: list[Outgoing] = []
        self.told: dict[str, list[Outgoing]] = defaultdict(list)
        self.shape = next(feed.shape for feed in FEEDS if feed.is_checked and feed.topic_in(settings) == source.topic)
        self.inner_shape: Any = None
        offset = 0
        for run in _runs(self.outer):
            records = [PlainRecord(offset + at, now, 1, one.key, one.value) for at, one in enumerate(run)]
            offset += len(run)
            sent = [*chain.intake.outcome(0, records)]
            self.inner += sent
            if chain.rules is not None:
                self.inner_shape = chain.rules._declared.shape
                inner = [PlainRecord(at, now, 1, one.key, one.value) for at, one in enumerate(sent)]
                for one in chain.rules.outcome(0, inner):
                    self.told[one.topic].append(one)


async def _read(settings: Settings, topic: str, count: int, spent: Spent) -> None:
    tp = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(
        **aiokafka_config(settings), enable_auto_commit=False, isolation_level="read_committed", fetch_max_wait_ms=50
    )
    await consumer.start()
    try:
        consumer.assign([tp])
        await consumer.seek_to_end(tp)
        await consumer.getmany(tp, timeout_ms=50)
        consumer.seek(tp, 0)

        async def read() -> None:
            seen = 0
            while seen < count:
                with in_runs(RUN_RECORDS):
                    for runs in (await consumer.getmany(tp, timeout_ms=500)).values():
                        seen += sum(map(len, runs))

        await spent.timed("read", read)
    finally:
        await consumer.stop()


async def _send(producer: AIOKafkaProducer, group: str, topic: str, sent: Sequence[Outgoing]) -> None:
    for end, run in enumerate(_runs(sent), 1):
        async with producer.transaction():
            acknowledgements = [
                await producer.send_batch(batch, topic, partition=0) for batch in _batches_of(producer, run)
            ]
            offsets = {TopicPartition(topic, 0): OffsetAndMetadata(end, "")}
            await producer.send_offsets_to_transaction(offsets, group)
            await asyncio.gather(*acknowledgements)
        await asyncio.sleep(_REST_SECONDS)


def _decode(shape: Any, values: Sequence[bytes | None]) -> None:
    decode = msgspec.json.Decoder(shape).decode
    for value in values:
        decode(value or b"")


async def _copy(stores: Stores, found: dict[str, list[Sent]], spent: Spent) -> None:
    for topic, number, records in stores.runs(found, RUN_RECORDS):
        sink = stores.sinks[topic]
        batch, _ = sink.decode(records)
        pool = await sink._opened_pool()
        async with pool.acquire() as connection:
            await sink.ensure_partitions(connection, batch)
        await spent.timed("copy", partial(_write, sink, pool, batch, number, records[-1].offset + 1))


async def _write(sink: Any, pool: Any, batch: Any, partition: int, end: int) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await sink.write(connection, batch, SinkCounters(), False)
        await connection.execute(
            "UPDATE sink_offsets SET next_offset = $4 WHERE sink = $1 AND topic = $2 AND partition = $3",
            *(sink.name, sink.topic, partition, end),
        )


async def _put(stores: Stores, found: dict[str, list[Sent]], spent: Spent) -> None:
    for topic, number, records in stores.runs(found, RUN_RECORDS):
        sink = stores.sinks[topic]
        owned = sink._owned[number]
        changes = sink.collect(owned.memory, records)
        call = Call(number, owned.generation, owned.stored, -1)
        await spent.timed("put", partial(sink.put, call, changes))


async def floor_of(source: Source, count: int, settings: Settings, redis_url: str) -> dict[str, float]:
    """µs of CPU a message, by stage."""
    spent, recorded = Spent(), Recorded(source, count, settings)
    producer = AIOKafkaProducer(
        **aiokafka_config(settings),
        transactional_id=f"floor-{source.topic}",
        max_batch_size=900_000,
        max_request_size=MAX_RECORD_BYTES,
    )
    await producer.start()
    by_topic: dict[str, list[Outgoing]] = {"outer": recorded.outer, "inner": recorded.inner} | dict(recorded.told)
    await create_topics(
        settings, [TopicDeclaration(f"{settings.app_id}-{source.topic}-{name}", "any", 1, 1) for name in by_topic]
    )
    try:
        for name, sent in by_topic.items():
            topic = f"{settings.app_id}-{source.topic}-{name}"
            # what it takes to get to know a topic is no cost of a message
            await _send(producer, settings.app_id, topic, sent[:1])
            # producers of others send what is outer
            await (spent.timed if name != "outer" else Spent().timed)(
                "send", partial(_send, producer, settings.app_id, topic, sent)
            )
            for shape in _shapes_of_readers(name, recorded, settings):
                await _read(settings, topic, len(sent), spent)
                await spent.timed("decode", partial(_decode, shape, [one.value for one in sent]))
    finally:
        await producer.stop()
    for role, work in (("history", _copy), ("live", _put)):
        stores, city, messages = Stores(role, settings, redis_url), City(settings), of_one(source)
        await stores.load()
        # connections, statements and scripts are there then
        await work(stores, city.records(islice(messages, 500)), Spent())
        await work(stores, city.records(islice(messages, count)), spent)
        await stores.close()
    return {stage: spent.of[stage] / count * 1e6 for stage in STAGES}


def _shapes_of_readers(name: str, recorded: Recorded, settings: Settings) -> list[Any]:
    """The shapes by which those who read a topic decode it, one for each who does."""
    if name == "outer":
        return [recorded.shape]
    if name == "inner" and recorded.inner_shape is not None:
        return [recorded.inner_shape]
    shapes = []
    for feed in FEEDS:
        kept = feed.kept_topic_in(settings)
        if kept == name or (name == "inner" and recorded.inner and recorded.inner[0].topic == kept):
            shapes += [feed.shape] * ((feed.history is not None) + (feed.current is not None))
    return shapes


async def measure(folder: Path, sources: Collection[Source], count: int) -> dict[str, dict[str, float]]:
    """Of each feed."""
    found = {}
    async with running(folder) as (_, environment):
        settings = load_settings(
            kafka={"bootstrap_servers": environment["KAFKA_BOOTSTRAP_SERVERS"]},
            postgres={"url": environment["DATABASE_URL"]},
            app_id=f"floor-{time.time_ns():x}",
        )
        for source in sources:
            found[source.topic] = await floor_of(source, count, settings, environment["REDIS_URL"])
            print(source.topic, {stage: round(cost, 1) for stage, cost in found[source.topic].items()}, flush=True)
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="messages of each feed")
    parser.add_argument("--ours", type=Path, default=Path("build") / "city.json", help="what our roles cost")
    parser.add_argument("topics", nargs="*", help="of feeds to measure; all without any")
    arguments = parser.parse_args()
    sources = [source for source in SOURCES if source.topic in arguments.topics or not arguments.topics]
    with tempfile.TemporaryDirectory(prefix="trafficapp-bench-floor-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        found = asyncio.run(measure(data_dir.prepare(Path(path)), sources, arguments.count))
    ours = json.loads(arguments.ours.read_text())["costs"] if arguments.ours.exists() else {}
    table = Table("feed", *STAGES, "floor", "ours", title="µs of CPU per message")
    rows = []
    for topic, costs in found.items():
        lowest, taken = sum(costs.values()), sum(ours.get(topic, {}).values()) or None
        table.add_row(
            topic, *(f"{costs[one]:.1f}" for one in STAGES), f"{lowest:.1f}", "" if taken is None else f"{taken:.1f}"
        )
        rows.append({"name": f"floor_{topic}", "value": round(lowest, 1), "unit": "µs", "before": taken} | costs)
    Console().print(table)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
