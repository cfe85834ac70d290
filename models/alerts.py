"""Alerts: topic ``traffic.alerts``, and the bodies of ``/api/alerts/...``."""

from __future__ import annotations

import contextlib
from typing import Literal, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from models.alarms import Withheld
from models.cameras.window_rows import Level

AlertType = Literal["congestion", "stopped_traffic", "incident", "manual", "camera_silent"]
Severity = Literal["WARNING", "CRITICAL", "EMERGENCY"]
AlertAction = Literal["opened", "updated", "acknowledged", "resolved"]

SEVERITIES: tuple[str, ...] = get_args(Severity)
ALERT_TYPES: tuple[str, ...] = get_args(AlertType)

#: The largest whole number that every JSON reader keeps: 2^53 - 1.
LARGEST_ALERT_NUMBER = (1 << 53) - 1

#: The level that a severity is raised from; EMERGENCY is above all levels.
LEVEL_OF_SEVERITY: dict[Severity, Level] = {"WARNING": "HIGH", "CRITICAL": "SEVERE", "EMERGENCY": "SEVERE"}

# The first 48 bits of a UUID, and after the four that name its version five more.
_FIRST_BITS, _MORE_BITS = 48, 5
_FIRST_SHIFT = 128 - _FIRST_BITS
_MORE_SHIFT = _FIRST_SHIFT - 4 - _MORE_BITS

#: A value that a rule looked at, as it is shown to people.
RuleValue = float | int | str | None


def alert_number(alert_id: UUID | str) -> int:
    """The id of an alert as a whole number that follows from it, 0..`LARGEST_ALERT_NUMBER`.

    Raises:
        ValueError: the id is no UUID.
    """
    bits = (alert_id if isinstance(alert_id, UUID) else UUID(alert_id)).int
    return (bits >> _FIRST_SHIFT) << _MORE_BITS | bits >> _MORE_SHIFT & ((1 << _MORE_BITS) - 1)


def ids_of_number(number: int) -> tuple[UUID, UUID]:
    """The smallest and the largest UUID that may have a number: all that do lie between, among few others."""
    first = number >> _MORE_BITS << _FIRST_SHIFT
    return UUID(int=first), UUID(int=first | (1 << _FIRST_SHIFT) - 1)


class AlertComment(Struct, frozen=True, kw_only=True):
    """What somebody wrote about an alert.

    Attributes:
        id: comments of an alert are in order of it.
        commented_at: RFC 3339 UTC.
    """

    id: int
    alert_id: str
    commented_at: str
    commented_by: str
    comment: str


class AlertEvent(Struct, frozen=True, kw_only=True):
    """One step in the life of an alert, with everything known of the alert by then: topic ``traffic.alerts``.

    The same step may be sent again; it is the same then, byte for byte. A reader keeps, for each ``id``,
    the step with the largest ``revision``; ``acknowledged`` carries the revision it was given at and
    changes nothing but the fields of the acknowledgement.

    Attributes:
        id: a UUID that follows from the rule, the camera and the window that opened the alert.
        alert_number: the id as a whole number, for systems that keep no text; it follows from the id, whatever is sent.
        action: what happened.
        revision: 1 when opened, one more with every update and with the end.
        severity: never falls while the alert is open.
        camera_id: None for an alert that is about no camera.
        congestion_level, congestion_score: of the newest window that the alert is about.
        since: begin of the first window of the unbroken row that raised it.
        triggered_at: end of the window that raised it.
        updated_at: end of the window of this step; for what people do, when they did it.
        rule: the rule in words: ``congestion_level >= HIGH for 2 windows``.
        values: what the rule saw, by name with units: ``{"avg_speed_kmh": 4.2}``; ``risen_from`` in a step that raised
            the severity: what it was before.
        alarm_at: when it became an alarm that people are told of, see ``alarms.on_delay_seconds``: updated_at of the
            step that made it one. None as long as it is none; one that ends so was too short to be told. Left out by
            who does not know: an alarm from the beginning, as all were before there was a delay.
        withheld: why people are not told of it, in what the live clients hear and the API answers; left out when they
            are, and in the topic.
        acknowledged_by: the name that was told of who took it on.
        acknowledged_caller: who was authenticated when he told it; left out where it is not known.
    """

    id: str
    alert_number: int = 0
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
    alarm_at: str | None = ""
    withheld: Withheld | UnsetType = UNSET
    acknowledged_caller: str | UnsetType = UNSET
    acknowledged_by: str | None = None
    acknowledged_at: str | None = None

    @property
    def acknowledged(self) -> bool:
        """Whether somebody has taken it on."""
        return self.acknowledged_at is not None

    def __post_init__(self) -> None:
        """Number the alert; one whose id is no UUID, which whoever reads it refuses, keeps none."""
        if self.alarm_at == "":
            msgspec.structs.force_setattr(self, "alarm_at", self.triggered_at)
        with contextlib.suppress(ValueError):
            msgspec.structs.force_setattr(self, "alert_number", alert_number(self.id))

    @property
    def rises(self) -> bool:
        """Whether this step raises the severity of an alert that is open."""
        return self.action == "updated" and "risen_from" in self.values


