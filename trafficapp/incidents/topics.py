"""Names of the topics that tell of incidents."""

from __future__ import annotations

#: Every step of an incident; the key is the incident_id.
INCIDENTS = "incidents"

#: Every report, with the incident that it is of.
REPORTS = "incident_reports"

#: Alerts about verified incidents that are bad.
ALERTS = "incident_alerts"
