"""Zones on their way to the rules of vehicles: records in each partition of what these read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FenceChange:
    """A monitoring zone as somebody left it. No struct: beside it stands one that is an array, see `Fix`.

    Attributes:
        zone_id: of the zone.
        version: the larger one counts, in whatever order they come.
        name: of the zone.
        ring: closed, places as (longitude, latitude), WGS 84; None when the zone was deleted.
    """

    zone_id: int
    version: int
    name: str
    ring: list[tuple[float, float]] | None
