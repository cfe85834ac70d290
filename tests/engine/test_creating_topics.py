"""Topics are there for everybody once we say that they are made: a broker knows of them later than its controller."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import InvalidReplicationFactorError, KafkaTimeoutError

from trafficapp.engine import kafka
from trafficapp.engine.kafka import create_topics, partitions_of
from trafficapp.settings import Settings, load_settings
from trafficapp.topics import TopicDeclaration


@pytest.fixture
def settings(kafka_bootstrap: str) -> Settings:
    return load_settings(kafka={"bootstrap_servers": kafka_bootstrap})


@pytest.fixture
def topic() -> TopicDeclaration:
    return TopicDeclaration(f"test.creating.{secrets.token_hex(4)}", "key", 3, 1)


class LateBroker(AIOKafkaAdminClient):  # type: ignore[misc]
    """A broker that tells nothing of a topic at first, then only that it is there, then its partitions one by one."""

    #: What is left of a topic's answer, look by look; the last is all there is.
    looks: list[Any]

    async def describe_topics(self, topics: list[str] | None = None) -> list[Any]:
        told = await super().describe_topics(topics)
        look = self.looks.pop(0) if self.looks else None
        return told if look is None else [left for one in told if (left := look(one)) is not None]


def _no_leaders(one: dict[str, Any]) -> dict[str, Any]:
    return one | {"partitions": [part | {"leader": -1} for part in one["partitions"]]}


def _leader_of_all_but_one(one: dict[str, Any]) -> dict[str, Any]:
    *others, last = one["partitions"]
    return one | {"partitions": [*others, last | {"leader": -1}]}


async def test_it_returns_once_the_broker_tells_all_partitions_and_their_leaders(
    settings: Settings, topic: TopicDeclaration, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [lambda _: None, lambda one: one | {"error_code": 5}, lambda one: one | {"partitions": []}]
    monkeypatch.setattr(LateBroker, "looks", [*looks, _no_leaders, _leader_of_all_but_one], raising=False)
    monkeypatch.setattr(kafka, "AIOKafkaAdminClient", LateBroker)
    assert await create_topics(settings, [topic]) == [topic.name]
    assert LateBroker.looks == []
    assert await partitions_of(settings, topic.name) == [0, 1, 2]
    # one that was made is waited for as well, and not told as made
    monkeypatch.setattr(LateBroker, "looks", [lambda _: None, _no_leaders, _leader_of_all_but_one])
    assert await create_topics(settings, [topic]) == []
    assert LateBroker.looks == []


async def test_topics_that_the_broker_never_tells_are_named(
    settings: Settings, topic: TopicDeclaration, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = TopicDeclaration(f"{topic.name}-other", "key", 1, 1)
    await create_topics(settings, [other])
    never = [lambda one: _no_leaders(one) if one["topic"] == topic.name else one] * 1000
    monkeypatch.setattr(LateBroker, "looks", never, raising=False)
    monkeypatch.setattr(kafka, "AIOKafkaAdminClient", LateBroker)
    monkeypatch.setattr(kafka, "_KNOWN_WITHIN_SECONDS", 0.2)
    with pytest.raises(KafkaTimeoutError, match=f"within 0.2 s: {topic.name}$"):
        await create_topics(settings, [topic, other])


async def test_a_topic_that_is_being_deleted_is_made_again(settings: Settings, topic: TopicDeclaration) -> None:
    await create_topics(settings, [topic])
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await client.start()
    try:
        await client.delete_topics([topic.name])
        await create_topics(settings, [topic])
        assert await partitions_of(settings, topic.name) == [0, 1, 2]
    finally:
        await client.close()


async def test_processes_that_start_together_make_each_topic_once(settings: Settings, topic: TopicDeclaration) -> None:
    topics = [TopicDeclaration(f"{topic.name}-{number}", "key", 1, 1) for number in range(5)]
    made = await asyncio.gather(*(create_topics(settings, topics) for _ in range(3)))
    assert sorted(name for names in made for name in names) == sorted(one.name for one in topics)


async def test_a_topic_that_the_broker_refuses_is_named_with_the_reason(
    settings: Settings, topic: TopicDeclaration
) -> None:
    refused = TopicDeclaration(topic.name, "key", 1, 7)
    with pytest.raises(InvalidReplicationFactorError, match=f"topic {topic.name}: "):
        await create_topics(settings, [refused])
