"""What each vehicle drives edge by edge, told once it is on the next edge.

A vehicle that stands says nothing before it drives on: in traffic it does so within minutes, and what stands for longer
is parked. So nobody who parks, or whose engine is off, makes a road look jammed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec import Struct

from trafficapp.matching.stretches import Stretch
from trafficapp.settings import FleetSettings

#: On long edges and in jams a part is told after so long.
_PART_SECONDS = 60.0
#: What drove less of an edge than this share, and less than it takes not to stand, has but touched it.
_LEAST_SHARE = 0.5

#: Kinds of vehicles, by words of trackers in small letters, that stop where traffic does not.
_BUSES = frozenset({"bus", "coach", "minibus", "trolleybus", "school bus"})
#: And those that pass standing traffic, or drive elsewhere: they say nothing of a road's speed.
_NO_TRAFFIC = frozenset({"bicycle", "bike", "e-bike", "scooter", "motorcycle", "motorbike", "moped", "pedestrian"})
_NO_TRAFFIC |= {"tram", "train", "ship", "ferry"}
#: And those that many roads let through against the direction of all others, beside buses and bicycles.
_EXEMPT = frozenset({"taxi", "cab", "ambulance", "police", "police car", "fire", "fire truck", "fire engine"})
_EXEMPT |= {"emergency", "emergency vehicle"}


class Driving(Struct, array_like=True, gc=False):
    """What is remembered of a vehicle on its edge; part of its state row.

    Attributes:
        ahead_us: how far its clock was ahead of the broker's at its newest fix.
        edge: position of the edge; -1 where none is known.
        told_m: metres driven on it that are told.
        metres: those that are not.
        seconds: they took.
        stood_at: of these metres, where it moved last.
        stood_seconds: it has been standing there.
        parked: it stood for too long: what it drove on this edge says nothing.
        is_bus: it stops where traffic does not, so it is not told how long it stands.
        is_traffic: it says something of the speed of a road.
    """

    ahead_us: int = 0
    edge: int = -1
    told_m: float = 0.0
    metres: float = 0.0
    seconds: float = 0.0
    stood_at: float = 0.0
    stood_seconds: float = 0.0
    parked: bool = False
    is_bus: bool = False
    is_traffic: bool = True
    # new fields go to the end

    def enter(self, edge: int) -> None:
        """Go on to another edge, or to an unknown place."""
        self.edge, self.told_m, self.metres, self.seconds = edge, 0.0, 0.0, 0.0
        self.stood_at, self.stood_seconds, self.parked = 0.0, 0.0, False

    def tell(self) -> Stretch:
        """All that is not told."""
        told = Stretch(self.edge, max(self.metres, 0.0), self.seconds)
        self.told_m += self.metres
        self.metres = self.seconds = self.stood_at = self.stood_seconds = 0.0
        return told


@dataclass(frozen=True, slots=True)
class TravelRule:
    """The rule in numbers.

    Attributes:
        standing_m: a vehicle stands while it gets no farther than this.
        parked_seconds: one that stands for so long is parked.
        moving_kmh: slower is standing, too, for vehicles that stop where traffic does not.
    """

    standing_m: float
    parked_seconds: float
    moving_kmh: float

    @classmethod
    def of(cls, settings: FleetSettings) -> TravelRule:
        """The rule of these settings: standing is what ends trips."""
        return cls(settings.standing_m, settings.trip_stand_seconds, settings.moving_kmh)

    def drive(self, driving: Driving, stretches: Sequence[Stretch], lengths_m: Sequence[float]) -> Iterator[Stretch]:
        """Take in what a vehicle drove between two fixes; what is to be told.

        Args:
            driving: what is remembered of it; changed.
            stretches: in order; none where it is not known how it came to where it is.
            lengths_m: of all edges.
        """
        if not stretches:
            driving.enter(-1)
        for edge, metres, seconds in stretches:
            if edge != driving.edge:
                if driving.edge >= 0 and self._says_something(driving, lengths_m[driving.edge]):
                    yield driving.tell()
                driving.enter(edge)
            if driving.is_bus and metres * 3.6 < self.moving_kmh * seconds:
                continue
            driving.metres += metres
            driving.seconds += seconds
            if abs(driving.metres - driving.stood_at) <= self.standing_m:
                driving.stood_seconds += seconds
                driving.parked |= driving.stood_seconds >= self.parked_seconds
            else:
                driving.stood_at, driving.stood_seconds = driving.metres, 0.0
                if driving.seconds >= _PART_SECONDS and not driving.parked:
                    yield driving.tell()

    def _says_something(self, driving: Driving, length_m: float) -> bool:
        """Whether a vehicle that leaves its edge drove on it, and nothing else."""
        least_m = min(self.standing_m, _LEAST_SHARE * length_m)
        return driving.seconds > 0 and not driving.parked and driving.told_m + driving.metres >= least_m


def is_bus(vehicle_type: str | None) -> bool:
    """Whether vehicles that a tracker calls so stop where traffic does not."""
    return vehicle_type is not None and vehicle_type.lower() in _BUSES


def is_traffic(vehicle_type: str | None) -> bool:
    """Whether vehicles that a tracker calls so say something of the speed of a road; all but those that are known."""
    return vehicle_type is None or vehicle_type.lower() not in _NO_TRAFFIC


def may_drive_against(vehicle_type: str | None) -> bool:
    """Whether vehicles that a tracker calls so may drive against one-way roads where others must not."""
    return vehicle_type is not None and vehicle_type.lower() in _BUSES | _NO_TRAFFIC | _EXEMPT
