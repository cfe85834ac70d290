"""Alarm management over HTTP."""

from __future__ import annotations

from web.alarms import handover, performance, shelves
from web.serving.operations import Operation


def operations() -> list[Operation]:
    """What this room answers."""
    return [*performance.operations(), *shelves.operations(), *handover.operations()]
