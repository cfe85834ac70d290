"""What a write tells the rest of the system: told after its commit, by whoever lives, and never after a rollback."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest
from aiokafka import AIOKafkaProducer

from tests.stores.postgres.fixtures import Connection, Pool
from tests.stores.redis.redis_server import RedisServer
from tests.verification.log import end_offsets, read_log
from trafficapp.engine.kafka import create_topics
from trafficapp.engine.outbox import Outbox
from trafficapp.settings import load_settings
from trafficapp.stores.postgres.publications import (
    EventPublication,
    KafkaPublication,
    Pending,
    Publication,
    Publisher,
    record,
)
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.event_log import EVENTS_CHANNEL, LOG_KEY, emit
from trafficapp.topics import TopicDeclaration

MakePublisher: TypeAlias = Callable[..., Publisher]


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def publisher(kafka_bootstrap: str, redis_server: RedisServer) -> AsyncIterator[MakePublisher]:
    """Make publishers; each is as another process."""
    async with AsyncExitStack() as stack:

        def make(kafka: str = kafka_bootstrap) -> Publisher:
            outbox = Outbox(load_settings(kafka={"bootstrap_servers": kafka}))
            redis = connect(redis_server.url)
            stack.push_async_callback(outbox.stop)
            stack.push_async_callback(redis.aclose)

            return Publisher(outbox, redis)

        yield make


@pytest.fixture
async def topic(kafka_bootstrap: str) -> str:
    name = f"test.publications.{secrets.token_hex(4)}"
    await create_topics(load_settings(kafka={"bootstrap_servers": kafka_bootstrap}), [TopicDeclaration(name, "", 5, 1)])
    return name


@pytest.fixture(autouse=True)
async def nothing_pending(database: Connection) -> None:
    await database.execute("TRUNCATE pending_publications")


async def commit(pool: Pool, *publications: Publication, age_seconds: int = 0) -> list[Pending]:
    async with pool.acquire() as connection, connection.transaction():
        pending = await record(connection, publications)
        await connection.execute(
            "UPDATE pending_publications SET created_at = now() - $1 * interval '1 s'", age_seconds
        )
    return pending


async def waiting(pool: Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM pending_publications")
    return count


def log_of(kafka_bootstrap: str, topic: str) -> list[tuple[int, bytes | None, bytes | None]]:
    return sorted((one.partition, one.key, one.value) for one in read_log(kafka_bootstrap, topic))


async def events(redis_server: RedisServer, name: str) -> list[dict[bytes, bytes]]:
    async with connect(redis_server.url) as redis:
        entries: Any = await redis.xrange(LOG_KEY)
    return [fields for _, fields in entries if fields[b"event"] == name.encode()]


async def test_a_record_goes_where_kafkas_own_clients_send_its_key(
    pool: Pool, publisher: MakePublisher, topic: str, kafka_bootstrap: str
) -> None:
    keys = ["cam_01", "Zürich/7", "\u4ea4\u901a"]
    pending = await commit(pool, *(KafkaPublication(topic=topic, key=key, value='"\\u0000"') for key in keys))
    assert await publisher().publish(pool, pending)
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as theirs:
        for key in keys:
            await theirs.send_and_wait(topic, b'"\\u0000"', key=key.encode())
    log = log_of(kafka_bootstrap, topic)
    assert log[0::2] == log[1::2]
    assert await waiting(pool) == 0


async def test_a_record_for_all_partitions_goes_to_each_once(
    pool: Pool, publisher: MakePublisher, topic: str, kafka_bootstrap: str
) -> None:
    one = KafkaPublication(topic=topic, key=None, value="{}", headers={"trafficapp-tick": ""}, partitions="all")
    assert await publisher().publish(pool, await commit(pool, one))
    assert end_offsets(kafka_bootstrap, topic) == dict.fromkeys(range(5), 1)
    assert log_of(kafka_bootstrap, topic) == []  # whoever reads a log leaves out what has this header


async def test_an_event_is_emitted_once_however_often_it_is_told(
    pool: Pool, publisher: MakePublisher, redis_server: RedisServer
) -> None:
    pending = await commit(pool, EventPublication(event="told", data='{"text":"ä"}'))
    assert await publisher().publish(pool, pending)
    assert await publisher().publish(pool, pending)
    assert [one[b"data"] for one in await events(redis_server, "told")] == ['{"text":"ä"}'.encode()]


async def test_what_a_crash_left_over_is_told_by_one_of_several_sweepers(
    pool: Pool, publisher: MakePublisher, topic: str, kafka_bootstrap: str
) -> None:
    # the process ends between its commit and its first word
    left = [KafkaPublication(topic=topic, key=str(number), value="{}") for number in range(150)]
    await commit(pool, *left, age_seconds=3)
    sweepers = [publisher(), publisher()]
    while await waiting(pool):
        await asyncio.gather(*(sweeper.sweep(pool) for sweeper in sweepers))
    assert len(log_of(kafka_bootstrap, topic)) == 150


async def test_what_its_writer_may_still_tell_is_left_to_it(pool: Pool, publisher: MakePublisher, topic: str) -> None:
    await commit(pool, KafkaPublication(topic=topic, key="a", value="{}"))
    assert await publisher().sweep(pool) == 0
    assert await waiting(pool) == 1


async def test_a_write_taken_back_tells_nothing(pool: Pool) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await record(connection, [EventPublication(event="undone", data="{}")])
        await transaction.rollback()
    assert await waiting(pool) == 0


async def test_without_kafka_or_redis_it_stays_until_somebody_can_tell_it(
    pool: Pool, publisher: MakePublisher, topic: str, kafka_bootstrap: str, redis_server: RedisServer
) -> None:
    both = (KafkaPublication(topic=topic, key="a", value="{}"), EventPublication(event="late", data="{}"))
    redis_server.kill()
    try:
        assert not await publisher(kafka="127.0.0.1:9").publish(pool, await commit(pool, *both, age_seconds=3))
    finally:
        redis_server.start()
    assert await waiting(pool) == 2
    assert await publisher().sweep(pool) == 2
    assert len(log_of(kafka_bootstrap, topic)) == 1
    assert len(await events(redis_server, "late")) == 1


async def test_trying_again_before_kafka_has_answered_adds_no_copies(
    pool: Pool, publisher: MakePublisher, topic: str, kafka_bootstrap: str
) -> None:
    pending = await commit(pool, KafkaPublication(topic=topic, key="a", value="{}"), age_seconds=3)
    one = publisher()
    assert all(await asyncio.gather(*(one.publish(pool, pending) for _ in range(5))))
    assert len(log_of(kafka_bootstrap, topic)) == 1


async def test_one_that_cannot_be_told_holds_up_nothing(
    pool: Pool, publisher: MakePublisher, topic: str, kafka_bootstrap: str
) -> None:
    too_large = KafkaPublication(topic=topic, key="a", value="x" * (9 << 20))
    await commit(pool, too_large, KafkaPublication(topic=topic, key="a", value="{}"), age_seconds=3)
    await pool.execute(
        "INSERT INTO pending_publications (kind, payload, created_at) "
        "VALUES ('event', '{\"kind\": \"fax\"}', '2020-01-01Z')"
    )
    assert await publisher().sweep(pool) == 1
    assert await waiting(pool) == 2
    assert [value for _, _, value in log_of(kafka_bootstrap, topic)] == [b"{}"]


async def test_what_is_refused_again_and_again_is_set_aside_and_meanwhile_blocks_nobody(
    pool: Pool, publisher: MakePublisher, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await pool.execute(
        "INSERT INTO pending_publications (kind, payload, created_at) "
        "SELECT 'event', '{\"kind\": \"fax\"}', '2020-01-01Z' FROM generate_series(1, 100)"
    )
    await commit(pool, EventPublication(event="behind", data="{}"), age_seconds=3)
    sweeper = publisher()
    assert [await sweeper.sweep(pool) for _ in range(8)] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert len(await events(redis_server, "behind")) == 1
    assert await pool.fetchval("SELECT count(*) FROM pending_publications WHERE failed_at IS NOT NULL") == 100
    assert len([entry for entry in caplog.records if "set aside" in entry.message]) == 100


async def test_a_number_that_a_restored_database_gives_again_keeps_no_event_back(
    pool: Pool, publisher: MakePublisher, redis_server: RedisServer
) -> None:
    for text in ("before", "after"):
        await pool.execute("TRUNCATE pending_publications RESTART IDENTITY")
        pending = await commit(pool, EventPublication(event="restored", data=f'"{text}"'))
        assert pending[0].id == 1
        assert await publisher().publish(pool, pending)
    assert [one[b"data"] for one in await events(redis_server, "restored")] == [b'"before"', b'"after"']


async def test_a_database_that_freezes_after_the_commit_holds_nobody_up(
    pool: Pool, publisher: MakePublisher, database: Connection
) -> None:
    pending = await commit(pool, EventPublication(event="frozen", data="{}"))
    async with asyncio.timeout(180):
        async with database.transaction():
            await database.execute("LOCK TABLE pending_publications IN ACCESS EXCLUSIVE MODE")
            assert await publisher().publish(pool, pending)
            assert await database.fetchval("SELECT count(*) FROM pending_publications") == 1
        while await waiting(pool):  # noqa: ASYNC110 - the change comes from the server
            await asyncio.sleep(0.05)


async def test_the_channel_carries_whole_envelopes(publisher: MakePublisher, redis_server: RedisServer) -> None:
    async with connect(redis_server.url) as redis, redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(EVENTS_CHANNEL)
        number = await emit(redis, "heard", b'{"n":1}')
        message: Any = None
        while message is None:
            message = await subscription.get_message(timeout=5)
    assert message["data"].startswith(b'{"seq":%d,"event":"heard","ts":"2' % number)
    assert message["data"].endswith(b'Z","data":{"n":1}}')
