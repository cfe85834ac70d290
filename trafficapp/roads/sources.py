"""Who says how fast a road is: the road-speed feed, or vehicles that were matched here. One of the two at a time.

Both measure the same traffic, so their speeds are never put together. The one that is believed more is used, and it
stays so until the other is believed clearly more or it falls silent itself: nothing changes to and fro.
"""

from __future__ import annotations

from msgspec import Struct

from models.roads.current import RoadObservation

#: The other one is believed clearly more when it is by so much.
_CLEARLY = 0.1
#: One that says nothing for so long has fallen silent: a feed speaks every five minutes at the latest, vehicles each
#: minute in which enough of them drive there.
_SILENT_US = {False: 600_000_000, True: 180_000_000}
#: What closes a road is believed most.
_CLOSED = 2.0


class InUse(Struct, array_like=True, frozen=True, gc=False):
    """The newest speed of a road that was used.

    Attributes:
        by_vehicles: it is one of matched vehicles.
        time_us: when it was measured, microseconds since the epoch.
        credibility: 0 of a speed that nobody measured, up to 1; more of a closed road.
    """

    by_vehicles: bool
    time_us: int
    credibility: float

    @classmethod
    def of(cls, observation: RoadObservation, time_us: int) -> InUse:
        """What an observation says. Who measures and tells no confidence is believed."""
        if observation.vehicles is not None:
            return cls(True, time_us, observation.credibility or 0.0)
        if observation.closed:
            return cls(False, time_us, _CLOSED)
        confidence = 1.0 if observation.confidence is None else observation.confidence
        return cls(False, time_us, confidence if observation.is_measured else 0.0)

    def gives_way(self, other: InUse, closed_us: int) -> bool:
        """Whether another speed of the road is used after this one.

        Args:
            other: the other speed.
            closed_us: so long a road is closed that nothing more was said of.
        """
        if other.by_vehicles == self.by_vehicles or other.credibility > self.credibility + _CLEARLY:
            return True
        silent_us = closed_us if self.credibility == _CLOSED else _SILENT_US[self.by_vehicles]
        return other.time_us - self.time_us > silent_us

    def followed_by(self, other: InUse) -> InUse:
        """The newer of the two, where both are used."""
        return self if self.by_vehicles == other.by_vehicles and self.time_us > other.time_us else other
