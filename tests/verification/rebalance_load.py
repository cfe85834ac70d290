"""Seeded detections of many cameras: ``python -m tests.verification.rebalance_load``; its own process."""

from __future__ import annotations

import argparse
import json
import random
import time

from confluent_kafka import Producer

from models.timestamps import rfc3339
from trafficapp.topics import EVENTS_RAW

#: Event time runs faster than the clock, so that there are more windows to compare.
PACE = 3
CLASSES = ("car", "car", "car", "truck", "bus", "motorcycle")


def detection(number: int, time_us: int, chance: random.Random, cameras: int) -> tuple[bytes, bytes]:
    """Key and value of one detection, in the nested form."""
    camera_id = f"cam_{chance.randrange(cameras):04d}"
    lag_seconds = 0.0
    if chance.random() < 0.30:
        lag_seconds = chance.random() * 1.5
    if chance.random() < 0.003:
        lag_seconds = 4 + chance.random() * 6
    x, y = chance.randrange(1900), chance.randrange(1000)
    message = {
        "camera_id": camera_id,
        "timestamp": rfc3339(time_us - round(lag_seconds * 1e6)),
        "frame_id": number,
        "vehicle_id": f"v{number // 400 % 50}",
        "class": chance.choice(CLASSES),
        "confidence": 0.9,
        "bbox": {"x": x, "y": y, "w": 20, "h": 12},
        "centroid": {"x": x + 10, "y": y + 6},
        "lane_id": chance.randrange(3),
        "speed_estimate": round(chance.random() * 70, 2),
    }
    return camera_id.encode(), json.dumps(message).encode()


def main() -> None:
    """Send at a steady rate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=int, required=True, help="Detections a second.")
    parser.add_argument("--cameras", type=int, default=200)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    producer = Producer(
        {
            "bootstrap.servers": options.bootstrap_servers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    # the last event time is the clock's, so that none is in its record's future
    first_us = round((time.time() - PACE * options.seconds) * 1e6)
    began, sent, total = time.monotonic(), 0, round(options.seconds * options.rate)
    while sent < total:
        due = min(total, round((time.monotonic() - began) * options.rate))
        while sent < due:
            time_us = first_us + round(sent / options.rate * PACE * 1e6)
            key, value = detection(sent, time_us, chance, options.cameras)
            producer.produce(EVENTS_RAW, key=key, value=value)
            sent += 1
        producer.poll(0)
        time.sleep(0.01)
    if producer.flush(60):
        raise SystemExit("not everything was acknowledged")
    print(f"sent {sent}", flush=True)


if __name__ == "__main__":
    main()
