"""Where the stops of a trip lie along its shape: in order, also where the shape crosses itself or runs back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from trafficapp.movement.distance import METRES_PER_DEGREE, metres_between

_Floats = npt.NDArray[np.float64]

#: A stop lies at a branch of the shape that is not much farther than the nearest one.
_ABOUT_AS_NEAR_M = 60.0
#: What a place weighs, metres, that lies where its time says it does not, by the whole length of the shape.
_OUT_OF_TIME_M = 40.0
#: A stop farther from its shape is not of it; gtfs-rt-validator's E028 has the same bound for vehicles.
OFF_SHAPE_M = 200.0


class Shape:
    """A shape as a line on a flat map.

    Args:
        points: latitude and longitude.
        travelled: shape_dist_traveled of each, in the feed's own unit; None without.

    Raises:
        ValueError: it has no length.
    """

    def __init__(self, points: Sequence[tuple[float, float]], travelled: Sequence[float] | None = None) -> None:
        self.points = list(points)
        steps = [metres_between(*here, *there) for here, there in pairwise(points)]
        self.along: _Floats = np.concatenate(([0.0], np.cumsum(steps)))
        if self.along[-1] <= 0:
            raise ValueError("the shape has no length")
        self._travelled = None
        if travelled is not None and travelled[-1] > travelled[0] and np.all(np.diff(travelled) >= 0):
            self._travelled = np.array(travelled)
        latitudes, longitudes = np.array(points).T
        self._scale = np.array([np.cos(np.radians(latitudes.mean())) * METRES_PER_DEGREE, METRES_PER_DEGREE])
        self._begins = np.column_stack((longitudes, latitudes)) * self._scale
        self._steps = np.diff(self._begins, axis=0)
        self._squares = np.maximum((self._steps**2).sum(axis=1), 1e-9)

    @property
    def length_m(self) -> float:
        """From its beginning to its end."""
        return float(self.along[-1])

    def by_distance(self, travelled: Sequence[float]) -> list[float] | None:
        """Metres along it of what the feed tells as shape_dist_traveled of stops; None when that is of no use."""
        if self._travelled is None or np.any(np.diff(travelled) < 0):
            return None
        if travelled[0] < self._travelled[0] or travelled[-1] > self._travelled[-1] * 1.001 + 1:
            return None
        return [float(at) for at in np.interp(travelled, self._travelled, self.along)]

    def off_m(self, place: tuple[float, float], at_m: float) -> float:
        """How far a place lies from the one at `at_m`."""
        here = [np.interp(at_m, self.along, self._begins[:, axis]) for axis in (0, 1)]
        return float(np.hypot(*(np.array(place[::-1]) * self._scale - here)))

    def placed(self, places: Sequence[tuple[float, float]], shares: Sequence[float]) -> list[float] | None:
        """Metres along it of stops, each no less than the one before, with the least distance to it altogether.

        Args:
            places: of the stops, latitude and longitude, in order.
            shares: of the trip's time at each of them; among branches about as near, it decides.

        Returns:
            None when a stop is off the shape, or there is no such order.
        """
        ways: list[tuple[_Floats, list[int]]] = []
        best_cost: _Floats = np.zeros(0)
        for place, share in zip(places, shares, strict=True):
            at, off = self._near(place)
            if not len(at):
                return None
            cost = off + _OUT_OF_TIME_M * np.abs(at / self.length_m - share)
            if not ways:
                ways.append((at, [-1] * len(at)))
                best_cost = cost
                continue
            before = ways[-1][0]
            # of all places before that are not further on, the cheapest; places are in order
            cheapest, so_far = [], 0
            for index in range(len(before)):
                so_far = index if best_cost[index] < best_cost[so_far] else so_far
                cheapest.append(so_far)
            reached = np.searchsorted(before, at + 1e-6, side="right") - 1
            chosen = [cheapest[index] if index >= 0 else -1 for index in reached]
            best_cost = np.array(
                [one + best_cost[index] if index >= 0 else np.inf for one, index in zip(cost, chosen, strict=True)]
            )
            ways.append((at, chosen))
        index = int(np.argmin(best_cost))
        if not np.isfinite(best_cost[index]):
            return None
        found = list[float]()
        for at, chosen in reversed(ways):
            found.append(float(at[index]))
            index = chosen[index]
        return found[::-1]

    def _near(self, place: tuple[float, float]) -> tuple[_Floats, _Floats]:
        """Places of the shape that are about as near as any: along it, in order, and how far away."""
        away = np.array(place[::-1]) * self._scale - self._begins[:-1]
        share = np.clip((away * self._steps).sum(axis=1) / self._squares, 0, 1)
        off = np.hypot(*(away - share[:, None] * self._steps).T)
        at = self.along[:-1] + share * np.diff(self.along)
        near = off <= min(off.min() + _ABOUT_AS_NEAR_M, OFF_SHAPE_M)
        return at[near], off[near]
