"""Suspected incidents: a road that flowed, stands all of a sudden, and behind it traffic flows.

The rule (decision 0036) reads of each road that becomes jammed

* **spatial difference**: no road that one drives onto from it is slow, so it is the head of its queue. Incidents take
  capacity where they are; the California algorithms compare a station with the next one downstream for that
  (TTI report 1232-20);
* **fall**: the share of free flow that it had within minutes before its first slow observation. A queue that grows
  with demand takes longer;
* **the usual level of the hour**: the more of the last seven days it was slow at this time, the more it must have
  flowed before;
* **persistence**: that of jams, two observations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import exp
from typing import NamedTuple

from msgspec import Struct

from models.roads.congestion import SuspectedIncident
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.congestion.network import RoadLie
from trafficapp.congestion.recurrence import DAYS, days_slow
from trafficapp.congestion.slow_roads import SlowRoad
from trafficapp.settings import SuspicionSettings

#: Share of suspicions that were right, by a logistic regression on the share of free flow before and the days over the
#: 106 of a week of simulated days that had about 24 incidents each; ``make bench-incidents`` says how far it holds on
#: others. In a city with fewer incidents the share is lower.
_RIGHT_AT_HALF, _RIGHT_BY_SHARE, _RIGHT_BY_DAY = -1.8, 11.4, -0.4


class Before(NamedTuple):
    """What is known of a road before an observation.

    Attributes:
        speeds: (microseconds, km/h) of the last minutes, ascending.
        slow_days: see `trafficapp.congestion.recurrence`.
    """

    speeds: Sequence[tuple[int, float]]
    slow_days: Mapping[int, int]


class Suspicion(Struct, array_like=True, frozen=True, gc=False):
    """A suspected incident, part of the state row.

    Attributes:
        since_us: of the first slow observation.
        told_us: when it was suspected, by the clock of the log.
        flowed_share: of free flow, before.
        share: of free flow, when it was suspected.
        days: of the last seven, on which it was slow at this time.
        incident_id: of the report that it was matched to; "" while there is none.
    """

    road_id: str
    road_name: str
    latitude: float | None
    longitude: float | None
    since_us: int
    told_us: int
    flowed_share: float
    share: float
    days: int
    incident_id: str = ""
    # new fields go to the end

    @property
    def confidence(self) -> float:
        """Share of such suspicions that are incidents, 0 to 1."""
        odds = _RIGHT_AT_HALF + _RIGHT_BY_SHARE * (self.flowed_share - 0.5) + _RIGHT_BY_DAY * self.days
        return 1 / (1 + exp(-odds))


def flowed_before(settings: SuspicionSettings, before: Before, free_kmh: float, at_us: int) -> tuple[float, int]:
    """Share of free flow that a road had before an observation, and on how many of the last days it was slow then.

    Args:
        settings: how long before counts; the newest speed before counts always, for feeds that tell of a road seldom.
        before: the observation.
        free_kmh: free flow.
        at_us: when it was observed.

    Returns:
        the greatest share, 0 when nothing is known; days, 0 to 7.
    """
    earlier = [one for one in before.speeds if one[0] < at_us]
    since_us = at_us - round(settings.fall_seconds * MICROSECONDS_PER_SECOND)
    fastest = max((kmh for us, kmh in earlier if us >= since_us or us == earlier[-1][0]), default=0.0)
    return fastest / free_kmh, days_slow(before.slow_days, at_us)


def suspicion_of(
    settings: SuspicionSettings, road: SlowRoad, lie: RoadLie, next_to: Iterable[RoadLie], clock_us: int
) -> Suspicion | None:
    """Whether a road that has just become jammed is suspected.

    Args:
        settings: in numbers.
        road: which.
        lie: of it; one that the graph does not know is never suspected.
        next_to: lies of slow roads that touch it.
        clock_us: of the log.
    """
    if lie.begin < 0 or road.flowed_share < settings.flowed_share + settings.flowed_share_a_day * road.days:
        return None
    if any(other.begin == lie.end and other.end != lie.begin for other in next_to):
        return None
    return Suspicion(
        road.road_id,
        road.road_name,
        None if road.end is None else road.end[1],
        None if road.end is None else road.end[0],
        road.since_us,
        clock_us,
        round(road.flowed_share, 3),
        round(road.speed_kmh / road.free_kmh, 3),
        road.days,
    )


def document_of_suspicion(one: Suspicion) -> SuspectedIncident:
    """A suspected incident as it is told."""
    recurrent = f"slow at this time on {one.days} of the last {DAYS} days"
    return SuspectedIncident(
        road_id=one.road_id,
        road_name=one.road_name,
        latitude=one.latitude,
        longitude=one.longitude,
        since=rfc3339(one.since_us),
        suspected_at=rfc3339(one.told_us),
        state="confirmed" if one.incident_id else "unconfirmed",
        confidence=round(one.confidence, 2),
        evidence=f"{one.flowed_share:.0%} of free flow minutes ago, {one.share:.0%} now, and beyond it traffic flows; "
        + (recurrent if one.days else f"not slow at this time on any of the last {DAYS} days"),
        method="sudden_fall_at_head",
        incident_id=one.incident_id or None,
    )
