"""The programs beside which ours is measured: ``python -m tests.bench.peers NAME TOPIC RECORDS``.

`bare_loop` fetches, decodes and counts, and is what this client and decoder can do at most; `bare_confluent` does the
same with the client that librdkafka is behind. `naive_faust` is the agent that Faust's documentation leads to: two
tumbling tables, one event at a time. `quix` does the same windows with Quix Streams and its state. Each prints one JSON
line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import OFFSET_BEGINNING, Consumer
from confluent_kafka import TopicPartition as ConfluentTopicPartition

from models.cameras.detections import DetectionDecoder, Frame
from models.timestamps import epoch_us
from tests.bench.worker import cpu_seconds
from trafficapp.engine.kafka import aiokafka_config, librdkafka_config
from trafficapp.settings import load_settings


class Stopwatch:
    """From the first record to the last."""

    def __init__(self) -> None:
        self.count = 0
        self.began = self.cpu_began = 0.0
        self.ended = self.cpu_ended = 0.0

    def lap(self) -> int:
        """Count a record; the first call starts the watch."""
        if not self.count:
            self.began, self.cpu_began = time.time(), cpu_seconds()
        self.count += 1
        return self.count

    def stop(self) -> None:
        """The last record is done."""
        self.ended, self.cpu_ended = time.time(), cpu_seconds()

    def tell(self) -> None:
        """Print the result."""
        if not self.ended:
            self.stop()
        result = {"began": self.began, "ended": self.ended, "cpu_seconds": self.cpu_ended - self.cpu_began}
        # faust takes sys.stdout for its log
        os.write(1, f"RESULT {json.dumps(result)}\n".encode())


async def bare_loop(topic: str, records: int) -> None:
    """Fetch, decode with the product's own decoder, count by camera. Nothing else."""
    settings = load_settings()
    decoder = DetectionDecoder(settings.vehicle_classes, settings.speed.max_kmh)
    consumer = AIOKafkaConsumer(
        **aiokafka_config(settings), enable_auto_commit=False, max_partition_fetch_bytes=1 << 20, max_poll_records=None
    )
    await consumer.start()
    tps = [TopicPartition(topic, partition) for partition in range(settings.kafka.partitions)]
    consumer.assign(tps)
    await consumer.seek_to_beginning(*tps)
    watch, counts, done = Stopwatch(), dict[str, int](), 0
    decode: Any = decoder.decode_detection
    while done < records:
        for batch in (await consumer.getmany(timeout_ms=1000)).values():
            watch.lap()
            if not done and b'"detections"' in batch[0].value:
                decode = decoder.decode_frame
            for record in batch:
                if not record.value:
                    continue
                message = decode(record.value)
                size = len(message.detections) if isinstance(message, Frame) else 1
                counts[message.camera_id] = counts.get(message.camera_id, 0) + size
                done += 1
    watch.tell()
    await consumer.stop()


def bare_confluent(topic: str, records: int) -> None:
    """As `bare_loop`, with confluent-kafka, which gives thousands of messages at once."""
    settings = load_settings()
    decoder = DetectionDecoder(settings.vehicle_classes, settings.speed.max_kmh)
    consumer = Consumer({**librdkafka_config(settings), "group.id": f"bare-{os.getpid()}", "enable.auto.commit": False})
    partitions = range(settings.kafka.partitions)
    consumer.assign([ConfluentTopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    watch, counts, done = Stopwatch(), dict[str, int](), 0
    decode: Any = decoder.decode_detection
    while done < records:
        batch = consumer.consume(10_000, timeout=0.1)
        if not batch:
            continue
        watch.lap()
        values = [value for message in batch if message.error() is None and (value := message.value())]
        if not done and values and b'"detections"' in values[0]:
            decode = decoder.decode_frame
        for value in values:
            message = decode(value)
            size = len(message.detections) if isinstance(message, Frame) else 1
            counts[message.camera_id] = counts.get(message.camera_id, 0) + size
        done += len(values)
    watch.tell()
    consumer.close()


def naive_faust(topic: str, records: int) -> None:
    """Two tumbling RocksDB tables, written at every event."""
    servers = load_settings().kafka.bootstrap_servers
    app = faust.App(
        f"naive-{os.getpid()}",
        broker=f"kafka://{servers}",
        store="rocksdb://?driver=rocksdict",
        datadir=tempfile.mkdtemp(),
        topic_partitions=load_settings().kafka.partitions,
        topic_replication_factor=1,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    cameras = app.Table("cameras", default=dict).tumbling(5.0, expires=60.0)
    lanes = app.Table("lanes", default=dict).tumbling(5.0, expires=60.0)
    watch = Stopwatch()

    def counted(row: dict[str, Any], speed_kmh: float) -> dict[str, Any]:
        return {"count": row.get("count", 0) + 1, "speed": row.get("speed", 0.0) + speed_kmh}

    @app.agent(app.topic(topic, value_serializer="json"))  # type: ignore[untyped-decorator]
    async def count(events: Any) -> None:
        async for event in events:
            watch.lap()
            camera_id, speed_kmh = event["camera_id"], event.get("speed_estimate") or 0.0
            lane = f"{camera_id}/{event.get('lane_id')}"
            cameras[camera_id] = counted(cameras[camera_id].value(), speed_kmh)
            lanes[lane] = counted(lanes[lane].value(), speed_kmh)
            if watch.count >= records:
                watch.tell()
                os._exit(0)

    sys.argv = ["faust", "worker", "-l", "error"]
    app.main()


def quix(topic: str, records: int) -> None:
    """Tumbling windows by camera with a sum for each lane, in Quix Streams' RocksDB state."""
    from quixstreams import Application

    app = Application(
        broker_address=load_settings().kafka.bootstrap_servers,
        consumer_group=f"quix-{os.getpid()}",
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(),
        loglevel="ERROR",
    )

    def event_time_ms(value: Any, headers: Any, timestamp: float, timestamp_type: Any) -> int:
        return epoch_us(value["timestamp"]) // 1000

    watch = Stopwatch()

    def add(total: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        for name in ("camera", str(event.get("lane_id"))):
            row = total.setdefault(name, {"count": 0, "speed": 0.0})
            row["count"] += 1
            row["speed"] += event.get("speed_estimate") or 0.0
        return total

    source = app.topic(topic, value_deserializer="json", timestamp_extractor=event_time_ms)
    stream = app.dataframe(source)

    def lap(_: Any) -> None:
        if watch.lap() >= records:
            # it goes on waiting for more
            watch.stop()
            app.stop()

    stream = stream.update(lap)
    windows = stream.tumbling_window(timedelta(seconds=5), grace_ms=timedelta(seconds=2))
    stream = windows.reduce(reducer=add, initializer=lambda event: add({}, event)).final()
    stream.to_topic(app.topic(f"quix-{os.getpid()}-rows", value_serializer="json"))
    app.run()
    watch.tell()


if __name__ == "__main__":
    name, source_topic, record_count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if name == "bare_loop":
        asyncio.run(bare_loop(source_topic, record_count))
    elif name == "bare_confluent":
        bare_confluent(source_topic, record_count)
    elif name == "naive_faust":
        asyncio.set_event_loop(asyncio.new_event_loop())
        naive_faust(source_topic, record_count)
    else:
        quix(source_topic, record_count)