class AlertRow(Struct, frozen=True, kw_only=True):
    """An alert in ``/api/alerts/current``, ``/active`` and ``/history``.

    Attributes:
        alert_number: the id as a whole number, at most 2^53 - 1; every path takes either.
        acknowledged: whether somebody has taken it on.
        alarm_at: when it became an alarm that people are told of; null while it is none, and of one that was over
            before. People were told then, unless it is withheld.
        withheld: why people are not told of it, such as shelved, suppressed or folded: of open alerts now, in the
            history when it was raised; left out when they are.
    """

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
    acknowledged: bool
    acknowledged_by: str | None
    acknowledged_at: str | None
    alert_number: int
    alarm_at: str | None
    withheld: Withheld | UnsetType = UNSET


class AcknowledgedAlert(AlertRow, frozen=True, kw_only=True):
    """An alert that somebody has taken on.

    Attributes:
        alert_id: its id once more.
        admin_id: who took it on: the first who did.
        status: whether this request did it.
    """

    alert_id: str
    admin_id: str
    status: Literal["acknowledged", "already_acknowledged"]


#: The columns of ``/api/alerts/export`` in their order.
EXPORTED_COLUMNS = (
    "id",
    "severity",
    "alert_type",
    "camera_id",
    "road_segment",
    "title",
    "message",
    "congestion_level",
    "congestion_score",
    "triggered_at",
    "resolved_at",
    "acknowledged_by",
    "acknowledged_at",
)


class NewAlert(Struct, frozen=True, kw_only=True):
    """Data of the event ``new_alert``: an `AlertEvent`, in words that dashboards of cameras know.

    Attributes:
        severity: the level: HIGH or SEVERE.
        alert_severity: the severity.
        score: the congestion_score.
        vehicle_count: in the window of this step; None when no window raised the alert.
        window_end: end of that window.
        alarm_at: null while people are not to be told yet: it may be over in a moment.
    """

    id: str
    alert_number: int
    action: AlertAction
    revision: int
    severity: Level
    alert_severity: Severity
    alert_type: AlertType
    camera_id: str | None
    title: str
    message: str
    congestion_level: Level | None
    congestion_score: float | None
    score: float | None
    vehicle_count: int | None
    window_end: str | None
    since: str
    triggered_at: str
    updated_at: str
    rule: str
    road_segment: str | None
    values: dict[str, RuleValue]
    resolved_at: str | None
    alarm_at: str | None
    acknowledged_by: str | None
    acknowledged_at: str | None


def new_alert(event: AlertEvent) -> NewAlert:
    """An alert as it is told as new, when it opens and when its severity rises."""
    level = event.congestion_level if event.congestion_level in ("HIGH", "SEVERE") else None
    count = event.values.get("vehicle_count")
    alike = {name: getattr(event, name) for name in NewAlert.__struct_fields__ if hasattr(event, name)}
    told: dict[str, object] = {
        "severity": level or LEVEL_OF_SEVERITY[event.severity],
        "alert_severity": event.severity,
        "score": event.congestion_score,
        "vehicle_count": count if isinstance(count, int) else None,
        "window_end": None if event.congestion_level is None else event.updated_at,
    }
    return NewAlert(**{**alike, **told})


def decode_new_alert(data: bytes | msgspec.Raw) -> AlertEvent:
    """The alert of an event ``new_alert``, as `new_alert` wrote it or an older version did.

    Raises:
        Exception: it is none: one of `models.records.MALFORMED`.
    """
    told = msgspec.json.decode(data, type=dict[str, object])
    severity = told.get("alert_severity", told.get("severity"))
    return msgspec.convert({**told, "severity": severity}, AlertEvent)


def is_about_traffic(alert: AlertEvent | AlertRow) -> bool:
    """Whether an alert counts among incidents and active alerts; a silent camera is about the data."""
    return alert.alert_type != "camera_silent"


encode_alert_event = msgspec.json.Encoder().encode
decode_alert_event = msgspec.json.Decoder(AlertEvent).decode
