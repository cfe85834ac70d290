"""What citizens and operators ask of the API, and what it answers."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from models.incidents.kinds import ActionWord, Kind


class ReportAccepted(Struct, frozen=True, kw_only=True):
    """A report that was taken.

    Attributes:
        report_id: of the report; an incident that it opens has the same id.
        incident_type: as it was reported.
        timestamp: when it was seen, RFC 3339.
        status: it does nothing to roads until an operator confirms it.
    """

    report_id: str
    incident_type: Kind
    timestamp: str
    status: Literal["unverified"] = "unverified"


class ActionQueued(Struct, frozen=True, kw_only=True):
    """An action that was taken.

    Attributes:
        action_id: of the action.
        incident_id: which incident.
        action: what is done about it.
        by: who.
        status: it takes effect within seconds.
    """

    action_id: str
    incident_id: str
    action: ActionWord
    by: str
    status: Literal["queued"] = "queued"
