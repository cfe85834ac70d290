"""Rows of finished windows and the Kafka records that carry them."""

from __future__ import annotations

import time

from aiokafka import ConsumerRecord

from models.cameras.window_rows import WindowRow, encode_window_row
from models.timestamps import epoch_us, rfc3339
from trafficapp.topics import METRICS

T0_US = epoch_us("2026-01-14T07:00:00Z")
WINDOW_US = 5_000_000


def window_row(camera_id: str, window: int, lane_id: int | None = None, vehicle_count: int = 7) -> WindowRow:
    """A row of the camera's n-th window."""
    return WindowRow(
        camera_id=camera_id,
        window_start=rfc3339(T0_US + window * WINDOW_US),
        window_end=rfc3339(T0_US + (window + 1) * WINDOW_US),
        lane_id=lane_id,
        vehicle_count=vehicle_count,
        counts_by_class={"bus": 1, "car": vehicle_count - 1},
        avg_speed_kmh=31.5,
        stopped_ratio=0.125,
        queue_length=1,
        congestion_level="MODERATE",
        congestion_score=0.3211,
        detections=40,
    )


def window_rows(camera_id: str, window: int, lanes: int = 2) -> list[WindowRow]:
    """All rows of the camera's n-th window: camera-wide first, then lanes."""
    return [window_row(camera_id, window), *(window_row(camera_id, window, lane, 3) for lane in range(lanes))]


def records(
    rows: list[WindowRow | bytes], first_offset: int, partition: int = 0, age_seconds: float = 0.0
) -> list[ConsumerRecord]:
    """Records of the topic that carry rows."""
    timestamp = int((time.time() - age_seconds) * 1000)
    return [
        ConsumerRecord(
            topic=METRICS,
            partition=partition,
            offset=offset,
            timestamp=timestamp,
            timestamp_type=0,
            key=None,
            value=row if isinstance(row, bytes) else encode_window_row(row),
            checksum=None,
            serialized_key_size=-1,
            serialized_value_size=0,
            headers=(),
        )
        for offset, row in enumerate(rows, first_offset)
    ]
