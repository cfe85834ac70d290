"""How our Kafka clients connect: one place for brokers and credentials."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, OffsetAndMetadata, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, KafkaTimeoutError, NoError, TopicAlreadyExistsError, for_code
from aiokafka.partitioner import murmur2

from trafficapp.batching.fetching import install
from trafficapp.settings import Settings
from trafficapp.topics import TopicDeclaration

# every consumer of ours is made here or by Faust, which comes later: all unpack what others have sent by the same rules
install()

logger = logging.getLogger(__name__)

_TELL_AGAIN_SECONDS = 15.0
_GROUPS_SECONDS = 10.0
_KNOWN_WITHIN_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_STOP_SECONDS = 3.0
_CHANGELOG_FETCH_BYTES = 4 << 20

#: Where Kafka is: the settings, or the connection part of an aiokafka client's arguments.
Place: TypeAlias = Settings | Mapping[str, Any]


def librdkafka_config(settings: Settings) -> dict[str, str | int | bool]:
    """Return the connection part of a confluent-kafka client's configuration.

    With an API key the connection is SASL_SSL with PLAIN, as Confluent Cloud wants it, unless settings say otherwise.
    """
    config: dict[str, str | int | bool] = {"bootstrap.servers": settings.kafka.bootstrap_servers}
    if settings.kafka.api_key is not None and settings.kafka.api_secret is not None:
        config |= {
            "security.protocol": settings.kafka.security_protocol,
            "sasl.mechanism": "PLAIN",
            "sasl.username": settings.kafka.api_key,
            "sasl.password": settings.kafka.api_secret.get_secret_value(),
        }
    return config


def aiokafka_config(settings: Settings) -> dict[str, Any]:
    """Return the connection part of an aiokafka client's arguments."""
    config: dict[str, Any] = {"bootstrap_servers": settings.kafka.bootstrap_servers.split(",")}
    if settings.kafka.api_key is not None and settings.kafka.api_secret is not None:
        config |= {
            "security_protocol": settings.kafka.security_protocol,
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": settings.kafka.api_key,
            "sasl_plain_password": settings.kafka.api_secret.get_secret_value(),
        }
        if settings.kafka.security_protocol == "SASL_SSL":
            config["ssl_context"] = ssl.create_default_context()
    return config


