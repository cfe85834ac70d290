"""The outbox on a real broker: order within a partition, batches, headers and what is too large."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.verification.log import read_log
from trafficapp.engine.kafka import create_topics, end_offsets
from trafficapp.engine.outbox import Outbox
from trafficapp.settings import Settings, load_settings
from trafficapp.topics import DEAD_LETTERS, MAX_RECORD_BYTES, TopicDeclaration, declared_topics


@pytest.fixture(scope="module")
def settings(kafka_bootstrap: str) -> Settings:
    return load_settings(kafka={"bootstrap_servers": kafka_bootstrap})


@pytest.fixture
async def topic(settings: Settings) -> str:
    name = f"test.outbox.{secrets.token_hex(4)}"
    await create_topics(settings, [TopicDeclaration(name, "any", 2, 1)])
    return name


@pytest.fixture
async def outbox(settings: Settings) -> AsyncIterator[Outbox]:
    outbox = Outbox(settings)
    yield outbox
    await outbox.stop()


def records(settings: Settings, topic: str) -> list[tuple[int, bytes | None, bytes | None]]:
    log = read_log(settings.kafka.bootstrap_servers, topic)
    return [(record.partition, record.key, record.value) for record in log]


async def test_records_of_a_partition_stay_in_the_order_they_were_handed_in(
    settings: Settings, outbox: Outbox, topic: str
) -> None:
    acknowledgements = []
    for number in range(100):
        key = b"%d" % number
        acknowledgements += await outbox.send(topic, number % 2, [(key, b"first"), (None, b"second")])
    offsets = [(await one).offset for one in acknowledgements]

    # what is acknowledged first lies first
    assert offsets[0::2] == offsets[1::2] == list(range(0, 100, 2))
    assert records(settings, topic) == [
        record
        for partition in (0, 1)
        for number in range(partition, 100, 2)
        for record in ((partition, b"%d" % number, b"first"), (partition, None, b"second"))
    ]


async def test_more_than_a_batch_holds_goes_in_several(settings: Settings, outbox: Outbox, topic: str) -> None:
    sent = [(b"%d" % number, secrets.token_bytes(100_000)) for number in range(30)]
    acknowledgements = await outbox.send(topic, 1, sent)

    assert [(await one).offset for one in acknowledgements] == [0, 8, 16, 24]
    assert records(settings, topic) == [(1, *record) for record in sent]


async def test_no_records_need_no_batch(outbox: Outbox, topic: str) -> None:
    assert await outbox.send(topic, 0, []) == []


async def test_headers_go_with_every_record(settings: Settings, outbox: Outbox, topic: str) -> None:
    await (await outbox.send(topic, 0, [(None, b"tick")], [("trafficapp-tick", b"")]))[0]
    await (await outbox.send(topic, 0, [(None, b"event")]))[0]

    assert records(settings, topic) == [(0, None, b"event")]
    assert await end_offsets(settings, topic, [0]) == {0: 2}


async def test_a_record_larger_than_a_batch_is_sent_alone(settings: Settings, outbox: Outbox) -> None:
    letters = next(topic for topic in declared_topics(settings) if topic.name == DEAD_LETTERS)
    topic = f"test.outbox.{secrets.token_hex(4)}"
    await create_topics(settings, [replace(letters, name=topic)])
    sizes = [100, MAX_RECORD_BYTES - 2000, 100]
    acknowledgements = await outbox.send(topic, 0, [(None, b"x" * size) for size in sizes])

    assert [(await one).offset for one in acknowledgements] == [0, 1, 2]
    assert [len(value or b"") for _, _, value in records(settings, topic)] == sizes


async def test_a_record_too_large_for_any_topic_is_refused(settings: Settings, outbox: Outbox, topic: str) -> None:
    with pytest.raises(ValueError, match=f"{MAX_RECORD_BYTES} bytes is too large for {topic}"):
        await outbox.send(topic, 0, [(None, b"x" * MAX_RECORD_BYTES)])
    await (await outbox.send(topic, 0, [(b"next", b"fits")]))[0]

    assert records(settings, topic) == [(0, b"next", b"fits")]


async def test_a_stopped_outbox_has_sent_everything_and_can_start_again(
    settings: Settings, outbox: Outbox, topic: str
) -> None:
    for number in range(50):
        await outbox.send(topic, 0, [(None, b"%d" % number)])
    await outbox.stop()
    await outbox.stop()
    assert [value for _, _, value in records(settings, topic)] == [b"%d" % number for number in range(50)]
    await (await outbox.send(topic, 0, [(None, b"again")]))[0]
    assert records(settings, topic)[-1] == (0, None, b"again")
