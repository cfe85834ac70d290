"""Reading whole Kafka topics, in the order of the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

TICK_HEADER = "trafficapp-tick"
_LEADER_SECONDS = 10.0
_NO_LEADER = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


class LogRecord(NamedTuple):
    """A record as it stands in a topic; ``timestamp_ms`` is the record's own time."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


def read_log(bootstrap_servers: str, topic: str) -> Iterator[LogRecord]:
    """Yield all records that a topic holds now, each partition in offset order, without ticks."""
    consumer = _consumer(bootstrap_servers)
    try:
        for partition, (first, end) in sorted(_bounds(consumer, topic).items()):
            consumer.assign([TopicPartition(topic, partition, first)])
            yield from _read(consumer, topic, partition, first, end)
    finally:
        consumer.close()


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


def _read(consumer: Consumer, topic: str, partition: int, first: int, end: int) -> Iterator[LogRecord]:
    position = first
    while position < end:
        for message in consumer.consume(min(end - position, 10_000), timeout=1.0):
            if message.error() is not None:
                raise KafkaException(message.error())
            position = message.offset() + 1
            headers = message.headers()
            if position <= end and (not headers or all(name != TICK_HEADER for name, _ in headers)):
                yield LogRecord(partition, message.offset(), message.timestamp()[1], message.key(), message.value())
