"""Measures of incidents over a span."""

from __future__ import annotations

from msgspec import Struct

from models.incidents.kinds import Kind


class IncidentMeasures(Struct, frozen=True, kw_only=True):
    """The incident clock of a kind: medians, null where no incident got so far.

    Attributes:
        kind: which.
        incidents: how many were reported, without those that were rejected.
        cleared: how many of them are over.
        reports: how many reports there were of them.
        reopened: how often one was opened again.
        detection_seconds: from happening to the first report.
        verification_seconds: from the first report to verification.
        response_seconds: from verification to response.
        clearance_seconds: from the first report to clearance.
        recovery_seconds: from clearance to normal flow.
    """

    kind: Kind
    incidents: int
    cleared: int
    reports: int
    reopened: int
    detection_seconds: float | None
    verification_seconds: float | None
    response_seconds: float | None
    clearance_seconds: float | None
    recovery_seconds: float | None
