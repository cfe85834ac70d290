"""Congestion events: jammed roads that touch each other, as one."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from models.roads.notifications import NotificationSeverity

CongestionState: TypeAlias = Literal["growing", "steady", "dissolving", "ended"]
CauseKind: TypeAlias = Literal["incident", "closure", "weather", "suspected_incident"]


class CongestionCause(Struct, frozen=True, kw_only=True):
    """Why there is congestion, where that is known.

    Attributes:
        kind: what it is. ``suspected_incident`` is detected by a rule, and nobody has confirmed it.
        id: of the incident, of the closed road, of the weather station, or of the suspected road.
        description: for people.
    """

    kind: CauseKind
    id: str
    description: str


class SuspectedIncident(Struct, frozen=True, kw_only=True):
    """An incident that a rule suspects; see docs/incidents.md.

    Attributes:
        road_id, road_name: the road that stands.
        latitude, longitude: its downstream end, degrees WGS 84; null where the feed has told no line.
        since: of its first slow observation, RFC 3339.
        suspected_at: when the rule spoke, RFC 3339.
        state: ``confirmed`` once a report was near it in distance and time.
        confidence: share of such suspicions that were incidents on simulated days, 0 to 1.
        evidence: a sentence with the numbers.
        method: the rule.
        incident_id: of that report; null while there is none.
    """

    road_id: str
    road_name: str
    latitude: float | None
    longitude: float | None
    since: str
    suspected_at: str
    state: Literal["unconfirmed", "confirmed"]
    confidence: float
    evidence: str
    method: Literal["sudden_fall_at_head"]
    incident_id: str | None


class CongestionRoad(Struct, frozen=True, kw_only=True):
    """A road of an event.

    Attributes:
        speed_kmh, free_flow_kmh: as observed last.
        since: of the first observation in a row that was slow, RFC 3339.
        jammed: whether it has been slow for long enough; else it belongs to the event since it touches a road that has.
    """

    road_id: str
    road_name: str
    speed_kmh: float
    free_flow_kmh: float
    since: str
    jammed: bool


class CongestionPlace(Struct, frozen=True, kw_only=True):
    """An end of a queue.

    Attributes:
        latitude, longitude: degrees WGS 84; null where the feed has told no line.
    """

    road_id: str
    road_name: str
    latitude: float | None
    longitude: float | None


class CongestionEvent(Struct, frozen=True, kw_only=True):
    """A congestion event as of ``updated_at``; the newest of an ``event_id`` counts.

    Attributes:
        state: by the length of its queue against that of five minutes before.
        severity: by the length of its queue.
        began_at: since when its first road has been slow.
        ended_at: when its last road was calm again; null while it goes on.
        latitude, longitude: of its head, so that it can be asked for by zone.
        head: the downstream end, from which the queue grows.
        tail: the upstream end: the back of the queue.
        length_m: of the longest queue along the driving direction, from the tail to the head.
        extent_m: of all its roads together.
        delay_vehicle_hours: lost by all vehicles since it began, estimated.
        delay_method: how that was done. ``greenshields``: the vehicles on a road follow from its speed (Greenshields,
            1935: density falls from that of standing traffic in proportion to the speed), since nobody counts them.
        cause: null where none is known.
        roads: that it is on now; of one that has ended, those that it was on last.
        merged_into: the event that goes on in its place; null unless it met an older one.
        suspected_incident: what a rule suspects at one of its roads; null where it suspects nothing.
    """

    event_id: str
    state: CongestionState
    severity: NotificationSeverity
    began_at: str
    updated_at: str
    ended_at: str | None
    latitude: float | None
    longitude: float | None
    head: CongestionPlace
    tail: CongestionPlace
    length_m: float
    extent_m: float
    delay_vehicle_hours: float
    delay_method: Literal["greenshields"]
    cause: CongestionCause | None
    roads: list[CongestionRoad]
    merged_into: str | None
    suspected_incident: SuspectedIncident | None = None


encode_congestion_event = msgspec.json.Encoder().encode
decode_congestion_event = msgspec.json.Decoder(CongestionEvent).decode
