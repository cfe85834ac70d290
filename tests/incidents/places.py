"""Incidents where a test wants them."""

from __future__ import annotations

from typing import Any

import msgspec

from models.incidents.current import Incident
from trafficapp.incidents.feeds import INCIDENT_STEPS


def incident(incident_id: str = "i", **changes: Any) -> Incident:
    """A verified accident of high severity."""
    told = {"timestamp": "2026-01-14T12:00:00Z"} | {"incident_id": incident_id} | changes
    return msgspec.structs.replace(INCIDENT_STEPS.sample, **told)
