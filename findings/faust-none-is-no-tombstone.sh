#!/usr/bin/env bash
# faust-streaming 0.15.3 on a compacted topic: sending None deletes nothing, the record holds the four bytes `null`.
#
# A topic's values are JSON unless told otherwise, and None goes through the same codec as everything else. Kafka removes a
# key on compaction only where the value is absent, so a key that was "deleted" with `topic.send(key=..., value=None)` stays
# for ever, and readers in other languages find a text where they look for a tombstone. The key does not suffer the same:
# a key that is None stays absent. Only `value_serializer="raw"` sends no value. Broker here is the mock that librdkafka
# has inside; the record is read back with a second client. Seen on 2026-11-29:
#   json (the default): key b'cam_01', value b'null'
#   raw:                key b'cam_01', value None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q faust-streaming==0.15.3 aiokafka==0.14.0 confluent-kafka==2.12.2
cd "$folder"
venv/bin/python -W ignore - 2>mock.log <<'PYTHON'
import asyncio

import faust
from confluent_kafka import Consumer, Producer, TopicPartition

mock = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock"})
(broker,) = mock.list_topics("cameras", timeout=10).brokers.values()
address = f"{broker.host}:{broker.port}"
app = faust.App("finding", broker=f"kafka://{address}", web_enabled=False)
usual = app.topic("cameras", key_type=str, value_type=dict, partitions=4)
raw = app.topic("cameras", value_serializer="raw")
app.finalize()


async def send():
    await app.producer.start()
    for topic in (usual, raw):
        message = topic.as_future_message(key="cam_01", value=None, partition=0)
        await (await topic.publish_message(message, wait=True))
    await app.producer.stop()


asyncio.run(asyncio.wait_for(send(), 30))
reader = Consumer({"bootstrap.servers": address, "group.id": "finding"})
reader.assign([TopicPartition("cameras", 0, 0)])
records = [reader.poll(20) for _ in range(2)]
reader.close()
print([(record.key(), record.value()) for record in records])
assert (records[0].key(), records[0].value()) == (b"cam_01", b"null"), "None is a tombstone now"
assert (records[1].key(), records[1].value()) == (b"cam_01", None)
assert usual.prepare_key(None, None)[0] is None
print("as described")
PYTHON
