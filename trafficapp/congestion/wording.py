"""What notifications say of congestion events."""

from __future__ import annotations

from datetime import datetime

from msgspec import structs

from models.roads.congestion import CongestionEvent, CongestionPlace
from models.roads.notifications import RoadNotification
from trafficapp.congestion.events import Change, CongestionEvents


def with_cause(change: Change, events: CongestionEvents | None) -> Change:
    """A change with the cause of its event, where one was found outside of the log since."""
    if events is None or change.event.cause is not None:
        return change
    cause = events.cause_of(change.event.event_id)
    return change if cause is None else change._replace(event=structs.replace(change.event, cause=cause))


def notification_of(change: Change, affected_routes_count: int = 0) -> RoadNotification:
    """A change as ``traffic-notifications`` tells it: under the road at the head of the queue."""
    event = change.event
    return RoadNotification(
        event_id=change.id,
        timestamp=change.at,
        alert_type="congestion",
        road_id=event.head.road_id,
        road_name=event.head.road_name,
        severity=event.severity,
        message=_message(change),
        affected_routes_count=affected_routes_count,
        congestion_event_id=event.event_id,
        change=change.kind,
    )


def _message(change: Change) -> str:
    event = change.event
    where = _name(event.head)
    if event.merged_into is not None:
        return f"{where}: the queue has met an older one and goes on as part of it"
    lost = f"{event.delay_vehicle_hours:.1f} vehicle-hours lost (estimated)"
    if change.kind == "ended":
        return f"{where}: congestion has dissolved after {_minutes(event)}; {lost}"
    queue = f"a queue of {event.length_m:.0f} m on {_roads(event)}"
    if event.tail.road_id != event.head.road_id:
        queue += f", back to {_name(event.tail)}"
    cause = "" if event.cause is None else f"; cause: {event.cause.description}"
    if change.kind == "begun":
        return f"{where}: {queue}{cause}"
    return f"{where}: {queue}, {event.state}, since {_minutes(event)}; {lost}{cause}"


def _roads(event: CongestionEvent) -> str:
    return "1 road" if len(event.roads) == 1 else f"{len(event.roads)} roads"


def _minutes(event: CongestionEvent) -> str:
    until = datetime.fromisoformat(event.ended_at or event.updated_at)
    minutes = round((until - datetime.fromisoformat(event.began_at)).total_seconds() / 60)
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def _name(place: CongestionPlace) -> str:
    return place.road_name or f"Road {place.road_id}"
