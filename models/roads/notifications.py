"""Notifications about roads: topic ``traffic-notifications`` and ``/ws/notifications``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from models.alarms import Withheld
from models.roads.current import RoadIdentifier

NotificationType = Literal["heavy_congestion", "sudden_jam", "severe_traffic", "wrong_way", "congestion"]
NotificationSeverity = Literal["WARNING", "CRITICAL"]


class RoadNotification(Struct, frozen=True, kw_only=True):
    """Something that people on or before a road must know.

    Attributes:
        event_id: a UUID that follows from the road, the type and the observation that raised it: a repeat has the same.
        alert_type: ``wrong_way`` is of a vehicle, ``congestion`` of an event of one or more roads, told under the
            road at the head of its queue; the others are of the road.
        timestamp: when it was raised, RFC 3339 UTC.
        affected_routes: always empty, for clients that expect it: whose routes they are is nobody's business. What
            older records have is not read.
        affected_routes_count: different routes through the road that were asked for within the hour.
        congestion_event_id: the event that it tells of, or that it is folded into; null otherwise.
        change: of ``congestion``: what became of the event; null otherwise.
        folded: whether the event is told in its place.
        withheld: why people are not told of it; left out when they are, and in the topic.
    """

    event_id: str
    timestamp: str
    alert_type: NotificationType
    road_id: RoadIdentifier
    road_name: str
    severity: NotificationSeverity
    message: str
    affected_routes: list[str] = msgspec.field(default_factory=list)
    affected_routes_count: Annotated[int, Meta(ge=0)] = 0
    congestion_event_id: str | None = None
    change: Literal["begun", "changed", "ended"] | None = None
    folded: bool = False
    withheld: Withheld | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Forget routes, which records had before there was a count."""
        if self.affected_routes:
            msgspec.structs.force_setattr(self, "affected_routes_count", len(self.affected_routes))
            msgspec.structs.force_setattr(self, "affected_routes", [])


encode_notification = msgspec.json.Encoder().encode
decode_notification = msgspec.json.Decoder(RoadNotification).decode
