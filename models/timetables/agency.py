"""What an agency says itself in its GTFS Realtime feeds: alerts for riders, and how its trips go."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

_Identifier = Annotated[str, Meta(min_length=1, max_length=512)]
_Text = Annotated[str, Meta(max_length=10_000)]
_Word = Annotated[str, Meta(max_length=64)]

#: More than the largest alerts and trips have.
MOST_PERIODS, MOST_INFORMED, MOST_STOPS = 100, 5000, 1000


class AlertPeriod(Struct, frozen=True, kw_only=True, gc=False):
    """When an alert counts: from a time until before another, RFC 3339; null is without end."""

    from_at: str | None = None
    until_at: str | None = None


class InformedEntity(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Whom an alert is for: all that is named together; names are the agency's, `route_type` is GTFS's."""

    agency_id: str | None = None
    route_id: str | None = None
    route_type: int | None = None
    direction_id: int | None = None
    stop_id: str | None = None
    trip_id: str | None = None
    start_date: str | None = None
    start_time: str | None = None


class AgencyAlert(Struct, frozen=True, kw_only=True):
    """An alert for riders: topic ``agency_alerts``.

    Attributes:
        alert_id: the feed's address and the agency's own id.
        source: host that it came from.
        header: a line.
        description: more of it.
        url: where there is more; null for none.
        cause: in the words of GTFS Realtime, such as ``CONSTRUCTION``.
        effect: likewise, such as ``DETOUR``.
        severity: likewise, such as ``WARNING``; null where the agency does not say.
        language: of the texts, BCP 47; null where the agency does not say.
        periods: when it counts; none: as long as it is told.
        informed: whom it is for.
        is_over: it is in the feed no more.
        timestamp: of the feed, RFC 3339.
    """

    alert_id: Annotated[str, Meta(min_length=1, max_length=256)]
    source: _Identifier
    header: _Text
    timestamp: str | int | float
    description: _Text = ""
    url: _Text | None = None
    cause: _Word = "UNKNOWN_CAUSE"
    effect: _Word = "UNKNOWN_EFFECT"
    severity: _Word | None = None
    language: _Word | None = None
    periods: Annotated[list[AlertPeriod], Meta(max_length=MOST_PERIODS)] = []
    informed: Annotated[list[InformedEntity], Meta(max_length=MOST_INFORMED)] = []
    is_over: bool = False


class AgencyStopTime(Struct, frozen=True, kw_only=True, gc=False):
    """When the agency expects a trip at a stop; RFC 3339. The delay is that of its arrival; null: it does not say."""

    stop_sequence: int | None = None
    stop_id: str | None = None
    arrives_at: str | None = None
    departs_at: str | None = None
    delay_seconds: int | None = None
    is_skipped: bool = False


class AgencyTrip(Struct, frozen=True, kw_only=True):
    """How a trip goes, as the agency says: topic ``agency_trip_updates``.

    Attributes:
        run_id: trip, service day and start, with spaces between.
        source: host that it came from.
        trip_id: of the agency's timetable.
        start_date: service day, YYYYMMDD; null where the agency does not say.
        start_time: of trips by frequency, such as 25:10:00.
        route_id: of the agency's timetable.
        vehicle_id: that serves it.
        relationship: in the words of GTFS Realtime, such as ``SCHEDULED``, ``CANCELED``.
        delay_seconds: of the whole trip; null where the agency does not say.
        stops: those that it says something of.
        timestamp: when that was so, RFC 3339.
    """

    run_id: Annotated[str, Meta(min_length=1, max_length=256)]
    source: _Identifier
    trip_id: _Identifier
    timestamp: str | int | float
    start_date: _Word | None = None
    start_time: _Word | None = None
    route_id: _Identifier | None = None
    vehicle_id: _Identifier | None = None
    relationship: _Word = "SCHEDULED"
    delay_seconds: int | None = None
    stops: Annotated[list[AgencyStopTime], Meta(max_length=MOST_STOPS)] = []
