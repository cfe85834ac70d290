"""The congestion score of a window and its level (contract, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from models.window_rows import Level

#: Weights of vehicle count, slowness and stopped share; they add up to one.
COUNT_WEIGHT, SLOWNESS_WEIGHT, STOPPED_WEIGHT = 0.4, 0.4, 0.2

SCORE_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class CongestionScale:
    """Constants of the score for one camera.

    Attributes:
        max_count: vehicles in a window that count as full.
        max_speed_kmh: speed that counts as free, km/h.
        moderate, high, severe: scores from which a level holds, ascending.
    """

    max_count: int = 50
    max_speed_kmh: float = 60.0
    moderate: float = 0.30
    high: float = 0.55
    severe: float = 0.80

    def score(self, vehicle_count: int, avg_speed_kmh: float | None, stopped_ratio: float | None) -> float | None:
        """Score a window from 0 (free) to 1 (jammed), with 4 decimals; None without any speed.

        ``0.4·min(count/max_count, 1) + 0.4·(1 − min(speed/max_speed, 1)) + 0.2·stopped_ratio``
        """
        if avg_speed_kmh is None or stopped_ratio is None:
            return None
        fullness = min(vehicle_count / self.max_count, 1.0)
        slowness = 1.0 - min(avg_speed_kmh / self.max_speed_kmh, 1.0)
        score = COUNT_WEIGHT * fullness + SLOWNESS_WEIGHT * slowness + STOPPED_WEIGHT * stopped_ratio
        return round(min(max(score, 0.0), 1.0), SCORE_DECIMALS)

    def level(self, score: float | None) -> Level:
        """Name the level of a score; UNKNOWN when there is none."""
        if score is None:
            return "UNKNOWN"
        if score >= self.severe:
            return "SEVERE"
        if score >= self.high:
            return "HIGH"
        if score >= self.moderate:
            return "MODERATE"
        return "LOW"
