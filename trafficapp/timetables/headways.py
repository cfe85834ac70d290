"""Headways: what comes after what at a stop, too soon or too late, and how regular a line is."""

from __future__ import annotations

from math import sqrt

from msgspec import Struct

from models.timetables.runs import Headway, RunName
from trafficapp.timetables.remembered import Remembered

#: Below this a headway is bunched whatever the timetable says (Cal-ITP); and below this share of the scheduled one.
_BUNCHED_S, _BUNCHED_SHARE = 60.0, 0.5
#: Beyond so many scheduled headways it is a gap: a single missed run makes two, delays of both neighbours included.
_GAP_SHARE = 1.5
#: What comes later than this after another has nothing to do with it.
_FORGET_S = 4 * 3600.0


class Visit(Struct, array_like=True, frozen=True):
    """The run that came to a stop last."""

    run: RunName
    at_s: float


class Regularity(Struct, array_like=True):
    """Sums over headways of a line, for their adherence."""

    count: int = 0
    scheduled: float = 0.0
    deviations: float = 0.0
    squares: float = 0.0

    def add(self, headway_s: float, scheduled_s: float) -> None:
        """Take a headway in."""
        deviation = headway_s - scheduled_s
        self.count += 1
        self.scheduled += scheduled_s
        self.deviations += deviation
        self.squares += deviation * deviation

    def coefficient_of_variation(self) -> float | None:
        """Standard deviation of headways from the scheduled ones by the mean of these (TCQSM, 3rd ed., chapter 5).

        None before there are two.
        """
        if self.count < 2 or self.scheduled <= 0:
            return None
        mean = self.deviations / self.count
        return sqrt(max(self.squares / self.count - mean * mean, 0.0)) / (self.scheduled / self.count)


class Headways:
    """Who came to each stop last, by route, direction and stop; and how regular each line is."""

    def __init__(self) -> None:
        self.last: Remembered[tuple[str, int | None, str], Visit] = Remembered()
        self.regularity: Remembered[tuple[str, int | None], Regularity] = Remembered()

    def came(
        self, run: RunName, route_id: str, direction: int | None, stop_id: str, at_s: float, scheduled_s: int | None
    ) -> Headway | None:
        """A run has come to a stop; its headway, if there is one to speak of.

        Args:
            run: which.
            route_id: of its line.
            direction: likewise.
            stop_id: where.
            at_s: when.
            scheduled_s: the headway that the timetable has there before it; None: none.
        """
        name = route_id, direction, stop_id
        before = self.last.get(name)
        if before is None or at_s >= before.at_s:
            self.last[name] = Visit(run, at_s)
        if before is None or before.run == run or not scheduled_s:
            return None
        if at_s < before.at_s - _BUNCHED_S:
            # it is told late, as in a backlog: the one that came after it was there already
            return None
        # of two that came at about the same time the later one may be told first
        headway_s = abs(at_s - before.at_s)
        if headway_s > _FORGET_S:
            return None
        regularity = self.regularity.get((route_id, direction)) or Regularity()
        regularity.add(headway_s, scheduled_s)
        self.regularity[route_id, direction] = regularity
        is_bunched = headway_s < _BUNCHED_SHARE * scheduled_s or (headway_s < _BUNCHED_S < scheduled_s)
        kind = "bunched" if is_bunched else "gap" if headway_s > _GAP_SHARE * scheduled_s else "regular"
        return Headway(
            run,
            before.run,
            route_id,
            direction,
            stop_id,
            at_s,
            headway_s,
            scheduled_s,
            kind,  # type: ignore[arg-type]
        )
