"""Writes old state rows again, late, as a crowd of frozen workers would.

Every row that appears on the changelog, its own ones among them, is written again with 15 % probability, 0.5 to 8 s
later.
"""

from __future__ import annotations

import argparse
import heapq
import random
import time
from uuid import uuid4

from confluent_kafka import Consumer, Producer, TopicPartition

REWRITTEN_SHARE = 0.15
FIRST_SECONDS, LAST_SECONDS = 0.5, 8.0


def main() -> None:
    """Haunt a changelog for some time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    connection = {"bootstrap.servers": options.bootstrap_servers}
    consumer = Consumer({**connection, "group.id": f"adversary-{uuid4()}", "enable.auto.commit": False})
    consumer.assign([TopicPartition(options.topic, partition, 0) for partition in range(options.partitions)])
    producer = Producer({**connection, "linger.ms": 5})
    waiting: list[tuple[float, int, int, bytes, bytes]] = []
    seen = written = 0
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        for message in consumer.consume(1000, 0.05):
            seen += 1
            if message.error() is None and chance.random() < REWRITTEN_SHARE:
                due = time.monotonic() + chance.uniform(FIRST_SECONDS, LAST_SECONDS)
                heapq.heappush(waiting, (due, seen, message.partition(), message.key(), message.value()))
        while waiting and waiting[0][0] < time.monotonic():
            _, _, partition, key, value = heapq.heappop(waiting)
            producer.produce(options.topic, key=key, value=value, partition=partition)
            written += 1
        producer.poll(0)
    producer.flush(30)
    consumer.close()
    print(f"saw {seen} rows, wrote {written} again", flush=True)


if __name__ == "__main__":
    main()
