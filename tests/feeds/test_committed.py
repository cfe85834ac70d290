"""What tests read of a topic is all that is committed, or they fail: never a part, silently."""

from __future__ import annotations

import secrets

import pytest
from aiokafka import AIOKafkaProducer

from tests.feeds import committed
from tests.feeds.committed import existing_partitions, read_committed
from trafficapp.engine.kafka import aiokafka_config, create_topics
from trafficapp.settings import load_settings
from trafficapp.topics import TopicDeclaration


async def test_what_is_not_told_or_not_committed_is_an_error(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(kafka={"bootstrap_servers": kafka_bootstrap})
    topic = f"committed-{secrets.token_hex(3)}"

    async def values(*, transaction_is_open: bool = False) -> list[bytes | None]:
        reading = read_committed(settings, topic, {0: 0}, transaction_is_open=transaction_is_open)
        return [one.value async for _, run in reading for one in run]

    with pytest.raises(AssertionError, match=f"no partition of {topic}"):
        await existing_partitions(settings, topic)
    with pytest.raises(AssertionError, match=f"nothing to read of {topic}"):
        await anext(read_committed(settings, topic, {}))
    await create_topics(settings, [TopicDeclaration(topic, "key", 1, 1)])
    assert await values() == []
    async with AIOKafkaProducer(**aiokafka_config(settings), transactional_id=topic) as producer:
        async with producer.transaction():
            await producer.send(topic, b"first", partition=0)
        async with producer.transaction():
            await producer.send_and_wait(topic, b"second", partition=0)
            with monkeypatch.context() as impatient:
                impatient.setattr(committed, "_PATIENCE_SECONDS", 0.5)
                with pytest.raises(AssertionError, match=f"{topic} is not read within 0.5 s, or not committed"):
                    await values()
            assert await values(transaction_is_open=True) == [b"first"]
    assert await values() == [b"first", b"second"]
