"""Topics as they are on the broker: which log a name means, how many partitions it has, settings that we need.

Talks to the broker through librdkafka, which alone tells a topic's id and changes single settings. Everything here
blocks, or runs in a thread of its own where it is awaitable.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from trafficapp.engine.kafka import librdkafka_config
from trafficapp.engine.state_rows import UNTOLD, PartitionsChanged, SourceLog
from trafficapp.settings import Settings, SettingsError
from trafficapp.topics import (
    ALERTS,
    CLEANUP_POLICY,
    DEAD_LETTERS,
    EVENTS_RAW,
    MAX_MESSAGE_BYTES,
    METRICS,
    ROADS_RAW,
    SEGMENT_MS,
    TIMESTAMP_TYPE,
    TopicDeclaration,
    alert_state_changelog,
    camera_state_changelog,
    how_to_begin_anew,
    quiet_cameras,
    road_feed_changelog,
    road_forecast_changelog,
    road_observations,
)

logger = logging.getLogger(__name__)

_REQUEST_SECONDS = 10.0

#: A deleted topic is gone only after a moment, and cannot be made before; one that was made is not known at once.
_GONE_WITHIN_SECONDS = 60.0
_LOOK_SECONDS = 0.05

#: What a broker says that knows no ids of topics.
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"

#: Settings that a topic must have as it is declared, since what we promise depends on them.
_NEEDED = (TIMESTAMP_TYPE, MAX_MESSAGE_BYTES, CLEANUP_POLICY, SEGMENT_MS)

_Answer = TypeVar("_Answer")


class TopicAdmin:
    """Asks about topics and changes them.

    Args:
        settings: where Kafka is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connected: AdminClient | None = None

    @property
    def client(self) -> AdminClient:
        """The client, connected when it is first used."""
        if self._connected is None:
            # it writes to stderr by itself; errors are raised, too
            self._connected = AdminClient(librdkafka_config(self._settings) | {"log_level": 2})
        return self._connected

    def answers(self) -> bool:
        """Whether the broker does.

        While it is away, librdkafka waits for this with hardly any work, and for everything else with much of a core.

        Raises:
            KafkaException: it refuses us.
        """
        try:
            self.client.list_topics(timeout=_REQUEST_SECONDS)
        except KafkaException as error:
            if error_code(error) in _UNREACHABLE:
                return False
            raise
        return True

    def logs(self, topics: Collection[str]) -> dict[str, SourceLog]:
        """Which logs topics are; those that do not exist are left out.

        Raises:
            KafkaException: the broker does not answer.
        """
        if not topics:
            return {}
        asked = self.client.describe_topics(TopicCollection(list(topics)), request_timeout=_REQUEST_SECONDS)
        found = {}
        for topic, future in asked.items():
            try:
                described = future.result()
            except KafkaException as error:
                if error_code(error) == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise
            told = str(described.topic_id)
            found[topic] = SourceLog("" if told == _NO_ID else told, len(described.partitions))
        return found

    def config(self, topic: str) -> dict[str, ConfigEntry] | None:
        """The settings of a topic, none when it does not exist, or was made just now; None when we may not see them.

        Raises:
            KafkaException: the broker does not answer.
        """
        resource = ConfigResource(ResourceType.TOPIC, topic)
        try:
            found: dict[str, ConfigEntry] = _only(
                self.client.describe_configs([resource], request_timeout=_REQUEST_SECONDS)
            )
        except KafkaException as error:
            if error_code(error) in _REFUSALS:
                return None
            if error_code(error) == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return {}
            raise
        return found

    def set_config(self, topic: str, name: str, value: str) -> None:
        """Change one setting of a topic and leave the others alone.

        Raises:
            KafkaException: the broker does not answer, or refuses.
        """
        entry = ConfigEntry(
            name, value, source=ConfigSource.DYNAMIC_TOPIC_CONFIG, incremental_operation=AlterConfigOpType.SET
        )
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        _only(self.client.incremental_alter_configs([resource], request_timeout=_REQUEST_SECONDS))

    def bring_up(self, topics: Iterable[TopicDeclaration]) -> list[str]:
        """Bring the settings of existing topics to what we need.

        Returns:
            what was changed, for people.

        Raises:
            KafkaException: the broker does not answer.
            SettingsError: a topic cannot be what it must be; the message says what to do.
        """
        changed: list[str] = []
        for topic in topics:
            needed = {name: topic.config[name] for name in _NEEDED if name in topic.config}
            config = self.config(topic.name) if needed else {}
            if config is None:
                logger.warning("the broker does not let us see the settings of %s; it needs %s", topic.name, needed)
                continue
            for name, value in needed.items():
                has = config[name].value if name in config else None
                if has is None or _suffices(name, has, value):
                    continue
                try:
                    self.set_config(topic.name, name, value)
                except KafkaException as error:
                    if error_code(error) in _UNREACHABLE:
                        raise
                    _tell_refused(topic.name, name, has, value, error, self._settings)
                else:
                    changed.append(f"{topic.name}: {name}={value} instead of {has}")
        return changed

    def check_partitions(self, sources: Collection[str] | None = None) -> None:
        """Refuse topics that do not have the partitions that they must have; those that do not exist are no fault.

        Args:
            sources: only what is read from these, or from any.

        What comes of a partition goes to the partition of the same number, and its state into the same of the
        changelog. A key lies in another partition when the number changes.

        Raises:
            KafkaException: the broker does not answer.
            PartitionsChanged: a source has another number of partitions than its state.
            SettingsError: a topic has too few.
        """
        settings = self._settings
        states, followers = _states(settings), _followers(settings)
        names = {*states, *states.values(), *followers, *(name for many in followers.values() for name in many)}
        counts = {topic: log.partitions for topic, log in self.logs(names).items()}
        for source, state in states.items():
            if sources is not None and source not in sources:
                continue
            if source in counts and state in counts and counts[source] != counts[state]:
                raise PartitionsChanged(
                    f"{source} has {counts[source]} partitions, and its state in {state} was made when it had "
                    f"{counts[state]}. {how_to_begin_anew(source)}"
                )
        for leader, topics in followers.items():
            for topic in topics if sources is None or leader in sources else ():
                if topic in counts and counts[topic] < counts.get(leader, 0):
                    raise SettingsError(
                        f"topic {topic} has {counts[topic]} partitions and {leader} has {counts[leader]}: it needs at "
                        f"least as many. Its own partitions stay what they are: kafka-topics.sh --bootstrap-server "
                        f"{settings.kafka.bootstrap_servers} --alter --topic {topic} --partitions {counts[leader]}"
                    )

    def groups(self) -> dict[str, ConsumerGroupState]:
        """All consumer groups and what they do.

        Raises:
            KafkaException: the broker does not answer.
        """
        listed = self.client.list_consumer_groups(request_timeout=_REQUEST_SECONDS).result()
        if listed.errors:
            raise KafkaException(listed.errors[0])
        return {group.group_id: group.state for group in listed.valid}

    def set_offsets(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Set where a consumer group without members goes on, by partition of a topic.

        Raises:
            KafkaException: the broker does not answer, or refuses.
        """
        places = [TopicPartition(topic, number, offset) for number, offset in offsets.items()]
        asked = [ConsumerGroupTopicPartitions(group, places)]
        told = _only(self.client.alter_consumer_group_offsets(asked, request_timeout=_REQUEST_SECONDS))
        for one in told.topic_partitions:
            if one.error is not None:
                raise KafkaException(one.error)

    def add_partitions(self, topic: str, count: int) -> None:
        """Give a topic so many partitions.

        Raises:
            KafkaException: the broker does not answer, or refuses.
        """
        _only(self.client.create_partitions([NewPartitions(topic, count)], request_timeout=_REQUEST_SECONDS))

    def make_anew(self, topic: TopicDeclaration, partitions: int) -> None:
        """Delete a topic, if it is there, and create it as declared, but with so many partitions.

        Returns once the broker tells the new one: it may tell the old one for a moment, and then none.

        Raises:
            KafkaException: the broker does not answer, refuses, or does not tell the new topic within a minute.
        """
        before = self.logs([topic.name]).get(topic.name, UNTOLD)
        try:
            _only(self.client.delete_topics([topic.name], request_timeout=_REQUEST_SECONDS))
        except KafkaException as error:
            if error_code(error) != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
        wanted = NewTopic(topic.name, partitions, topic.replication_factor, config=dict(topic.config))
        deadline = time.monotonic() + _GONE_WITHIN_SECONDS
        while True:
            try:
                _only(self.client.create_topics([wanted], request_timeout=_REQUEST_SECONDS))
                break
            except KafkaException as error:
                if error_code(error) != KafkaError.TOPIC_ALREADY_EXISTS or time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_SECONDS)
        while not self._tells(topic.name, partitions, before):
            if time.monotonic() > deadline:
                detail = f"{topic.name} was made anew, but is not told within {_GONE_WITHIN_SECONDS:g} s"
                raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT, detail))
            time.sleep(_LOOK_SECONDS)

    def _tells(self, topic: str, partitions: int, before: SourceLog) -> bool:
        """Whether the broker tells all partitions of a topic that was made anew, and their leaders."""
        asked = self.client.describe_topics(TopicCollection([topic]), request_timeout=_REQUEST_SECONDS)
        try:
            described = _only(asked)
        except KafkaException as error:
            if error_code(error) == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return False
            raise
        told = str(described.topic_id)
        if told != _NO_ID and told == before.id:
            return False
        return len(described.partitions) == partitions and all(
            part.leader is not None and part.leader.id >= 0 for part in described.partitions
        )


async def logs_of(admin: TopicAdmin, topics: Collection[str]) -> dict[str, SourceLog]:
    """Which logs topics are, by name; waits for a broker that does not answer."""
    delay_seconds = 0.2
    while True:
        try:
            found = await asyncio.to_thread(admin.logs, topics)
        except KafkaException as error:
            if error_code(error) not in _UNREACHABLE:
                # what a broker does not tell is not compared
                logger.warning("the broker does not say which topics these are (%s)", error)
                return {}
            logger.warning("asking about topics failed (%s); trying again", error)
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(delay_seconds * 2, 5.0)
        else:
            return found


def error_code(error: KafkaException) -> int:
    """Which error it is, as one of the numbers that `KafkaError` names."""
    return int(error.args[0].code())


def state_of(settings: Settings, topic: str) -> str | None:
    """The changelog of the state that is made from a topic, None when none is."""
    return {**_states(settings), METRICS: alert_state_changelog(settings)}.get(topic)


def followers_of(settings: Settings, topic: str) -> list[str]:
    """What needs a partition for each one of a topic, directly or by way of another."""
    followers = _followers(settings)
    found = list(followers.get(topic, ()))
    for one in found:
        found += [name for name in followers.get(one, ()) if name not in found]
    return found


_UNREACHABLE = frozenset(
    (
        KafkaError._TIMED_OUT,  # noqa: SLF001 - that is how librdkafka names its own
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_CONTROLLER,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
    )
)
_REFUSALS = frozenset(
    (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001
    )
)


def _states(settings: Settings) -> Mapping[str, str]:
    """The changelog of the state that is made from a topic, partition by partition."""
    return {
        EVENTS_RAW: camera_state_changelog(settings),
        ROADS_RAW: road_feed_changelog(settings),
        road_observations(settings): road_forecast_changelog(settings),
    }


def _followers(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """What needs a partition for each one of a topic."""
    return {
        EVENTS_RAW: (METRICS, DEAD_LETTERS, ALERTS, quiet_cameras(settings)),
        METRICS: (ALERTS, alert_state_changelog(settings)),
        ROADS_RAW: (DEAD_LETTERS,),
    }


def _suffices(name: str, has: str, needed: str) -> bool:
    if name == SEGMENT_MS:
        return int(has) <= int(needed)
    return int(has) >= int(needed) if name == MAX_MESSAGE_BYTES else has == needed


def _tell_refused(topic: str, name: str, has: str, needed: str, error: KafkaException, settings: Settings) -> None:
    """Say what a setting means that the broker does not let us change; most of them we cannot do without."""
    command = (
        f"kafka-configs.sh --bootstrap-server {settings.kafka.bootstrap_servers} --alter --entity-type topics "
        f"--entity-name {topic} --add-config {name}={needed}"
    )
    if name == SEGMENT_MS:
        logger.warning(
            "%s has %s=%s, and the broker does not let us change it (%s). Its records stay for so much longer than "
            "they should. Let somebody who may change the topic run: %s",
            topic, name, has, error, command,
        )  # fmt: skip
    elif name == TIMESTAMP_TYPE:
        logger.warning(
            "%s has %s=%s, and the broker does not let us change it (%s). Its records carry the times of their "
            "producers: one whose clock is wrong has its own messages refused as future, or believed although they are "
            "ahead of their time. Let somebody who may change the topic run: %s",
            topic, name, has, error, command,
        )  # fmt: skip
        return
    meaning = {
        MAX_MESSAGE_BYTES: "records of ours may be as large, and one that is refused ends the worker that sends it",
        CLEANUP_POLICY: "it holds state for which there is no other place, and would be deleted with its age",
    }[name]
    raise SettingsError(
        f"topic {topic} has {name}={has} and needs {needed}: {meaning}. The broker does not let us change it "
        f"({error}). Let somebody who may change the topic run: {command}"
    )


def _only(futures: Mapping[Any, Future[_Answer]]) -> _Answer:
    (future,) = futures.values()
    return future.result()
