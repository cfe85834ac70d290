"""Notifications about roads: topic ``traffic-notifications`` and ``/ws/notifications``."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from models.roads.current import RoadIdentifier

NotificationType = Literal["heavy_congestion", "sudden_jam", "severe_traffic", "wrong_way"]
NotificationSeverity = Literal["WARNING", "CRITICAL"]


class RoadNotification(Struct, frozen=True, kw_only=True):
    """Something that people on or before a road must know.

    Attributes:
        event_id: a UUID that follows from the road, the type and the observation that raised it: a repeat has the same.
        alert_type: ``wrong_way`` is of a vehicle, the others are of the road.
        timestamp: when it was raised, RFC 3339 UTC.
        affected_routes: recently asked routes through the road, each as ``lat,lng:lat,lng`` of origin and destination.
    """

    event_id: str
    timestamp: str
    alert_type: NotificationType
    road_id: RoadIdentifier
    road_name: str
    severity: NotificationSeverity
    message: str
    affected_routes: list[str]


encode_notification = msgspec.json.Encoder().encode
decode_notification = msgspec.json.Decoder(RoadNotification).decode
