"""Reading whole Kafka topics, in the order of the log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

TICK_HEADER = "trafficapp-tick"
_LEADER_SECONDS = 10.0
_NO_LEADER = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


class LogRecord(NamedTuple):
    """A record as it stands in a topic; ``timestamp_ms`` is the record's own time.

    Attributes:
        is_unreadable: whether its headers cannot be read, so that it says nothing.
    """

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    is_unreadable: bool = False

    @property
    def is_tick(self) -> bool:
        """Whether it is a record of ours that carries no detection."""
        return any(name == TICK_HEADER for name, _ in self.headers)


def read_log(bootstrap_servers: str, topic: str, *, with_ticks: bool = False) -> Iterator[LogRecord]:
    """Yield all committed records that a topic holds now, each partition in offset order, without ticks unless told."""
    consumer = _consumer(bootstrap_servers)
    try:
        for partition, (first, end) in sorted(_bounds(consumer, topic).items()):
            consumer.assign([TopicPartition(topic, partition, first)])
            for record in _read(consumer, partition, first, end):
                if with_ticks or not record.is_tick:
                    yield record
    finally:
        consumer.close()


def read_logs(bootstrap_servers: str, topics: Iterable[str]) -> dict[str, list[LogRecord]]:
    """All committed records that topics hold now, without ticks; many small ones at once, each partition in order."""
    found: dict[str, list[LogRecord]] = {topic: [] for topic in topics}
    consumer = _consumer(bootstrap_servers)
    try:
        partitions = [
            TopicPartition(topic, partition, first)
            for topic in found
            for partition, (first, _) in _bounds(consumer, topic).items()
        ]
        consumer.assign(partitions)
        waiting = {(one.topic, one.partition) for one in partitions}
        while waiting:
            for message in consumer.consume(10_000, timeout=0.1):
                place = message.topic(), message.partition()
                error = message.error()
                if error is None:
                    record = _record(message.partition(), message)
                    if place in waiting and not record.is_tick:
                        found[message.topic()].append(record)
                elif error.code() == KafkaError._PARTITION_EOF:
                    waiting.discard(place)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
    return found


def end_offsets(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """Return the offset after the last record of each partition; empty when the topic does not exist."""
    consumer = _consumer(bootstrap_servers)
    try:
        return {partition: end for partition, (_, end) in _bounds(consumer, topic).items()}
    finally:
        consumer.close()


def _consumer(bootstrap_servers: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"verification-{uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,  # the last record may be a marker, which nobody gets to see
            "fetch.message.max.bytes": 32 << 20,
            "fetch.wait.max.ms": 50,
            "log_level": 0,  # a broker that was just killed is no news
        }
    )


def _bounds(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    """Return the first and the end offset of each partition; a new topic's leaders are waited for."""
    deadline = time.monotonic() + _LEADER_SECONDS
    while True:
        try:
            partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            return {
                partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
                for partition in partitions
            }
        except KafkaException as error:
            if error.args[0].code() not in _NO_LEADER or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _read(consumer: Consumer, partition: int, first: int, end: int) -> Iterator[LogRecord]:
    position = first
    while position < end:
        # it waits for so many, and ends of transactions are none
        for message in consumer.consume(min(end - position, 10_000), timeout=0.1):
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    return
                raise KafkaException(error)
            position = message.offset() + 1
            if position <= end:
                yield _record(partition, message)


def _record(partition: int, message: Message) -> LogRecord:
    try:
        headers = tuple((name, value) for name, value in message.headers() or ())
        is_unreadable = False
    except (UnicodeDecodeError, SystemError):  # the second where the library does not hand the first one on
        headers, is_unreadable = (), True
    key, value = message.key(), message.value()
    return LogRecord(partition, message.offset(), message.timestamp()[1], key, value, headers, is_unreadable)
