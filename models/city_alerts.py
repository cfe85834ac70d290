"""Alerts about what feeds of the city say: surges, delays, breakdowns, weather, doubtful data.

Each step of an alert is a message: raised, changed, over. The steps of one alert have one ``alert_id`` and rising
``revision``; the newest counts.
"""

from __future__ import annotations

import uuid
from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from models.alarms import Withheld

AlertState: TypeAlias = Literal["opened", "updated", "resolved"]
AlertSeverity: TypeAlias = Literal["WARNING", "CRITICAL", "EMERGENCY"]

_NAMESPACE = uuid.UUID("5a7c1c5e-30d4-5f0e-9d1c-3a1c64a0f0b7")


class CityAlert(Struct, frozen=True, kw_only=True):
    """A step of an alert; structs of topics add what their readers need.

    Attributes:
        alert_id: of the alert, the same for all of its steps.
        revision: of the step, from 0.
        alert_type: such as ``surge``, ``delay``, ``breakdown``, ``air_quality``.
        state: what the step says.
        severity: how bad it is.
        subject: what it is about: a zone, a vehicle, a station, a device.
        title: a few words.
        message: a sentence with the numbers.
        timestamp: when the step happened, RFC 3339, event time.
        opened_at: when the alert was raised.
        resolved_at: when it was over.
        latitude: of the place, degrees WGS 84; null when it is not known.
        longitude: likewise.
        withheld: why people are not told of it; left out when they are, and in the topic.
    """

    alert_id: str
    revision: int
    alert_type: str
    state: AlertState
    severity: AlertSeverity
    subject: str
    title: str
    message: str
    timestamp: str
    opened_at: str
    resolved_at: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    withheld: Withheld | UnsetType = UNSET


def alert_id_of(alert_type: str, subject: str, opened_us: int) -> str:
    """The id of an alert: the same whoever raises it, however often.

    Args:
        alert_type: which rule.
        subject: about what.
        opened_us: event time that opened it, microseconds since the epoch.
    """
    return str(uuid.uuid5(_NAMESPACE, f"{alert_type}\0{subject}\0{opened_us}"))
