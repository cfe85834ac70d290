"""Puts windows and detections into the history the way they take in production, from the sinks on."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import msgspec
from redis.asyncio import Redis

from models.cameras.window_rows import WindowRow
from models.roads.current import RoadObservation
from models.roads.notifications import RoadNotification
from models.timestamps import rfc3339
from tests.stores.postgres.records import detection, record, window_records
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.roads.notifications import notification_records
from tests.stores.roads.observations import observation_records
from trafficapp.roads.feeds import NOTIFIED, ROADS
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.cameras.events_sink import HistoryEventsSink
from trafficapp.stores.cameras.windows_sink import HistoryMetricsSink
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.roads.observations_sink import HistoryRoadsSink

_WINDOW_US = 5_000_000
_offsets = itertools.count(0, 1000)


def recent_window(camera_id: str, windows_ago: int = 1, **changes: Any) -> WindowRow:
    """A camera-wide window that ended so many windows ago."""
    start_us = (time.time_ns() // 1000 // _WINDOW_US - windows_ago) * _WINDOW_US
    row = WindowRow(
        camera_id=camera_id,
        window_start=rfc3339(start_us),
        window_end=rfc3339(start_us + _WINDOW_US),
        lane_id=None,
        vehicle_count=10,
        counts_by_class={"car": 10},
        avg_speed_kmh=30.0,
        stopped_ratio=0.0,
        queue_length=0,
        congestion_level="MODERATE",
        congestion_score=0.4,
        detections=50,
    )
    return msgspec.structs.replace(row, **changes)


async def keep_windows(settings: Settings, *rows: WindowRow) -> None:
    """Into Postgres."""
    sink = HistoryMetricsSink(settings)
    await sink.load([0])
    await sink.apply(0, window_records(*rows, first=next(_offsets)), lambda: True)
    await sink.close()


async def keep_detections(settings: Settings, *changes: dict[str, Any]) -> None:
    """Into Postgres."""
    sink = HistoryEventsSink(settings)
    await sink.load([0])
    first = next(_offsets)
    now_ms = time.time_ns() // 1_000_000
    records = [
        record(
            first + number,
            json.dumps(detection(**change)).encode(),
            key=str(change["camera_id"]).encode(),
            timestamp_ms=now_ms,
        )
        for number, change in enumerate(changes)
    ]
    await sink.apply(0, records, lambda: True)
    await sink.close()


async def put_roads(client: Redis, *observations: RoadObservation) -> None:
    """Put observations that were sent just now into Redis."""
    sink = DocumentsSink(ROADS, load_settings(), client, an_hour_back)
    await sink.load([0])
    run = observation_records(*observations, first=next(_offsets), sent_ms=time.time_ns() // 1_000_000)
    await sink.apply(0, run, lambda: True)
    sink.release([0])


async def keep_roads(settings: Settings, *observations: RoadObservation) -> None:
    """Keep observations in the history."""
    sink = HistoryRoadsSink(settings)
    await sink.load([0])
    await sink.apply(0, observation_records(*observations, first=next(_offsets)), lambda: True)
    await sink.close()


async def keep_notifications(settings: Settings, *notifications: RoadNotification) -> None:
    """Into Postgres."""
    sink = RowsSink(NOTIFIED, settings)
    await sink.load([0])
    await sink.apply(0, notification_records(next(_offsets), *notifications), lambda: True)
    await sink.close()
