"""Records as Kafka hands them out."""

from __future__ import annotations

import json
from typing import Any

from aiokafka import ConsumerRecord

from models.cameras.window_rows import FinishedWindow, WindowRow, encode_window_row
from models.timestamps import rfc3339

#: 2026-01-14T07:00:00Z, when the Bologna recording begins.
START_US = 1_768_374_000_000_000


def record(
    offset: int,
    value: bytes | None,
    key: bytes | None = b"cam_01",
    *,
    partition: int = 0,
    timestamp_ms: int = START_US // 1000,
    headers: tuple[tuple[str, bytes], ...] = (),
    topic: str = "traffic.events.raw",
) -> Any:
    return ConsumerRecord(topic, partition, offset, timestamp_ms, 0, key, value, None, 0, 0, headers)


def detection(**changes: Any) -> dict[str, Any]:
    return {
        "camera_id": "cam_01",
        "timestamp": "2026-01-14T07:00:01.25Z",
        "frame_id": 7,
        "vehicle_id": "v1",
        "class": "car",
        "confidence": 0.9,
        "bbox": {"x": 10.0, "y": 20.0, "w": 30.0, "h": 40.0},
    } | changes


def event(offset: int, *, partition: int = 0, **changes: Any) -> Any:
    """A detection of camera cam_01 whose vehicle is named after its offset."""
    changes = {"vehicle_id": f"v{offset}"} | changes
    return record(offset, json.dumps(detection(**changes)).encode(), partition=partition)


def events(offsets: range, partition: int = 0) -> list[Any]:
    return [event(offset, partition=partition) for offset in offsets]


def window(camera_id: str = "cam_01", number: int = 0, lane_id: int | None = None, **changes: Any) -> FinishedWindow:
    """The row of the window that begins 5 s times `number` after the start."""
    values: dict[str, Any] = {
        "camera_id": camera_id,
        "window_start": rfc3339(START_US + number * 5_000_000),
        "window_end": rfc3339(START_US + (number + 1) * 5_000_000),
        "lane_id": lane_id,
        "vehicle_count": 3,
        "counts_by_class": {"car": 2, "bus": 1},
        "avg_speed_kmh": 31.25,
        "stopped_ratio": 0.0,
        "queue_length": 0,
        "congestion_level": "LOW",
        "congestion_score": 0.2157,
        "detections": 15,
    }
    return FinishedWindow(**(values | changes))


def window_records(*rows: WindowRow | bytes, first: int = 0, partition: int = 0) -> list[Any]:
    return [
        record(
            first + index,
            row if isinstance(row, bytes) else encode_window_row(row),
            topic="traffic.metrics",
            partition=partition,
        )
        for index, row in enumerate(rows)
    ]


def owned() -> bool:
    return True


def not_owned() -> bool:
    return False
