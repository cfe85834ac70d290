"""Notifications about roads, and the Kafka records that carry them."""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec
from aiokafka import ConsumerRecord

from models.roads.notifications import RoadNotification, encode_notification
from tests.stores.alerts.alert_messages import after_noon
from trafficapp.topics import NOTIFICATIONS


def notification(number: int = 0, road_id: str = "r1", **changes: Any) -> RoadNotification:
    """The n-th notification about a road, a minute after the one before; its id follows from road and number."""
    made = RoadNotification(
        event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{road_id} {number}")),
        timestamp=after_noon(60.0 * number),
        alert_type="severe_traffic",
        road_id=road_id,
        road_name="Via Emilia",
        severity="WARNING",
        message="Via Emilia: jam factor 8.4 of 10, severe is above 8; now 9 km/h, 50 km/h when it is free",
        affected_routes_count=1,
    )
    return msgspec.structs.replace(made, **changes)


def notification_records(
    first_offset: int, *notifications: RoadNotification | bytes, age_seconds: float = 0.0
) -> list[ConsumerRecord]:
    """Records of the topic, sent so long ago."""
    timestamp = int((time.time() - age_seconds) * 1000)
    return [
        ConsumerRecord(
            topic=NOTIFICATIONS,
            partition=0,
            offset=offset,
            timestamp=timestamp,
            timestamp_type=0,
            key=None,
            value=one if isinstance(one, bytes) else encode_notification(one),
            checksum=None,
            serialized_key_size=-1,
            serialized_value_size=0,
            headers=(),
        )
        for offset, one in enumerate(notifications, first_offset)
    ]
