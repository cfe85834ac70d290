from __future__ import annotations

import time
import uuid

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from trafficapp.stores.redis.read_back import KafkaReadBack, PartitionSpan


async def test_the_recent_past_of_partitions(kafka_bootstrap: str) -> None:
    topic = f"read-back-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 3, 1)])
    now_ms = int(time.time() * 1000)
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        for minutes in (180, 90, 61, 59, 1):
            await producer.send_and_wait(topic, b"{}", partition=0, timestamp_ms=now_ms - minutes * 60_000)
        await producer.send_and_wait(topic, b"{}", partition=1, timestamp_ms=now_ms - 7_200_000)
    spans = await KafkaReadBack(topic, {"bootstrap_servers": kafka_bootstrap})([0, 1, 2])
    await admin.delete_topics([topic])
    await admin.close()
    assert spans == {
        0: PartitionSpan(recent=3, end=5),
        1: PartitionSpan(recent=1, end=1),
        2: PartitionSpan(recent=0, end=0),
    }


async def test_an_absent_broker_is_an_error_not_an_offset() -> None:
    with pytest.raises(KafkaError):
        await KafkaReadBack("any", {"bootstrap_servers": "127.0.0.1:9"})([0])
