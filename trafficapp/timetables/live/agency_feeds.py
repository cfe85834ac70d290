"""The feeds of what an agency says itself; ``trafficapp poll-gtfs-rt`` fills them."""

from __future__ import annotations

from models.timetables.agency import AgencyAlert, AgencyStopTime, AgencyTrip, InformedEntity
from trafficapp.feeds.declaration import Current, Feed

AGENCY_ALERTS, AGENCY_TRIPS = "agency_alerts", "agency_trip_updates"

#: The poller tells what is still so again before that.
ALERT_SECONDS = 3600
#: Who says nothing of a trip for so long says nothing of now.
TRIP_SECONDS = 600

_NOON = "2026-01-14T12:00:00Z"

#: ``transit:agency_alert:{alert_id}``: `AgencyAlert` as JSON.
ALERTS_OF_AGENCIES = Feed(
    name="agency-alerts",
    summary="What agencies of public transport tell riders themselves.",
    topic=AGENCY_ALERTS,
    shape=AgencyAlert,
    sample=AgencyAlert(
        alert_id="gtfs.example.org/alerts works-17",
        source="gtfs.example.org",
        header="Line R1 does not stop at L2",
        description="Works until Friday.",
        cause="CONSTRUCTION",
        effect="DETOUR",
        informed=[InformedEntity(route_id="R1", stop_id="L2")],
        timestamp=_NOON,
    ),
    key="alert_id",
    rekey=True,
    current=Current(
        document="transit:agency_alert:{key}",
        listed="transit:agency_alerts",
        seconds=ALERT_SECONDS,
        channel="transit:agency_alerts:told",
    ),
    path="/api/transit/agency-alerts",
)

#: ``transit:agency_trip:{run_id}``: `AgencyTrip` as JSON.
TRIPS_OF_AGENCIES = Feed(
    name="agency-trip-updates",
    summary="How trips of public transport go, as their agencies say.",
    topic=AGENCY_TRIPS,
    shape=AgencyTrip,
    sample=AgencyTrip(
        run_id="line-7 20260114",
        source="gtfs.example.org",
        trip_id="line-7",
        start_date="20260114",
        route_id="R1",
        stops=[AgencyStopTime(stop_sequence=30, stop_id="L2", arrives_at="2026-01-14T12:01:00Z")],
        timestamp=_NOON,
    ),
    key="run_id",
    rekey=True,
    current=Current(
        document="transit:agency_trip:{key}",
        listed="transit:agency_trips",
        seconds=TRIP_SECONDS,
        channel="transit:agency_trips:told",
    ),
    path="/api/transit/agency-trip-updates",
)

AGENCY_FEEDS = (ALERTS_OF_AGENCIES, TRIPS_OF_AGENCIES)
