"""``/api/admin/...``: what administrators set, one module a subject; and what runs, what was refused."""

from __future__ import annotations

from web.administration import (
    audit,
    broadcast,
    callers,
    cameras,
    corridors,
    refused,
    system,
    thresholds,
    trained_models,
    zones,
)
from web.serving.operations import Operation

__all__ = ["operations"]


def operations() -> list[Operation]:
    """What these modules answer."""
    return [
        *cameras.operations(),
        *zones.operations(),
        *corridors.operations(),
        *thresholds.operations(),
        *broadcast.operations(),
        *audit.operations(),
        *callers.operations(),
        *trained_models.operations(),
        *refused.operations(),
        *system.operations(),
    ]
