"""Estimation of a missing speed from the movement of a vehicle's centroid."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import TypeAlias

#: Where a vehicle was last seen: event time in microseconds, x and y in pixels.
Sighting: TypeAlias = tuple[int, float, float]

_KMH_PER_METRE_PER_MICROSECOND = 3_600_000.0


@dataclass(frozen=True, slots=True)
class SpeedEstimator:
    """Turns two sightings of a vehicle by one camera into a speed.

    Attributes:
        pixel_to_meter: metres a pixel stands for.
        forget_after_us: a sighting older than this tells nothing any more.
        max_kmh: a faster estimate is taken for a swapped identity and dropped.
    """

    pixel_to_meter: float
    forget_after_us: int
    max_kmh: float

    def estimate_kmh(self, before: Sighting | None, now: Sighting) -> float | None:
        """Speed between two sightings in km/h; None when they do not tell one."""
        if before is None:
            return None
        elapsed_us = now[0] - before[0]
        if not 0 < elapsed_us <= self.forget_after_us:
            return None
        metres = hypot(now[1] - before[1], now[2] - before[2]) * self.pixel_to_meter
        speed_kmh = metres / elapsed_us * _KMH_PER_METRE_PER_MICROSECOND
        return speed_kmh if speed_kmh <= self.max_kmh else None
