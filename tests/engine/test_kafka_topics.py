"""Topics that exist already are brought to what we need, or refused with what to do."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Collection, Mapping

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from trafficapp.engine import kafka_topics
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.kafka_topics import TopicAdmin, followers_of, logs_of, state_of
from trafficapp.engine.state_rows import SourceLog
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Settings, SettingsError, load_settings
from trafficapp.topics import (
    ALERTS,
    EVENTS_RAW,
    METRICS,
    PREDICTIONS,
    ROADS_RAW,
    TopicDeclaration,
    alert_state_changelog,
    camera_state_changelog,
    declared_topics,
)


@pytest.fixture
def settings(kafka_bootstrap: str) -> Settings:
    return load_settings(app_id=f"topics-{secrets.token_hex(4)}", kafka={"bootstrap_servers": kafka_bootstrap})


@pytest.fixture
def admin(settings: Settings) -> TopicAdmin:
    return TopicAdmin(settings)


def made(admin: TopicAdmin, **config: str) -> str:
    """A topic with settings of its own."""
    name = f"test.topics.{secrets.token_hex(4)}"
    named = {name.replace("_", "."): value for name, value in config.items()}
    admin.client.create_topics([NewTopic(name, 2, 1, config=named)])[name].result(10)
    while name not in admin.logs([name]):
        time.sleep(0.05)
    return name


def declared(name: str, **config: str) -> TopicDeclaration:
    return TopicDeclaration(name, "key", 2, 1, {name.replace("_", "."): value for name, value in config.items()})


def settle(admin: TopicAdmin, topics: list[TopicDeclaration]) -> None:
    """Wait until the broker tells what was changed."""
    deadline = time.monotonic() + 10
    while admin.bring_up(topics):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def config_of(kafka_bootstrap: str, topic: str) -> Mapping[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    found = admin.describe_configs([resource])[resource].result(10)
    return {name: entry.value for name, entry in found.items()}


def test_a_topic_is_brought_to_what_is_needed_and_keeps_its_other_settings(
    admin: TopicAdmin, kafka_bootstrap: str
) -> None:
    topic = made(admin, retention_ms="12345678", cleanup_policy="delete", segment_ms="7777777")
    needed = declared(
        topic,
        message_timestamp_type="LogAppendTime",
        max_message_bytes="8388608",
        cleanup_policy="compact",
        retention_ms="1",
        segment_ms="600000",
    )
    assert admin.bring_up([needed]) == [
        f"{topic}: message.timestamp.type=LogAppendTime instead of CreateTime",
        f"{topic}: max.message.bytes=8388608 instead of 1048588",
        f"{topic}: cleanup.policy=compact instead of delete",
        f"{topic}: segment.ms=600000 instead of 7777777",
    ]
    settle(admin, [needed])
    config = config_of(kafka_bootstrap, topic)
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["max.message.bytes"] == "8388608"
    assert config["cleanup.policy"] == "compact"
    # what somebody chose otherwise stays
    assert config["retention.ms"] == "12345678"
    # but records stay for as much longer as a segment takes in
    assert config["segment.ms"] == "600000"
    assert admin.bring_up([needed]) == []


def test_a_segment_that_is_shorter_than_needed_stays(admin: TopicAdmin, kafka_bootstrap: str) -> None:
    topic = made(admin, segment_ms="60000")
    assert admin.bring_up([declared(topic, segment_ms="600000")]) == []
    assert config_of(kafka_bootstrap, topic)["segment.ms"] == "60000"


def test_every_topic_keeps_what_it_says_it_keeps() -> None:
    """A broker deletes whole segments, and none while it writes to it: by itself for a week."""
    for topic in declared_topics(load_settings(), FEEDS):
        segment_ms = int(topic.config["segment.ms"])
        assert segment_ms <= 3_600_000, topic.name
        if "retention.ms" in topic.config:
            assert segment_ms <= max(int(topic.config["retention.ms"]) / 6, 60_000), topic.name


def test_whether_the_broker_answers(admin: TopicAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    assert admin.answers()
    monkeypatch.setattr(kafka_topics, "_REQUEST_SECONDS", 0.5)
    assert not TopicAdmin(load_settings(kafka={"bootstrap_servers": "127.0.0.1:1"})).answers()


async def test_topics_are_not_looked_at_while_the_broker_is_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Asking for them keeps much of a core busy, of which the broker has need to come back."""
    app = TrafficApp(settings)
    asked: list[Collection[str]] = []
    monkeypatch.setattr(app.topic_admin, "logs", lambda topics: asked.append(topics) or {})
    await app.look_at_topics()
    assert asked
    asked.clear()
    monkeypatch.setattr(kafka_topics, "_REQUEST_SECONDS", 0.5)
    away = TopicAdmin(load_settings(kafka={"bootstrap_servers": "127.0.0.1:1"}))
    monkeypatch.setattr(app.topic_admin, "_connected", away.client)
    with caplog.at_level(logging.WARNING):
        await app.look_at_topics()
    # tests that ended may still tell of servers that went with them
    told = [record.message for record in caplog.records if record.name.startswith("trafficapp.engine")]
    assert (asked, told) == ([], [])


