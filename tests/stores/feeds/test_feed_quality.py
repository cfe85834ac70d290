"""Figures of feeds from Kafka and Postgres: right whoever was restarted, and what is told again counts once."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from models.dead_letters import DeadLetter, encode_dead_letter
from models.timestamps import rfc3339
from tests.stores.postgres.fixtures import Connection, Pool
from tests.stores.postgres.records import owned, record
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.feeds.minutes import FeedMinutes
from trafficapp.stores.feeds.quality import feed_quality
from trafficapp.stores.feeds.refused_sink import RefusedSink
from trafficapp.topics import DEAD_LETTERS, TopicDeclaration

NOON_S = 1_768_392_000
NOON = datetime.fromtimestamp(NOON_S, UTC)


@pytest.fixture
async def tables(database: Connection) -> Connection:
    await database.execute("TRUNCATE feed_minutes, feed_refusals, feed_letters, feed_intake_minutes, sink_offsets")
    return database


@pytest.fixture
async def sink(tables: Connection, settings: Settings) -> AsyncIterator[RefusedSink]:
    sink = RefusedSink(settings)
    await sink.load([0])
    yield sink
    await sink.close()


def letter(offset: int, reason: str, at: int, topic: str = "bays", **changes: Any) -> bytes:
    time = rfc3339((NOON_S + at) * 1_000_000)
    return encode_dead_letter(
        DeadLetter(topic=topic, partition=0, offset=offset, timestamp=time, reason=reason, detail="", **changes)
    )


def letters(first: int, *values: bytes) -> list[Any]:
    return [record(offset, value, topic=DEAD_LETTERS) for offset, value in enumerate(values, first)]


async def test_letters_are_counted_once(sink: RefusedSink, tables: Connection, settings: Settings) -> None:
    one, two = letter(7, "not_json", 1), letter(9, "late", 62, events=3, reasons={"late": 2, "unknown_class": 1})
    await sink.apply(0, letters(0, one, two), owned)
    # sent again after a crash, and by a sink that was started again
    other = RefusedSink(settings)
    assert await other.load([0]) == {0: 2}
    anew = letter(3, "not_json", 90)
    await other.apply(0, letters(2, two, b"no letter", one, anew, letter(0, "not_json", 1, topic="others")), owned)
    await other.close()
    rows = await tables.fetch("SELECT topic, minute, reason, messages, parts FROM feed_refusals ORDER BY 1, 2, 3")
    minute = timedelta(minutes=1)
    assert [tuple(row) for row in rows] == [
        ("bays", NOON, "not_json", 1, 1),
        ("bays", NOON + minute, "late", 1, 2),
        # of a topic that was made anew: an older offset at a later time
        ("bays", NOON + minute, "not_json", 1, 1),
        ("bays", NOON + minute, "unknown_class", 0, 1),
        ("others", NOON, "not_json", 1, 1),
    ]


async def test_minutes_are_what_kafka_has_and_figures_follow(
    kafka_bootstrap: str, tables: Connection, pool: Pool
) -> None:
    settings = load_settings(kafka={"bootstrap_servers": kafka_bootstrap})
    topic, quiet = (f"bays-{secrets.token_hex(4)}" for _ in range(2))
    await create_topics(settings, [TopicDeclaration(name, "any", 2, 1) for name in (topic, quiet)])
    topics = [topic, quiet, "not there"]
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        for at, count in ((5, 4), (59, 2), (61, 3), (200, 1)):
            for number in range(count):
                time_ms = (NOON_S + at) * 1000
                await producer.send_and_wait(topic, b"m", partition=number % 2, timestamp_ms=time_ms)
        assert await FeedMinutes(settings, topics).look(pool, NOON_S + 130) == 61
        worker = FeedMinutes(settings, topics)
        assert await worker.look(pool, NOON_S + 250) > 0
        # a record that was on its way is counted where it belongs
        await producer.send_and_wait(topic, b"m", partition=0, timestamp_ms=(NOON_S + 201) * 1000)
        await worker.look(pool, NOON_S + 310)
    rows = await tables.fetch("SELECT topic, minute, messages FROM feed_minutes ORDER BY minute")
    assert [(row[0], row[1], row[2]) for row in rows] == [
        (topic, NOON + timedelta(minutes=minute), count) for minute, count in ((0, 6), (1, 3), (3, 2))
    ]

    for day, count in ((1, 60), (2, 1200), (3, 2400)):
        before = NOON - timedelta(days=day)
        await tables.execute("INSERT INTO feed_minutes VALUES ($1, $2, $3)", topic, before, count)
    await tables.execute(
        "INSERT INTO feed_refusals VALUES ($1, $2, 'not_json', 2, 2), ($1, $2, 'late', 1, 5)", topic, NOON
    )
    await tables.execute(
        "INSERT INTO feed_intake_minutes VALUES ('x', 'bays', $1, 0, $2, 8, 6, 16000000, 1)", topic, NOON
    )
    found = await feed_quality(pool, [("bays", topic), ("quiet", quiet)], NOON + timedelta(minutes=5), 5)
    bays, other = found
    assert (bays.messages, bays.accepted, bays.refused) == (11, 8, {"late": 1, "not_json": 2})
    assert (bays.refused_parts, bays.late, bays.repeated) == ({"late": 5, "not_json": 2}, 5, 1)
    assert (bays.last_seen, bays.usual_per_minute) == ("2026-01-14T12:03:00Z", 20.0)
    assert (bays.completeness, bays.validity) == (round(11 / 100, 4), round(8 / 11, 4))
    assert (bays.timeliness, bays.late_mean_seconds) == (0.75, 2.0)
    assert (other.messages, other.last_seen, other.usual_per_minute, other.completeness) == (0, None, None, None)
    assert (other.validity, other.timeliness, other.repeated) == (None, None, None)
