"""Frames of fifteen detections for the measurements: ``python -m tests.bench.frames DETECTIONS``."""

from __future__ import annotations

import sys

import orjson
from confluent_kafka import Producer

from models.timestamps import rfc3339
from trafficapp.engine.kafka import librdkafka_config
from trafficapp.settings import load_settings
from trafficapp.topics import EVENTS_RAW

DETECTIONS_PER_FRAME = 15
_CAMERAS = 40
_FRAME_MICROSECONDS = 200_000
_BEGIN_US = 1_768_374_000_000_000


def frame(camera: int, number: int) -> bytes:
    """A frame: fifteen vehicles, of which one in three changes every two seconds."""
    vehicles = (f"v{camera}-{lane}-{number // (10 * (1 + lane % 3))}" for lane in range(DETECTIONS_PER_FRAME))
    detections = [
        {
            "vehicle_id": vehicle_id,
            "class": "car",
            "confidence": 0.91,
            "bbox": {"x": 100.5 + lane, "y": 220.0, "w": 64.0, "h": 48.5},
            "centroid": {"x": 132.5 + lane, "y": 244.2},
            "lane_id": lane % 3,
            "speed_estimate": 20.0 + lane + (number % 7),
        }
        for lane, vehicle_id in enumerate(vehicles)
    ]
    message = {
        "camera_id": f"cam_{camera:02}",
        "timestamp": rfc3339(_BEGIN_US + number * _FRAME_MICROSECONDS),
        "frame_id": number,
        "detections": detections,
    }
    return orjson.dumps(message)


def main(detections: int) -> None:
    """Send frames until so many detections are in Kafka."""
    config = {"linger.ms": 20, "partitioner": "murmur2_random", "queue.buffering.max.messages": 500_000}
    producer = Producer(librdkafka_config(load_settings()) | config)
    frames = detections // DETECTIONS_PER_FRAME
    for sent in range(frames):
        number, camera = divmod(sent, _CAMERAS)
        producer.produce(EVENTS_RAW, key=f"cam_{camera:02}".encode(), value=frame(camera, number))
        producer.poll(0)
    producer.flush()
    print(frames)


if __name__ == "__main__":
    main(int(sys.argv[1]))