def test_a_topic_that_takes_more_than_is_needed_stays(admin: TopicAdmin, kafka_bootstrap: str) -> None:
    topic = made(admin, max_message_bytes="9000000")
    assert admin.bring_up([declared(topic, max_message_bytes="8388608")]) == []
    assert config_of(kafka_bootstrap, topic)["max.message.bytes"] == "9000000"


def test_a_changelog_that_is_compacted_and_deleted_would_lose_state(admin: TopicAdmin, kafka_bootstrap: str) -> None:
    topic = made(admin, cleanup_policy="compact,delete")
    needed = [declared(topic, cleanup_policy="compact")]
    assert admin.bring_up(needed) == [f"{topic}: cleanup.policy=compact instead of compact,delete"]
    settle(admin, needed)
    assert config_of(kafka_bootstrap, topic)["cleanup.policy"] == "compact"


def test_what_the_broker_refuses_is_told_with_the_command(
    admin: TopicAdmin, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    topic = made(admin)
    # values that no broker takes stand for changes that it does not let us make
    with caplog.at_level(logging.WARNING):
        assert admin.bring_up([declared(topic, message_timestamp_type="OurTime")]) == []
    said = caplog.text
    assert f"{topic} has message.timestamp.type=CreateTime" in said
    assert f"--entity-name {topic} --add-config message.timestamp.type=OurTime" in said
    assert settings.kafka.bootstrap_servers in said
    for name, value, has in (("max.message.bytes", str(1 << 40), "1048588"), ("cleanup.policy", "keep", "delete")):
        with pytest.raises(SettingsError) as refused:
            admin.bring_up([declared(topic, **{name.replace(".", "_"): value})])
        for part in (f"topic {topic} has {name}={has} and needs {value}", f"--add-config {name}={value}"):
            assert part in str(refused.value)


def test_what_is_declared_is_what_is_needed(settings: Settings) -> None:
    topics = {topic.name: topic.config for topic in declared_topics(settings)}
    for topic in (EVENTS_RAW, METRICS, ROADS_RAW):
        assert topics[topic]["message.timestamp.type"] == "LogAppendTime"
    changelogs = [name for name in topics if name.endswith("-changelog")]
    assert len(changelogs) == 4
    assert all(topics[name]["cleanup.policy"] == "compact" for name in changelogs)


async def test_each_topic_has_an_id_of_its_own(admin: TopicAdmin) -> None:
    first, second = made(admin), made(admin)
    found = await logs_of(admin, [first, second, "nobody-has-this"])
    assert {name: log.partitions for name, log in found.items()} == {first: 2, second: 2}
    assert len({log.id for log in found.values()} - {""}) == 2
    assert admin.logs([first]) == {first: found[first]}
    admin.make_anew(declared(first), 3)
    assert admin.logs([first])[first] != found[first]
    assert admin.logs([first])[first].partitions == 3
    assert admin.logs([]) == {}
    assert admin.bring_up([declared("nobody-has-this", max_message_bytes="5")]) == []


def test_a_topic_that_is_made_anew_is_waited_for(
    admin: TopicAdmin, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = made(admin)
    (old,) = admin.logs([topic]).values()
    looks: list[int] = []

    class LateBroker(TopicAdmin):
        """A broker that goes on to tell the old topic."""

        def _tells(self, topic: str, partitions: int, before: SourceLog) -> bool:
            assert before == old
            looks.append(partitions)
            return super()._tells(topic, partitions, admin.logs([topic])[topic] if len(looks) < late else before)

    late = 3
    LateBroker(settings).make_anew(declared(topic), 2)
    assert looks == [2, 2, 2]
    looks.clear()
    late = 1000
    monkeypatch.setattr(kafka_topics, "_GONE_WITHIN_SECONDS", 0.3)
    (old,) = admin.logs([topic]).values()
    with pytest.raises(KafkaException, match=f"{topic} was made anew"):
        LateBroker(settings).make_anew(declared(topic), 2)


async def test_what_a_broker_does_not_tell_is_not_compared(settings: Settings) -> None:
    class Untelling(TopicAdmin):
        def logs(self, topics: object) -> dict[str, SourceLog]:
            raise KafkaException(KafkaError(KafkaError.UNSUPPORTED_VERSION))

    assert await logs_of(Untelling(settings), ["x"]) == {}


def test_who_follows_whom(settings: Settings) -> None:
    assert state_of(settings, EVENTS_RAW) == camera_state_changelog(settings)
    assert state_of(settings, METRICS) == alert_state_changelog(settings)
    assert state_of(settings, PREDICTIONS) is None
    assert {METRICS, ALERTS, alert_state_changelog(settings)} <= set(followers_of(settings, EVENTS_RAW))
    assert followers_of(settings, PREDICTIONS) == []
