"""What goes into matching and what comes out, as arrays beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trafficapp.roads.graph.road_graph import Floats, Integers


@dataclass(frozen=True, slots=True, eq=False)
class Fixes:
    """Fixes of vehicles, in the order they came.

    Attributes:
        vehicles: who; a vehicle may come more than once.
        time_us: when, microseconds since the epoch.
        lat: latitude, degrees.
        lon: longitude, degrees.
        speed_kmh: what the vehicle says of its speed; NaN for nothing.
        heading: what it says of its direction, degrees clockwise from north; NaN for nothing.
    """

    vehicles: Sequence[str]
    time_us: Integers
    lat: Floats
    lon: Floats
    speed_kmh: Floats
    heading: Floats


@dataclass(frozen=True, slots=True, eq=False)
class MatchedFixes:
    """Fixes on the road graph.

    Attributes:
        vehicles: who.
        time_us: when the fix was, microseconds since the epoch.
        edge: position of the edge in the graph; -1 where there is none.
        offset_m: how far along the edge.
        distance_m: how far the fix is from there.
        confidence: share of the probability that is on this edge, 0 to 1.
        speed_kmh: what the vehicle said; where it said nothing, its way from the match before over the time; else NaN.
    """

    vehicles: list[str]
    time_us: Integers
    edge: Integers
    offset_m: Floats
    distance_m: Floats
    confidence: Floats
    speed_kmh: Floats

    def __len__(self) -> int:
        return len(self.vehicles)


@dataclass(frozen=True, slots=True, eq=False)
class SettledFixes(MatchedFixes):
    """Fixes of which it is settled where they were, each with the one of its vehicle that was settled before.

    Attributes:
        by: position of the fix that settled it among those that were given; -1 where the vehicle's silence did.
        before_us: when the one before was, microseconds since the epoch.
        before_edge: its edge; -1 where there is none, or no way that a vehicle can have driven leads on from there.
        before_offset_m: how far along.
        way_m: from there to here, along the edges and across junctions; behind the one before it is less than 0.
    """

    by: Integers
    before_us: Integers
    before_edge: Integers
    before_offset_m: Floats
    way_m: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Advanced:
    """What follows from fixes.

    Attributes:
        now: each fix that was given where it seems to be, without knowing what comes.
        settled: fixes of which it is settled where they were, in order for each vehicle.
        wrong_ways: of vehicles that drive the wrong way for certain now: position of the fix, edge, heading in degrees.
    """

    now: MatchedFixes
    settled: SettledFixes
    wrong_ways: list[tuple[int, int, float]]
