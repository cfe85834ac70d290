"""The feeds of incidents: what two desks, citizens and operators send, and what the rules make of it.

All of it meets in one partition, since a report may be of an incident anywhere in the city.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from models.incidents.current import Incident, IncidentAlert, IncidentReport
from models.incidents.inner import Action, InnerMessage, Report
from models.incidents.kinds import kind_of
from models.incidents.messages import (
    LONGEST_DESCRIPTION,
    CitizenReport,
    DeskIncident,
    EmergencyIncident,
    OperatorAction,
)
from trafficapp.feeds.city_alerts import alert_feed
from trafficapp.feeds.declaration import Column, Convert, Current, Feed, History, Sends
from trafficapp.feeds.rules import PartitionRules, Rules
from trafficapp.incidents.topics import ALERTS, INCIDENTS, REPORTS
from trafficapp.settings import Settings
from trafficapp.topics import CITY_PARTITIONS

#: How long a document stays; an open incident is told again within half of it.
CURRENT_SECONDS = 7200

CITIZEN_REPORTS = "citizen_reports"
OPERATOR_ACTIONS = "incident_actions"

_NOON = "2026-01-14T12:00:00Z"
_SAMPLE_ID = str(uuid.uuid5(uuid.NAMESPACE_OID, "sample"))
_LATITUDE, _LONGITUDE = 44.4985, 11.3175
_TEXT, _REAL, _WHOLE, _TIME = Column("text"), Column("double precision"), Column("integer"), Column("timestamptz")
_TRUTH = Column("boolean")


def _rules(settings: Settings) -> Callable[[int, Mapping[bytes, bytes]], PartitionRules[InnerMessage]]:
    from trafficapp.incidents.rules import IncidentRules

    return lambda _, rows: IncidentRules(settings.incidents, rows)


INCIDENT_RULES: Rules[InnerMessage] = Rules(
    name="incidents",
    summary="Which reports are of one incident, how it lives, and when it is over.",
    key="incident_id",
    shape=InnerMessage,
    make=_rules,
    partitions=CITY_PARTITIONS,
)


def _of_desk(_: Settings) -> Convert:
    def convert(said: DeskIncident, time_us: int) -> Iterable[tuple[str, Struct]]:
        report = Report(
            source="desk",
            source_id=said.incident_id,
            time_us=time_us,
            lat=said.latitude,
            lon=said.longitude,
            word=said.type,
            kind=said.type,
            level=said.severity,
            description=_kept(said.description),
            heading=said.heading,
        )
        return ((said.incident_id, report),)

    return convert


def _of_emergency_desk(_: Settings) -> Convert:
    def convert(said: EmergencyIncident, time_us: int) -> Iterable[tuple[str, Struct]]:
        word = said.incident_type.strip()
        report = Report(
            source="emergency",
            source_id=said.incident_id,
            message_id=said.id,
            time_us=time_us,
            lat=said.location[0],
            lon=said.location[1],
            word=word,
            kind=kind_of(word),
            resolved=said.status[0] in "Rr",
            description=_kept(said.description),
        )
        return ((said.incident_id, report),)

    return convert


def _of_citizen(_: Settings) -> Convert:
    def convert(said: CitizenReport, time_us: int) -> Iterable[tuple[str, Struct]]:
        report = Report(
            source="citizen",
            source_id=said.report_id,
            time_us=time_us,
            lat=said.latitude,
            lon=said.longitude,
            word=said.incident_type,
            kind=said.incident_type,
            level=said.severity,
            description=_kept(said.description),
            heading=said.heading,
        )
        return ((said.report_id, report),)

    return convert


def _of_operator(_: Settings) -> Convert:
    def convert(said: OperatorAction, __: int) -> Iterable[tuple[str, Struct]]:
        action = Action(
            action_id=said.action_id,
            incident_id=said.incident_id,
            action=said.action,
            by=said.by,
            level=said.severity,
            unit_id=said.unit_id,
        )
        return ((said.incident_id, action),)

    return convert


def _kept(description: str | None) -> str:
    return (description or "")[:LONGEST_DESCRIPTION]


DESK = Feed(
    name="traffic-incidents",
    summary="Incidents, as the incident desk reports them.",
    topic="traffic_incidents",
    shape=DeskIncident,
    sample=DeskIncident(
        incident_id="inc-4711",
        type="accident",
        latitude=_LATITUDE,
        longitude=_LONGITUDE,
        severity=4,
        description="Two cars, right lane blocked",
        timestamp=_NOON,
    ),
    key="incident_id",
    zone=lambda settings: settings.incidents.time_zone,
    future_seconds=None,
    place=lambda said: (said.latitude, said.longitude),
    sends=Sends(to=INCIDENT_RULES, messages=_of_desk),
)

EMERGENCY_DESK = Feed(
    name="emergency-incidents",
    summary="Emergencies, as the emergency desk reports them.",
    topic="emergency_incident_data",
    shape=EmergencyIncident,
    sample=EmergencyIncident(
        id=_SAMPLE_ID,
        device_id="unit-7",
        incident_id="em-0815",
        timestamp=_NOON,
        location=(_LATITUDE, _LONGITUDE),
        incident_type="Accident",
        status="Active",
        description="Person injured",
    ),
    key="id",
    zone=lambda settings: settings.incidents.time_zone,
    future_seconds=None,
    place=lambda said: said.location,
    sends=Sends(to=INCIDENT_RULES, messages=_of_emergency_desk),
)

CITIZENS = Feed(
    name="citizen-reports",
    summary="Incidents that citizens reported through the API.",
    topic=CITIZEN_REPORTS,
    shape=CitizenReport,
    sample=CitizenReport(
        report_id=_SAMPLE_ID,
        incident_type="accident",
        latitude=_LATITUDE,
        longitude=_LONGITUDE,
        timestamp=_NOON,
        description="Two cars at the crossing",
    ),
    key="report_id",
    place=lambda said: (said.latitude, said.longitude),
    partitions=CITY_PARTITIONS,
    sends=Sends(to=INCIDENT_RULES, messages=_of_citizen),
)

OPERATORS = Feed(
    name="incident-actions",
    summary="What operators did about incidents, through the API.",
    topic=OPERATOR_ACTIONS,
    shape=OperatorAction,
    sample=OperatorAction(
        action_id=_SAMPLE_ID, incident_id="inc-4711", action="clear", by="operator-1", timestamp=_NOON
    ),
    key="incident_id",
    partitions=CITY_PARTITIONS,
    sends=Sends(to=INCIDENT_RULES, messages=_of_operator),
)

_SAMPLE = Incident(
    incident_id="inc-4711",
    revision=0,
    incident_type="accident",
    kind="accident",
    severity="high",
    severity_level=4,
    closed=False,
    is_emergency=False,
    latitude=_LATITUDE,
    longitude=_LONGITUDE,
    heading=None,
    description="Two cars, right lane blocked",
    state="verified",
    status="active",
    timestamp=_NOON,
    last_event_at=_NOON,
    reports=1,
    sources=["desk"],
    reported_at=_NOON,
    verified_at=_NOON,
    responding_at=None,
    cleared_at=None,
    normal_at=None,
    rejected_at=None,
    verified_by="desk",
    cleared_by=None,
    reopened=0,
    units=[],
    detection_seconds=0.0,
    verification_seconds=0.0,
    response_seconds=None,
    clearance_seconds=None,
    recovery_seconds=None,
    updated_at=_NOON,
)


INCIDENT_STEPS = Feed(
    name="incidents",
    summary="Incidents, each step of one; of an incident the newest counts.",
    topic=INCIDENTS,
    shape=Incident,
    sample=_SAMPLE,
    key="incident_id",
    time="updated_at",
    partitions=CITY_PARTITIONS,
    future_seconds=None,
    retention_hours=lambda settings: settings.retention.alert_topic_days * 24,
    is_ours=True,
    path="/api/incidents",
    current=Current(
        document="emergency:incident:{key}",
        listed="incidents:known",
        seconds=CURRENT_SECONDS,
        channel="traffic:incidents",
    ),
    history=History(
        table="incidents",
        columns={
            "incident_id": _TEXT,
            "reported_at": _TIME,
            "updated_at": _TIME,
            "revision": _WHOLE,
            "incident_type": _TEXT,
            "kind": _TEXT,
            "severity": _TEXT,
            "severity_level": _WHOLE,
            "closed": _TRUTH,
            "is_emergency": _TRUTH,
            "latitude": _REAL,
            "longitude": _REAL,
            "description": _TEXT,
            "state": _TEXT,
            "happened_at": Column("timestamptz", of="timestamp"),
            "reports": _WHOLE,
            "verified_at": _TIME,
            "responding_at": _TIME,
            "cleared_at": _TIME,
            "normal_at": _TIME,
            "rejected_at": _TIME,
            "verified_by": _TEXT,
            "cleared_by": _TEXT,
            "reopened": _WHOLE,
            "detection_seconds": _REAL,
            "verification_seconds": _REAL,
            "response_seconds": _REAL,
            "clearance_seconds": _REAL,
            "recovery_seconds": _REAL,
        },
        # an id that a desk gives again after an hour is another incident
        key=("incident_id", "reported_at"),
        newest_by="updated_at",
        days=lambda settings: settings.incidents.incidents_days,
    ),
)

REPORTED = Feed(
    name="incident-reports",
    summary="Every report, with the incident that it is of.",
    topic=REPORTS,
    shape=IncidentReport,
    sample=IncidentReport(
        report_id="7c1d6f0e6b7c4a1b9c3e0d5f2a4b6c8d",
        incident_id="inc-4711",
        source="desk",
        source_id="inc-4711",
        message_id="",
        effect="opened",
        incident_type="accident",
        kind="accident",
        severity_level=4,
        resolved=False,
        latitude=_LATITUDE,
        longitude=_LONGITUDE,
        heading=None,
        description="Two cars, right lane blocked",
        timestamp=_NOON,
        received_at=_NOON,
    ),
    key="report_id",
    time="received_at",
    partitions=CITY_PARTITIONS,
    future_seconds=None,
    is_ours=True,
    place=lambda report: (report.latitude, report.longitude),
    history=History(
        table="incident_reports",
        columns={
            "report_id": _TEXT,
            "received_at": _TIME,
            "incident_id": _TEXT,
            "source": _TEXT,
            "source_id": _TEXT,
            "message_id": _TEXT,
            "effect": _TEXT,
            "incident_type": _TEXT,
            "kind": _TEXT,
            "severity_level": _WHOLE,
            "resolved": _TRUTH,
            "latitude": _REAL,
            "longitude": _REAL,
            "heading": _REAL,
            "description": _TEXT,
            "happened_at": Column("timestamptz", of="timestamp"),
        },
        key=("report_id", "received_at"),
        partitioned_by="received_at",
        days=lambda settings: settings.incidents.reports_days,
    ),
)

ALERTED = alert_feed(
    ALERTS,
    "Alerts about incidents that are verified and bad.",
    IncidentAlert,
    IncidentAlert(
        alert_id=_SAMPLE_ID,
        revision=0,
        alert_type="incident",
        state="opened",
        severity="EMERGENCY",
        subject="inc-4711",
        title="Accident",
        message="accident at 44.49850, 11.31750, severity 5 of 5, 1 report",
        timestamp=_NOON,
        opened_at=_NOON,
        latitude=_LATITUDE,
        longitude=_LONGITUDE,
        incident_id="inc-4711",
    ),
    "/api/incidents/alerts",
)

#: All of them, those that others send first.
FEEDS = (DESK, EMERGENCY_DESK, CITIZENS, OPERATORS, INCIDENT_STEPS, REPORTED, ALERTED)
