"""Alerts: topic ``traffic.alerts``, and the bodies of ``/api/alerts/...``."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from models.window_rows import Level

AlertType = Literal["congestion", "stopped_traffic", "incident", "manual", "camera_silent"]
Severity = Literal["WARNING", "CRITICAL", "EMERGENCY"]
AlertAction = Literal["opened", "updated", "acknowledged", "resolved"]

#: A value that a rule looked at, as it is shown to people.
RuleValue = float | int | str | None


class AlertEvent(Struct, frozen=True, kw_only=True):
    """One step in the life of an alert, with everything known of the alert by then: topic ``traffic.alerts``.

    The same step may be sent again; it is the same then, byte for byte. A reader keeps, for each ``id``,
    the step with the largest ``revision``; ``acknowledged`` carries the revision it was given at and
    changes nothing but the two fields of the acknowledgement.

    Attributes:
        id: a UUID that follows from the rule, the camera and the window that opened the alert.
        action: what happened.
        revision: 1 when opened, one more with every update and with the end.
        severity: never falls while the alert is open.
        camera_id: None for an alert that is about no camera.
        congestion_level, congestion_score: of the newest window that the alert is about.
        since: begin of the first window of the unbroken row that raised it.
        triggered_at: end of the window that raised it.
        updated_at: end of the window of this step; for what people do, when they did it.
        rule: the rule in words: ``congestion_level >= HIGH for 2 windows``.
        values: what the rule saw, by name with units: ``{"avg_speed_kmh": 4.2}``.
    """

    id: str
    action: AlertAction
    revision: int
    severity: Severity
    alert_type: AlertType
    camera_id: str | None
    title: str
    message: str
    congestion_level: Level | None
    congestion_score: float | None
    since: str
    triggered_at: str
    updated_at: str
    rule: str
    road_segment: str | None = None
    values: dict[str, RuleValue] = {}
    resolved_at: str | None = None
    acknowledged_by: str | None = None
    acknowledged_at: str | None = None


class AlertRow(Struct, frozen=True, kw_only=True):
    """An alert in ``/api/alerts/current``, ``/history`` and, with these columns in this order, ``/export``."""

    id: str
    severity: Severity
    alert_type: AlertType
    camera_id: str | None
    road_segment: str | None
    title: str
    message: str
    congestion_level: Level | None
    congestion_score: float | None
    triggered_at: str
    resolved_at: str | None
    acknowledged_by: str | None
    acknowledged_at: str | None


def is_about_traffic(alert: AlertEvent | AlertRow) -> bool:
    """Whether an alert counts among incidents and active alerts; a silent camera is about the data."""
    return alert.alert_type != "camera_silent"


encode_alert_event = msgspec.json.Encoder().encode
decode_alert_event = msgspec.json.Decoder(AlertEvent).decode
