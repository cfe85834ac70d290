"""How far a vehicle has got along its route: it goes on from where it was, whatever else of the path is near.

A path may cross itself, run back along itself, or end where it begins. The nearest point of it says little then. So a
vehicle is looked for on the stretch that it can have reached since, not farther back than noise explains; what looks
like a step backwards there leaves it where it was. Only a vehicle that is nowhere near that stretch is looked for on
the whole path.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from msgspec import Struct

from trafficapp.settings.transit import TransitSettings
from trafficapp.transit.path import RoutePath

#: What a metre along the path weighs beside a metre beside it: of two branches that are about as near, the one that
#: takes less of a way is likelier, and a step back is less likely than one ahead. The whole way that can be made since
#: weighs no more than noise, so that a vehicle that made it is not held back.
_AHEAD, _BACK = 0.05, 0.2

#: Who was in the last tenth of a path and is in the first one has begun again.
_TENTH = 0.1


class Progress(Struct, array_like=True, frozen=True, gc=False):
    """Where a vehicle is on its route; part of its state row.

    Attributes:
        at_m: metres from the beginning of the path, along it; None while it has not been on it.
        rounds: how often it has begun again.
        off_m: how far beside the path it is.
    """

    at_m: float | None
    rounds: int
    off_m: float


@dataclass(frozen=True, slots=True)
class ProgressRule:
    """The rule in numbers; see the settings of the same names."""

    reach_m_per_us: float
    reach_slack_m: float
    back_m: float
    off_route_m: float
    noise_m: float

    @classmethod
    def of(cls, settings: TransitSettings) -> ProgressRule:
        """The rule of these settings."""
        return cls(
            reach_m_per_us=settings.reach_kmh / 3.6 / 1e6,
            reach_slack_m=settings.reach_slack_m,
            back_m=settings.back_m,
            off_route_m=settings.off_route_m,
            noise_m=settings.noise_m,
        )

    def follow(
        self,
        path: RoutePath,
        before: Progress | None,
        was_at: tuple[float, float] | None,
        is_at: tuple[float, float],
        elapsed_us: int,
    ) -> Progress:
        """Where a vehicle is now.

        Args:
            path: of its route.
            before: where it was; None for one that was not looked for on this path.
            was_at: its place then, latitude and longitude.
            is_at: its place now.
            elapsed_us: time between the two.
        """
        x, y = path.on_map(*is_at)
        at_m = None if before is None else before.at_m
        if before is not None and at_m is not None:
            length_m, is_closed = path.length_m, path.is_closed
            back_m = min(self.back_m, length_m / 4)
            reach_m = self.reach_slack_m + self.reach_m_per_us * elapsed_us
            if is_closed:  # no place is looked at twice
                reach_m = min(reach_m, length_m - back_m)
            ahead = min(_AHEAD, self.noise_m / reach_m) if reach_m > 0 else _AHEAD
            found = path.between(x, y, at_m - back_m, at_m + reach_m, at_m, ahead, _BACK)
            if found is not None and found.off_m <= self.off_route_m:
                on_m = found.at_m
                if on_m <= at_m:
                    return Progress(at_m, before.rounds, found.off_m)
                if on_m > length_m:
                    return Progress(on_m - length_m, before.rounds + 1, found.off_m)
                return Progress(on_m, before.rounds, found.off_m)
        return self._found_anew(path, before, was_at, (x, y))

    def _found_anew(
        self, path: RoutePath, before: Progress | None, was_at: tuple[float, float] | None, here: tuple[float, float]
    ) -> Progress:
        """Look on the whole path."""
        x, y = here
        at_m = None if before is None else before.at_m
        rounds = 0 if before is None else before.rounds
        heading = None
        if was_at is not None:
            from_x, from_y = path.on_map(*was_at)
            if hypot(x - from_x, y - from_y) > self.noise_m:
                heading = (x - from_x, y - from_y)
        found = path.anywhere(x, y, at_m or 0.0, heading, self.noise_m)
        if found.off_m > self.off_route_m:
            return Progress(at_m, rounds, found.off_m)
        tenth_m = path.length_m * _TENTH
        if at_m is not None and at_m >= path.length_m - tenth_m and found.at_m <= tenth_m:
            rounds += 1
        return Progress(found.at_m, rounds, found.off_m)
