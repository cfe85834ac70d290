"""How bad an incident is: classes of severities, severities of kinds, and what either means for alerts."""

from __future__ import annotations

from models.city_alerts import AlertSeverity
from models.incidents.kinds import Kind, SeverityClass
from trafficapp.settings import IncidentSettings

#: Severity of a kind that the settings do not list, and after how long one is over: two hours.
_OTHER_LEVEL = 2
_OTHER_EXPIRY_US = 7_200_000_000

#: What is told of an incident of a class: EMERGENCY is what the contract keeps for incidents.
ALERTED: dict[SeverityClass, AlertSeverity] = {"high": "CRITICAL", "critical": "EMERGENCY"}


class Severities:
    """Classes and severities in these settings."""

    def __init__(self, settings: IncidentSettings) -> None:
        self._classes: tuple[SeverityClass, ...] = settings.severity_classes
        self._levels = settings.kind_severity
        self._expiry_us = {kind: round(minutes * 60e6) for kind, minutes in settings.expiry_minutes.items()}

    def class_of(self, level: int) -> SeverityClass:
        """The class of a severity from 1 to 5."""
        return self._classes[level - 1]

    def level_of(self, kind: Kind) -> int:
        """The severity of a kind that was reported without one."""
        return self._levels.get(kind, _OTHER_LEVEL)

    def expiry_us(self, kind: Kind) -> int:
        """After how long an incident that nobody touches is over, microseconds."""
        return self._expiry_us.get(kind, _OTHER_EXPIRY_US)
