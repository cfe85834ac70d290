"""What is told of incidents: each step of one, each report, emergencies, alerts."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from models.city_alerts import CityAlert
from models.incidents.kinds import Kind, Lifecycle, SeverityClass, Source

#: What a report did: opened an incident or joined one; said more of it; opened a cleared one again; ended it; came
#: late, behind what its source had said already; or ended what was never reported to be going on.
ReportEffect: TypeAlias = Literal["opened", "merged", "updated", "reopened", "resolved", "late", "kept"]

#: The words of the city system for how far an emergency is.
EmergencyStatus: TypeAlias = Literal["active", "responding", "resolved"]


class Incident(Struct, frozen=True, kw_only=True):
    """An incident as of a step of it; the step with the highest ``revision`` counts.

    The times of its steps are the broker's, so that clocks of producers do not disturb the durations between them;
    ``timestamp`` and ``last_event_at`` are the producers'. The durations are those of FHWA's incident timeline; null
    while their end is not there.

    Attributes:
        incident_id: what the first who reported it calls it; where another one was called so, a UUID.
        revision: of the step, from 0.
        incident_type: what it is, in the reporter's words; of a merged one the gravest.
        kind: the same in ours.
        severity: its class.
        severity_level: 1 to 5.
        closed: whether nobody can pass.
        is_emergency: whether the emergency desk reported it, or it is verified and critical.
        latitude: where it was reported first, degrees WGS 84.
        longitude: likewise.
        heading: of the traffic that it is in the way of, degrees; null for both directions.
        description: of the newest report that has one.
        state: how far it is.
        status: the same in the words of the city system.
        timestamp: when it happened, as the report with the earliest time says.
        last_event_at: the latest time of a report of it.
        reports: how many there are of it.
        sources: who reported it.
        reported_at: when the first report came in.
        verified_at: when a desk reported it or an operator confirmed it, for the first time.
        responding_at: when somebody was sent for the first time.
        cleared_at: when it was over; of one that was opened again null until it is cleared again.
        normal_at: when traffic flowed as usual.
        rejected_at: when an operator found it untrue.
        verified_by: who verified it.
        cleared_by: who cleared it; ``expiry`` when nobody did.
        reopened: how often it was opened again after it was cleared.
        units: who was sent.
        detection_seconds: from happening to the first report; null where the producer's clock is ahead.
        verification_seconds: from the first report to verification.
        response_seconds: from verification to response.
        clearance_seconds: from the first report to clearance, FHWA's incident clearance time.
        recovery_seconds: from clearance to normal flow.
        updated_at: when this step happened.
    """

    incident_id: str
    revision: int
    incident_type: str
    kind: Kind
    severity: SeverityClass
    severity_level: int
    closed: bool
    is_emergency: bool
    latitude: float
    longitude: float
    heading: float | None
    description: str
    state: Lifecycle
    status: EmergencyStatus
    timestamp: str
    last_event_at: str
    reports: int
    sources: list[Source]
    reported_at: str
    verified_at: str | None
    responding_at: str | None
    cleared_at: str | None
    normal_at: str | None
    rejected_at: str | None
    verified_by: str | None
    cleared_by: str | None
    reopened: int
    units: list[str]
    detection_seconds: float | None
    verification_seconds: float | None
    response_seconds: float | None
    clearance_seconds: float | None
    recovery_seconds: float | None
    updated_at: str


class ActiveEmergency(Struct, frozen=True, kw_only=True):
    """An emergency that is going on, as the city's dashboard reads it."""

    incident_id: str
    incident_type: str
    latitude: float
    longitude: float
    severity: SeverityClass
    status: EmergencyStatus
    timestamp: str

    @classmethod
    def of(cls, incident: Incident) -> ActiveEmergency:
        """An incident as it is shown there."""
        return cls(**{name: getattr(incident, name) for name in cls.__struct_fields__})


class IncidentReport(Struct, frozen=True, kw_only=True):
    """A report with the incident that it is of.

    Attributes:
        report_id: follows from all that the report says: a repeat has the same.
        incident_id: of the incident it became, or was merged into.
        source: who reported.
        source_id: what the source calls the incident.
        message_id: what it calls the message; empty where it does not.
        effect: what it did.
        incident_type: in the source's words.
        kind: in ours.
        severity_level: 1 to 5, as the source says; null when it does not.
        resolved: whether it says that the incident is over.
        latitude: degrees WGS 84.
        longitude: likewise.
        heading: degrees; null when not told.
        description: for people.
        timestamp: when it happened, as the source says.
        received_at: when it came in, by the broker's clock.
    """

    report_id: str
    incident_id: str
    source: Source
    source_id: str
    message_id: str
    effect: ReportEffect
    incident_type: str
    kind: Kind
    severity_level: int | None
    resolved: bool
    latitude: float
    longitude: float
    heading: float | None
    description: str
    timestamp: str
    received_at: str


class IncidentAlert(CityAlert, frozen=True, kw_only=True):
    """An alert about an incident.

    Attributes:
        incident_id: which.
    """

    incident_id: str


encode_incident = msgspec.json.Encoder().encode