async def wait_for_kafka(settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Wait until the broker answers, with back-off; says once for whom it waits and once that it is there."""
    delay_seconds, told_at, began = 0.2, 0.0, time.monotonic()
    while not should_stop():
        client = AIOKafkaAdminClient(**aiokafka_config(settings), request_timeout_ms=5000)
        try:
            await client.start()
            if told_at:
                waited = time.monotonic() - began
                logger.info("kafka at %s answers after %.1f s", settings.kafka.bootstrap_servers, waited)
            return
        except (KafkaError, OSError) as error:
            if time.monotonic() - told_at > _TELL_AGAIN_SECONDS:
                told_at = time.monotonic()
                logger.warning(
                    "waiting for kafka at %s (%s); trying again until it answers",
                    settings.kafka.bootstrap_servers,
                    error,
                )
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(delay_seconds * 1.6, 5.0)
        finally:
            await client.close()


async def create_topics(settings: Settings, topics: Iterable[TopicDeclaration]) -> list[str]:
    """Create the topics that do not exist yet, and wait until the broker tells where all of them are.

    A controller says that a topic is made before brokers know of it: who asks a broker at once is told that there is
    none, and takes it for one without partitions.

    Returns:
        the names of those that were created.

    Raises:
        KafkaError: the broker refused a topic for another reason than that it exists, or does not tell all partitions
            and their leaders within a minute; the message names the topics.
    """
    wanted = {topic.name: topic for topic in topics}
    created: list[str] = []
    deadline = time.monotonic() + _KNOWN_WITHIN_SECONDS
    client = AIOKafkaAdminClient(**aiokafka_config(settings))
    try:
        await client.start()
        while True:
            # of all, since a broker may make a topic that it is asked for by its name, and not as it is declared
            told = {one["topic"]: one for one in await client.describe_topics()}
            unknown = [name for name in wanted if not _has_leaders(told.get(name))]
            if not unknown:
                return created
            if time.monotonic() > deadline:
                raise KafkaTimeoutError(
                    f"topics exist, but the broker does not tell all their partitions and leaders within "
                    f"{_KNOWN_WITHIN_SECONDS:g} s: {', '.join(unknown)}"
                )
            # also those that exist and are not told: what another deletes may be told as existing until then
            if missing := [wanted[name] for name in unknown if name not in told and name not in created]:
                created += await _create(client, missing)
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await client.close()


async def _create(client: AIOKafkaAdminClient, topics: Sequence[TopicDeclaration]) -> list[str]:
    """Create topics; the names of those that did not exist."""
    answer = await client.create_topics(
        [
            NewTopic(topic.name, topic.partitions, topic.replication_factor, topic_configs=dict(topic.config))
            for topic in topics
        ]
    )
    created = []
    for name, code, *detail in answer.topic_errors:
        if code == NoError.errno:
            created.append(name)
        elif code != TopicAlreadyExistsError.errno:
            raise for_code(code)(f"topic {name}: {detail}")
    return created


def _has_leaders(told: Mapping[str, Any] | None) -> bool:
    """Whether a broker knows all partitions of a topic and who leads them."""
    if told is None or told["error_code"] != NoError.errno:
        return False
    partitions = told["partitions"]
    return bool(partitions) and all(part["leader"] >= 0 for part in partitions)


@asynccontextmanager
async def groupless_consumer(place: Place, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that belongs to no group, for looking into topics; it reads what is committed, unless told otherwise.

    Raises:
        KafkaError: the broker does not answer.
        DamagedLog: while reading: bytes of a batch do not fit their checksum.
    """
    connection = aiokafka_config(place) if isinstance(place, Settings) else place
    options.setdefault("isolation_level", "read_committed")
    consumer = AIOKafkaConsumer(**connection, enable_auto_commit=False, **options)
    try:
        # one that could not be started is stopped all the same, or it says later that nobody did
        await consumer.start()
        yield consumer
    finally:
        # aiokafka cannot stop a consumer whose background task has not had a turn yet
        await asyncio.sleep(0)
        # while it follows a changed assignment, its task takes being stopped for the end of something else; asked
        # again, it stops
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await consumer.stop()


async def read_to_end(
    settings: Settings, changelog: str, starts: Mapping[int, int]
) -> AsyncGenerator[tuple[int, Sequence[ConsumerRecord]], None]:
    """Read partitions of a changelog to where they end now.

    Args:
        settings: where Kafka is.
        changelog: the topic.
        starts: by partition, the offset to begin at.

    Raises:
        KafkaError, OSError: the broker is away.
    """
    places = {TopicPartition(changelog, number): offset for number, offset in starts.items()}
    async with groupless_consumer(
        settings,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_CHANGELOG_FETCH_BYTES,
        fetch_max_wait_ms=50,
    ) as consumer:
        consumer.assign(list(places))
        ends = await consumer.end_offsets(list(places))
        for place, offset in places.items():
            consumer.seek(place, offset)
        # the consumer says how far it is, since compaction may have left no record at the very end
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                yield place.partition, records


@lru_cache(maxsize=1 << 16)
def home_partition(key: bytes, partitions: int) -> int:
    """The partition that Kafka's clients choose for a key, those of librdkafka aside."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


async def partitions_of(settings: Settings, topic: str) -> list[int]:
    """The partitions of a topic, none when it does not exist."""
    client = AIOKafkaAdminClient(**aiokafka_config(settings))
    try:
        await client.start()
        described = await client.describe_topics([topic])
        return sorted(part["partition"] for one in described for part in one["partitions"])
    finally:
        await client.close()


async def committed_offsets(settings: Settings, groups: Iterable[str]) -> dict[str, dict[TopicPartition, int]]:
    """How far consumer groups have come, by group; one that does not exist has no offsets.

    Raises:
        KafkaError: the broker does not answer, or nobody there knows of groups within some seconds.
    """
    client = AIOKafkaAdminClient(**aiokafka_config(settings))
    found, deadline = {}, time.monotonic() + _GROUPS_SECONDS
    try:
        await client.start()
        for group in groups:
            while group not in found:
                try:
                    told = await client.list_consumer_group_offsets(group)
                    found[group] = {tp: one.offset for tp, one in told.items() if one.offset >= 0}
                except KafkaError as error:
                    # a broker makes the topic of offsets when it is first asked for a group
                    if not error.retriable or time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(0.2)
        return found
    finally:
        await client.close()


async def kept_offsets(settings: Settings, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
    """The offsets that a consumer group keeps, with what it noted beside them.

    Raises:
        KafkaError: the broker does not answer.
    """
    client = AIOKafkaAdminClient(**aiokafka_config(settings))
    try:
        await client.start()
        return dict(await client.list_consumer_group_offsets(group))
    finally:
        await client.close()


async def log_start(settings: Settings, topic: str, partition: int) -> int:
    """The first offset of a partition that was not deleted; its end when everything was."""
    tp = TopicPartition(topic, partition)
    async with groupless_consumer(settings) as consumer:
        return int((await consumer.beginning_offsets([tp]))[tp])


async def end_offsets(place: Place, topic: str, partitions: Collection[int]) -> dict[int, int]:
    """The offset after the last record of each partition, committed or not."""
    tps = [TopicPartition(topic, partition) for partition in partitions]
    async with groupless_consumer(place, isolation_level="read_uncommitted") as consumer:
        ends = await consumer.end_offsets(tps)
        return {tp.partition: ends[tp] for tp in tps}


async def offsets_at_time(
    place: Place, topic: str, partitions: Collection[int], epoch_seconds: float
) -> dict[int, int]:
    """The first committed offset of each partition whose record is as new as the given time, else the end of these.

    Records of a transaction that is open come later, and before those behind them: it begins no later than these.
    """
    tps = [TopicPartition(topic, partition) for partition in partitions]
    async with groupless_consumer(place) as consumer:
        ends = await consumer.end_offsets(tps)
        found = await consumer.offsets_for_times(dict.fromkeys(tps, int(epoch_seconds * 1000)))
        return {tp.partition: ends[tp] if found[tp] is None else min(found[tp].offset, ends[tp]) for tp in tps}
