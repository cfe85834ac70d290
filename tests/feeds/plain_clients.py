"""Producers as other systems run them: the two clients that they use, each with its own partitioner and codecs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from confluent_kafka import Producer
from kafka import KafkaProducer

CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")

#: Sends records, each a topic, a key or none, and a value, to a broker, compressed by a codec.
Produce: TypeAlias = Callable[[str, str, Sequence[tuple[str, bytes | None, bytes]]], None]


def librdkafka(bootstrap: str, codec: str, records: Sequence[tuple[str, bytes | None, bytes]]) -> None:
    """As a client of librdkafka with its default settings does: partitions by crc32."""
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec})
    for topic, key, value in records:
        producer.produce(topic, value, key)
    assert producer.flush(20) == 0


def kafka_python(bootstrap: str, codec: str, records: Sequence[tuple[str, bytes | None, bytes]]) -> None:
    """As a client of kafka-python with its default settings does: partitions by murmur2."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec)
    sent = [producer.send(topic, value, key) for topic, key, value in records]
    producer.flush(20)
    producer.close()
    # one that was not acknowledged raises
    for one in sent:
        one.get(0)


CLIENTS: Final[Mapping[str, Produce]] = {"librdkafka": librdkafka, "kafka-python": kafka_python}
