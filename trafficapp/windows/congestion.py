"""The congestion score of a window and its level, as docs/numbers.md has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from models.administration.thresholds import Thresholds
from models.cameras.window_rows import Level

#: Weights of vehicle count, slowness and stopped share; they add up to one.
COUNT_WEIGHT, SLOWNESS_WEIGHT, STOPPED_WEIGHT = 0.4, 0.4, 0.2

SCORE_DECIMALS = 4

#: Changes of the boundaries that are kept. Windows that are still open when as many changes have come, each for a
#: later window than the one before, take the oldest that is left.
MAX_CHANGES = 64


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
        # comparisons take a third of the time that `min` does, and each row comes by here
        fullness, freedom = vehicle_count / self.max_count, avg_speed_kmh / self.max_speed_kmh
        score = (
            COUNT_WEIGHT * (fullness if fullness < 1.0 else 1.0)
            + SLOWNESS_WEIGHT * (1.0 - freedom if freedom < 1.0 else 0.0)
            + STOPPED_WEIGHT * stopped_ratio
        )
        return round(score if 0.0 < score < 1.0 else float(score >= 1.0), SCORE_DECIMALS)

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

    def at(self, start_us: int, changes: Sequence[Thresholds]) -> CongestionScale:
        """The scale of a window that begins at a time: boundaries may change while the application runs.

        Of the changes in force by then the one with the largest version holds, whatever order they came in.
        """
        newest = max((c for c in changes if c.effective_from_us <= start_us), key=lambda c: c.version, default=None)
        if newest is None:
            return self
        return replace(self, moderate=newest.moderate, high=newest.high, severe=newest.severe)


def with_change(changes: Iterable[Thresholds], change: Thresholds) -> list[Thresholds]:
    """Add a change of the boundaries to those that are known, oldest first; one of a known version adds nothing.

    A change that no window can take any more, since a newer one holds for all its windows, is dropped, and so
    are the oldest beyond `MAX_CHANGES`.
    """
    by_version = {change.version: change} | {known.version: known for known in changes}
    kept: list[Thresholds] = []
    for version in sorted(by_version, reverse=True):
        if not kept or by_version[version].effective_from_us < kept[-1].effective_from_us:
            kept.append(by_version[version])
    return kept[MAX_CHANGES - 1 :: -1]
