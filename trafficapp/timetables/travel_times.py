"""How long vehicles take from stop to stop, and wait there: as scheduled, as usual at this hour, as just now."""

from __future__ import annotations

from math import exp, log
from typing import NamedTuple

from msgspec import Struct, field

from trafficapp.timetables.remembered import Remembered

#: What the timetable counts for, in observations; and what all hours of a segment count for beside the one of now.
_SCHEDULE_COUNTS, _ALL_HOURS_COUNT = 0.5, 2.0
#: Means follow the newest so many observations.
_REMEMBERED = 40.0
#: What was observed so long ago counts a third of what is observed now.
_RECENT_S = 2400.0
#: What the usual time counts for beside recent observations, and at most so many of these are kept.
_USUAL_COUNTS, _MOST_RECENT = 1.0, 4
#: What "as usual" counts for beside all recent observations everywhere.
_EVERYWHERE_COUNTS = 10.0
#: A segment that takes longer than this times its usual time stands for a breakdown, not for traffic.
_MOST_RATIO = 4.0
#: Spread of a segment's time, as a share of it, before anything is known.
_FIRST_SPREAD = 0.3
#: Waiting at a stop that nothing is known of.
_FIRST_DWELL_S = 12.0
_SHORTEST_S = 1.0


class Mean(Struct, array_like=True):
    """A mean that forgets slowly."""

    count: float = 0.0
    value: float = 0.0

    def add(self, value: float) -> None:
        """Take an observation in."""
        self.count = min(self.count + 1, _REMEMBERED)
        self.value += (value - self.value) / self.count

    def with_prior(self, prior: float, counts: float) -> float:
        """The mean, with a value before all observations that counts as so many of them."""
        return (self.count * self.value + counts * prior) / (self.count + counts)


class Segment(Struct, array_like=True):
    """What was observed from one stop to the next.

    Attributes:
        usual: seconds.
        by_hour: seconds by the hour of the local day.
        spread: squares of the logarithm of observed by expected.
        recent: the newest observations: when, and the logarithm of observed by usual.
    """

    usual: Mean = field(default_factory=Mean)
    by_hour: dict[int, Mean] = field(default_factory=dict)
    spread: Mean = field(default_factory=Mean)
    recent: list[tuple[float, float]] = field(default_factory=list)

    def usual_s(self, scheduled_s: float, hour: int) -> float:
        """What it takes at this hour."""
        overall = self.usual.with_prior(scheduled_s, _SCHEDULE_COUNTS)
        at_hour = self.by_hour.get(hour)
        return max(overall if at_hour is None else at_hour.with_prior(overall, _ALL_HOURS_COUNT), _SHORTEST_S)

    def lately(self, now_s: float, everywhere: float) -> float:
        """By how much it takes longer than usual just now, as a logarithm, where everywhere else it is so much."""
        total, weights = _USUAL_COUNTS * everywhere, _USUAL_COUNTS
        for at_s, ratio in self.recent:
            weight = exp(-max(now_s - at_s, 0.0) / _RECENT_S)
            total, weights = total + weight * ratio, weights + weight
        return total / weights


class Lately(Struct, array_like=True):
    """By how much everything takes longer than usual just now, as a logarithm."""

    total: float = 0.0
    weights: float = 0.0
    at_s: float = 0.0

    def at(self, now_s: float) -> float:
        """What it is at a time; beside nothing observed for long it is 0."""
        fade = exp(-max(now_s - self.at_s, 0.0) / _RECENT_S)
        return fade * self.total / (fade * self.weights + _EVERYWHERE_COUNTS)

    def add(self, now_s: float, ratio: float) -> None:
        """Take an observation in."""
        fade = exp(-max(now_s - self.at_s, 0.0) / _RECENT_S)
        self.total, self.weights = fade * self.total + ratio, fade * self.weights + 1
        self.at_s = max(self.at_s, now_s)


class Expected(NamedTuple):
    """What a segment takes: seconds, and variance of the logarithm."""

    seconds: float
    variance: float


class TravelTimes:
    """All segments and stops of a city. A segment is named by its two stops, whatever line goes there."""

    def __init__(self) -> None:
        self.segments: Remembered[tuple[str, str], Segment] = Remembered()
        self.dwells: Remembered[str, Mean] = Remembered()
        #: Squares of the logarithm of observed by expected, everywhere.
        self.spread = Mean()
        #: By how much everything takes longer than usual just now.
        self.everywhere = Lately()

    def expected(self, name: tuple[str, str], scheduled_s: float, hour: int, now_s: float) -> Expected:
        """What a segment takes for who sets out soon.

        Args:
            name: ids of its two stops.
            scheduled_s: what the timetable has.
            hour: of the local day.
            now_s: seconds since the epoch.
        """
        everywhere = self.spread.with_prior(_FIRST_SPREAD**2, 5.0)
        segment = self.segments.get(name)
        if segment is None:
            return Expected(max(scheduled_s, _SHORTEST_S) * exp(self.everywhere.at(now_s)), everywhere)
        seconds = segment.usual_s(scheduled_s, hour) * exp(segment.lately(now_s, self.everywhere.at(now_s)))
        return Expected(seconds, segment.spread.with_prior(everywhere, 5.0))

    def observe(self, name: tuple[str, str], scheduled_s: float, hour: int, now_s: float, seconds: float) -> float:
        """Take in what a vehicle took; the logarithm of that by what was expected."""
        segment = self.segments.get(name)
        if segment is None:
            segment = self.segments[name] = Segment()
        usual_s = segment.usual_s(scheduled_s, hour)
        expected_s = usual_s * exp(segment.lately(now_s, self.everywhere.at(now_s)))
        seconds = max(seconds, _SHORTEST_S)
        if seconds > _MOST_RATIO * usual_s + 120:
            return 0.0
        surprise = log(seconds / expected_s)
        self.segments.touch(name)
        segment.spread.add(surprise * surprise)
        self.spread.add(surprise * surprise)
        segment.usual.add(seconds)
        segment.by_hour.setdefault(hour, Mean()).add(seconds)
        self.everywhere.add(now_s, log(seconds / usual_s))
        segment.recent = [*segment.recent[1 - _MOST_RECENT :], (now_s, log(seconds / usual_s))]
        return surprise

    def dwell_s(self, stop_id: str, scheduled_s: float) -> float:
        """How long vehicles stay at a stop that nobody makes them wait at."""
        dwell = self.dwells.get(stop_id)
        prior_s = min(scheduled_s, _FIRST_DWELL_S) if scheduled_s else _FIRST_DWELL_S / 2
        return prior_s if dwell is None else dwell.with_prior(prior_s, _SCHEDULE_COUNTS)

    def observe_dwell(self, stop_id: str, seconds: float) -> None:
        """Take in how long a vehicle stayed that did not wait for its time."""
        dwell = self.dwells.get(stop_id) or Mean()
        dwell.add(min(seconds, 180.0))
        self.dwells[stop_id] = dwell
