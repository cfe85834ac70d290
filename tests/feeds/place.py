"""A feed on real servers: its topic, its agents' sinks, and the API in front of them."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
from aiohttp import ClientWebSocketResponse, web
from aiohttp.test_utils import TestClient, TestServer
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from agents.feeds import FeedIntake
from models.dead_letters import DeadLetter, decode_dead_letter
from models.records import PlainRecord
from tests.conftest import delete_topics
from tests.feeds.committed import existing_partitions, read_committed
from tests.stores.redis.redis_server import RedisServer
from trafficapp.engine.kafka import aiokafka_config, create_topics
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Current, Feed
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import KafkaReadBack
from trafficapp.topics import DEAD_LETTERS, declared_topics, topics_of
from web.application import setup
from web.serving.context import WebContext
from web.serving.database import Database
from web.serving.health import kafka_answers

ADMIN_KEY = "the-administrators-key-of-the-tests"
PARTITIONS = 3


@dataclass
class Place:
    """A feed under a topic of its own.

    Attributes:
        database: a connection beside the sinks'.
        lengths: how many records a run has: another number cuts runs differently.
        longest: how many it has at most.
    """

    feed: Feed[Any]
    settings: Settings
    redis_server: RedisServer
    database: asyncpg.Connection[asyncpg.Record]
    producer: AIOKafkaProducer
    telemetry: Telemetry = field(default_factory=Telemetry)
    lengths: random.Random = field(default_factory=lambda: random.Random(5))
    longest: int = 5

    async def send(self, *values: Any, key: bytes | None = None, partition: int | None = None) -> None:
        """Send messages as their producers do: under their keys, unless told otherwise."""
        for value in values:
            told = value if isinstance(value, bytes) else json.dumps(value).encode()
            of_message = value.get(self.feed.key) if isinstance(value, dict) else None
            used = of_message.encode() if key is None and isinstance(of_message, str) else key
            await self.producer.send_and_wait(self.feed.topic_in(self.settings), told, used, partition)

    def intake(self) -> FeedIntake:
        """What checks messages, as another process."""
        return FeedIntake(self.feed, self.settings, self.telemetry)

    def rows_sink(self, postgres_url: str | None = None) -> RowsSink:
        """What writes rows, as another process."""
        settings = self.settings
        if postgres_url is not None:
            settings = load_settings(app_id=settings.app_id, postgres={"url": postgres_url}, kafka=settings.kafka)
        return RowsSink(self.feed, settings)

    def documents_sink(self, client: Redis) -> DocumentsSink:
        """What puts documents, as another process."""
        topic = self.feed.kept_topic_in(self.settings)
        return DocumentsSink(self.feed, self.settings, client, KafkaReadBack(topic, aiokafka_config(self.settings)))

    async def check(self) -> None:
        """Let a new process check what was sent."""
        sink = self.intake()
        await self.pump(sink)
        await sink.close()

    async def keep(self, postgres_url: str | None = None) -> RowsSink:
        """Let a new process write rows of what was checked."""
        sink = self.rows_sink(postgres_url)
        try:
            await self.pump(sink)
        finally:
            await sink.close()
        return sink

    async def put(self, redis_url: str | None = None) -> None:
        """Let a new process put documents of what was checked."""
        client = connect(redis_url or self.redis_server.url)
        sink = self.documents_sink(client)
        try:
            await self.pump(sink)
        finally:
            sink.release(range(PARTITIONS))
            await client.aclose()

    async def settle(self) -> None:
        """Let all of it happen."""
        await self.check()
        await self.keep()
        await self.put()

    async def pump(self, sink: Any) -> None:
        """Give a sink what stands in its topic behind what it has applied, as the engine does."""
        numbers = await existing_partitions(self.settings, sink.topic)
        starts = await sink.load(numbers)
        async for partition, records in self.runs(sink.topic, starts):
            await sink.apply(partition, records, lambda: True)

    async def runs(self, topic: str, starts: dict[int, int]) -> AsyncIterator[tuple[int, list[PlainRecord]]]:
        """What is committed from offsets on, in runs of some records."""
        found = defaultdict[int, list[PlainRecord]](list)
        async for partition, records in read_committed(self.settings, topic, dict(starts)):
            # as the engine gives them: they do not say which topic and partition they are of
            found[partition] += [
                PlainRecord(one.offset, one.timestamp, one.timestamp_type, one.key, one.value, list(one.headers))
                for one in records
            ]
        for partition, records in found.items():
            while records:
                length = self.lengths.randrange(1, self.longest + 1)
                yield partition, records[:length]
                records = records[length:]

    async def letters(self) -> list[DeadLetter]:
        """Dead letters of the feed, in the order of their records."""
        numbers = await existing_partitions(self.settings, DEAD_LETTERS)
        runs = [run async for _, run in self.runs(DEAD_LETTERS, dict.fromkeys(numbers, 0))]
        letters = [decode_dead_letter(record.value) for run in runs for record in run]
        ours = [letter for letter in letters if letter.topic == self.feed.topic_in(self.settings)]
        return sorted(ours, key=lambda letter: (letter.partition, letter.offset))

    async def rows(self) -> list[dict[str, Any]]:
        """All rows, in order of their keys."""
        history = self.feed.history
        assert history is not None
        found = await self.database.fetch(f"SELECT * FROM {history.table} ORDER BY {', '.join(history.key)}")  # noqa: S608
        return [dict(row) for row in found]

    @asynccontextmanager
    async def api(
        self, feeds: Sequence[Feed[Any]] | None = None
    ) -> AsyncIterator[TestClient[web.Request, web.Application]]:
        """The API of a worker that has just started; of this feed, unless others are named."""
        context = WebContext(
            settings=self.settings,
            telemetry=self.telemetry,
            redis=connect(self.redis_server.url),
            database=Database(self.settings.postgres),
            kafka_up=kafka_answers(self.settings.kafka),
            feeds=[self.feed] if feeds is None else feeds,
        )
        application = web.Application()
        setup(application, context, lambda: connect(self.redis_server.url, retries=0))
        server = TestServer(application, host="127.0.0.1")
        async with TestClient(server, headers={"X-Admin-Token": ADMIN_KEY}) as client:
            yield client

    async def listed(self, query: str = "") -> list[dict[str, Any]]:
        """What the API lists, of all pages."""
        found: list[dict[str, Any]] = []
        path = f"{self.feed.path}{query}"
        async with self.api() as client:
            while path:
                async with client.get(path) as answer:
                    assert answer.status == 200, await answer.text()
                    found += await answer.json()
                    path = str(answer.links["next"]["url"].relative()) if "next" in answer.links else ""
        return found

    @asynccontextmanager
    async def socket(self, client: TestClient[web.Request, web.Application]) -> AsyncIterator[ClientWebSocketResponse]:
        """A socket of a worker that hears of what is put from now on."""
        assert isinstance(self.feed.current, Current)
        channel = self.feed.current.channel
        redis = connect(self.redis_server.url)

        async def is_heard() -> bool:
            return any(count for _, count in await redis.pubsub_numsub(channel))

        try:
            async with client.ws_connect(self.socket_path) as socket:
                await until(is_heard)
                yield socket
        finally:
            await redis.aclose()

    @property
    def socket_path(self) -> str:
        return f"/ws{(self.feed.path or '').removeprefix('/api')}"


async def told(
    socket: ClientWebSocketResponse,
    seconds: float = 0.4,
    *,
    least: int = 0,
    has_all: Callable[[list[dict[str, Any]]], bool] = lambda _: True,
) -> list[dict[str, Any]]:
    """What a socket tells: what must come is waited for, and what else comes until it is silent for so long.

    Args:
        socket: of a worker.
        seconds: how long it is silent when nothing else comes.
        least: how many messages must come.
        has_all: whether these messages are all that must come.
    """
    found: list[dict[str, Any]] = []
    while len(found) < least or not has_all(found):
        found.append(json.loads(await socket.receive_str(timeout=60)))
    with suppress(TimeoutError):
        while True:
            found.append(json.loads(await socket.receive_str(timeout=seconds)))
    return found


@asynccontextmanager
async def place_of(
    feed: Feed[Any], database_url: str, kafka: str, redis_server: RedisServer, tables: Iterable[str]
) -> AsyncIterator[Place]:
    """A feed under another topic than any other test has, with empty tables."""
    run = secrets.token_hex(3)
    feed = replace(feed, topic=f"{feed.name}-{run}", partitions=PARTITIONS)
    settings = load_settings(
        app_id=f"feeds-{run}",
        kafka={"bootstrap_servers": kafka},
        postgres={"url": database_url},
        redis={"url": redis_server.url},
        admin={"api_key": ADMIN_KEY},
    )
    topics = [topic for topic in declared_topics(settings, [feed]) if topic.name == DEAD_LETTERS]
    await create_topics(settings, [*topics, *topics_of(feed, settings)])
    async with AsyncExitStack() as stack:
        stack.callback(delete_topics, kafka, lambda name: name.startswith(feed.topic))
        database = await asyncpg.connect(database_url)
        stack.push_async_callback(database.close)
        await database.execute(f"TRUNCATE {', '.join(tables)}, sink_offsets")
        producer = AIOKafkaProducer(
            **aiokafka_config(settings), compression_type="gzip", max_request_size=8 << 20, linger_ms=0
        )
        await stack.enter_async_context(producer)
        yield Place(feed, settings, redis_server, database, producer)


async def until(holds: Callable[[], Any], seconds: float = 180.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - the change comes from the server
            await asyncio.sleep(0.05)
