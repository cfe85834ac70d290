"""Feeds, the rules that they send to, and what those tell, on real servers: as the role ``feeds`` has them."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiokafka import AIOKafkaProducer, ConsumerRecord

from agents.feeds import FeedIntake
from agents.rules import RulesSink
from models.dead_letters import DeadLetter, decode_dead_letter
from tests.feeds.committed import existing_partitions, read_committed
from trafficapp.engine.kafka import aiokafka_config, create_topics, end_offsets
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.rules import Rules
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import KafkaReadBack
from trafficapp.topics import DEAD_LETTERS, declared_topics
from web.application import setup
from web.serving.context import WebContext
from web.serving.database import Database
from web.serving.health import kafka_answers

PARTITIONS = 2


class RulesPlace:
    """Feeds that send to one set of rules, under topics that no other test has.

    Attributes:
        feeds: by the name that they have where they are declared.
        settings: of this place alone.
        intakes: what checks the feeds, as long as no other process takes over.
        rules: the rules, likewise.
    """

    def __init__(self, feeds: Sequence[Feed[Any]], rules: Rules[Any], settings: Settings, run: str) -> None:
        self.settings, self.declared, self._run = settings, rules, run
        self.telemetry = Telemetry("feeds", settings.app_id)
        self.feeds = {feed.name: replace(feed, topic=f"{feed.topic}-{run}", partitions=PARTITIONS) for feed in feeds}
        self.producer: AIOKafkaProducer | None = None
        self.intakes: list[FeedIntake] = []
        self.rules: RulesSink | None = None
        #: What another process took over from: as one that was frozen.
        self._ended: list[FeedIntake | RulesSink] = []
        self._next: dict[str, dict[int, int]] = defaultdict(dict)

    async def send(self, feed: str, *messages: bytes | None, key: bytes | None = None) -> None:
        """Produce messages as a producer of the feed does, into any partition."""
        assert self.producer is not None
        topic = self.feeds[feed].topic_in(self.settings)
        for number, message in enumerate(messages):
            await self.producer.send(topic, message, key, number % PARTITIONS if key is None else None)
        await self.producer.flush()

    async def begin(self) -> None:
        """Let a new process take everything over; what the one before had not sent, it never will."""
        self._ended += [*self.intakes, *([self.rules] if self.rules is not None else [])]
        self.intakes = [FeedIntake(feed, self.settings, self.telemetry) for feed in self.feeds.values()]
        self.rules = RulesSink(self.declared, list(self.feeds), self.settings, self.telemetry)
        self._next.clear()
        for sink in (*self.intakes, self.rules):
            self._next[sink.topic] = await sink.load(await existing_partitions(self.settings, sink.topic))

    async def settle(self, clock_us: int | None = None) -> None:
        """Let all that was sent take effect.

        Args:
            clock_us: tells the rules that everything that came until then was read.
        """
        assert self.rules is not None
        for intake in self.intakes:
            await self._pump(intake)
            if clock_us is not None:
                ends = await end_offsets(self.settings, intake.topic, range(PARTITIONS))
                await intake.send_ticks(clock_us, ends, self._next[intake.topic].get)
        await self._pump(self.rules)

    async def told(self, topic: str, *, transaction_is_open: bool = False) -> list[ConsumerRecord]:
        """All that stands in a topic, partition by partition; before a transaction that nobody ends, if one is open."""
        numbers = await existing_partitions(self.settings, topic)
        starts = dict.fromkeys(numbers, 0)
        reading = read_committed(self.settings, topic, starts, transaction_is_open=transaction_is_open)
        runs = [run async for _, run in reading]
        found = [record for run in runs for record in run]
        return sorted(found, key=lambda record: (record.partition, record.offset))

    async def letters(self) -> list[DeadLetter]:
        """Dead letters of the feeds."""
        topics = {feed.topic_in(self.settings) for feed in self.feeds.values()}
        found = [decode_dead_letter(record.value) for record in await self.told(DEAD_LETTERS)]
        return [letter for letter in found if letter.topic in topics]

    async def keep(self, outputs: Iterable[Feed[Any]]) -> None:
        """Let new processes put what was told into Postgres and Redis."""
        client = connect(self.settings.redis.url.get_secret_value())
        sinks: list[RowsSink | DocumentsSink] = []
        for feed in outputs:
            if feed.history is not None:
                sinks.append(RowsSink(feed, self.settings))
            if feed.current is not None:
                back = KafkaReadBack(feed.kept_topic_in(self.settings), aiokafka_config(self.settings))
                sinks.append(DocumentsSink(feed, self.settings, client, back))
        for sink in sinks:
            numbers = await existing_partitions(self.settings, sink.topic)
            self._next[sink.topic] = await sink.load(numbers)
            await self._pump(sink)
            sink.release(numbers)
            if isinstance(sink, RowsSink):
                await sink.close()
        await client.aclose()

    @asynccontextmanager
    async def api(self, headers: Mapping[str, str]) -> AsyncIterator[TestClient[web.Request, web.Application]]:
        """The API of a worker that has just started, for a caller with these headers."""
        url = self.settings.redis.url.get_secret_value()
        context = WebContext(
            settings=self.settings,
            telemetry=self.telemetry,
            redis=connect(url),
            database=Database(self.settings.postgres),
            kafka_up=kafka_answers(self.settings.kafka),
        )
        application = web.Application()
        setup(application, context, lambda: connect(url, retries=0))
        async with TestClient(TestServer(application, host="127.0.0.1"), headers=headers) as client:
            yield client

    async def close(self) -> None:
        """Disconnect."""
        for sink in (*self._ended, *self.intakes, *([self.rules] if self.rules is not None else [])):
            await sink.close()

    async def _pump(self, sink: FeedIntake | RulesSink | RowsSink | DocumentsSink) -> None:
        by_partition: dict[int, list[ConsumerRecord]] = defaultdict(list)
        async for partition, records in read_committed(self.settings, sink.topic, self._next[sink.topic]):
            by_partition[partition] += records
        for partition, run in by_partition.items():
            await sink.apply(partition, run, lambda: True)


@asynccontextmanager
async def rules_place(
    feeds: Sequence[Feed[Any]],
    rules: Rules[Any],
    outputs: Iterable[Feed[Any]],
    kafka: str,
    **sections: Any,
) -> AsyncIterator[RulesPlace]:
    """A place with a process that has taken over.

    Args:
        feeds: that send to the rules.
        rules: the rules.
        outputs: feeds of ours that the rules tell; their topics are made, and keep their names: other tests write
            there, too, so ask for what has keys of your own.
        kafka: where it is.
        sections: settings.
    """
    run = secrets.token_hex(3)
    settings = load_settings(app_id=f"rules-{run}", kafka={"bootstrap_servers": kafka}, **sections)
    place = RulesPlace(feeds, rules, settings, run)
    await create_topics(settings, declared_topics(settings, [*place.feeds.values(), *outputs]))
    async with AIOKafkaProducer(**aiokafka_config(settings), linger_ms=0) as producer:
        place.producer = producer
        await place.begin()
        try:
            yield place
        finally:
            await place.close()
