"""Alerts about incidents, and their words."""

from __future__ import annotations

from models.city_alerts import AlertState, alert_id_of
from models.incidents.current import IncidentAlert
from models.timestamps import rfc3339
from trafficapp.incidents.incident import AlertMemory, IncidentMemory
from trafficapp.incidents.severity import ALERTED

ALERT_TYPE = "incident"

_BY_KIND = {
    **{"accident": "Accident", "fire": "Fire", "hazard": "Hazard on the road", "breakdown": "Broken-down vehicle"},
    **{"road_closure": "Road closed", "heavy_traffic": "Heavy traffic", "medical": "Medical emergency"},
    **{"theft": "Theft", "other": "Incident"},
}


def step_of_alert(incident: IncidentMemory) -> IncidentAlert | None:
    """The step of the alert about an incident that follows from where it stands; None when nothing is new.

    One is open while the incident is verified, going on, and of a class that is alerted.
    """
    alert = incident.alert
    if alert is None and incident.severity_class not in ALERTED:
        return None
    due = incident.verified and incident.is_open and incident.severity_class in ALERTED
    if alert is None or not alert.is_open:
        if not due:
            return None
        # reports that come at once have one time, and an alert that is over does not go on
        opened_us = incident.updated_us if alert is None else max(incident.updated_us, alert.opened_us + 1)
        incident.alert = AlertMemory(opened_us, 0, incident.severity_class)
        return _step(incident, incident.alert, "opened")
    if not due:
        alert.is_open, alert.revision = False, alert.revision + 1
        return _step(incident, alert, "resolved")
    if alert.severity_class != incident.severity_class:
        alert.severity_class, alert.revision = incident.severity_class, alert.revision + 1
        return _step(incident, alert, "updated")
    return None


def _step(incident: IncidentMemory, alert: AlertMemory, state: AlertState) -> IncidentAlert:
    opened_at, now = rfc3339(alert.opened_us), rfc3339(incident.updated_us)
    name = _BY_KIND[incident.kind]
    return IncidentAlert(
        alert_id=alert_id_of(ALERT_TYPE, incident.incident_id, alert.opened_us),
        revision=alert.revision,
        alert_type=ALERT_TYPE,
        state=state,
        severity=ALERTED[alert.severity_class],
        subject=incident.incident_id,
        title=f"{name}, road closed" if incident.closes and incident.kind != "road_closure" else name,
        message=_sentence(incident, state),
        timestamp=now,
        opened_at=opened_at,
        resolved_at=now if state == "resolved" else None,
        latitude=incident.lat,
        longitude=incident.lon,
        incident_id=incident.incident_id,
    )


def _sentence(incident: IncidentMemory, state: AlertState) -> str:
    where = f"{incident.lat:.5f}, {incident.lon:.5f}"
    many = f"{incident.reports} reports" if incident.reports > 1 else "1 report"
    told = f"{incident.words.get(incident.kind, incident.kind)} at {where}, severity {incident.level} of 5, {many}"
    if state == "resolved":
        how = "is cleared" if not incident.is_open else "is less severe"
        return f"{told}: {how}"
    return f"{told}: {incident.description}" if incident.description else told
