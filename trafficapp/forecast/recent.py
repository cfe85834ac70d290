"""The last steps of all roads, as they come in. Roads may be added at any time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from trafficapp.forecast.clock import Floats
from trafficapp.forecast.history import IMPOSSIBLE_KMH

_NEVER = -(2**40)
_LEAST_ROOM = 64


#: A road's steps that something came of: number of the step since the epoch, sum of its speeds, how many they were.
RoadSteps = list[tuple[int, float, int]]


class RecentSpeeds:
    """Mean speeds of the last steps. Steps are aligned to the epoch, as in training; older ones are forgotten.

    Whoever calls has sorted out measurements from the future: one far ahead would make all others too old.
    """

    def __init__(self, road_ids: Sequence[str], step_seconds: int, steps: int) -> None:
        self.step_seconds, self.steps = step_seconds, steps
        self._place: dict[str, int] = {}
        self._road_ids: tuple[str, ...] | None = None
        # there is room for more roads than there are, so that adding one does not copy all others
        self._sums = np.zeros((steps, len(road_ids)))
        self._counts = np.zeros((steps, len(road_ids)))
        self._newest = _NEVER
        for road_id in road_ids:
            self.add(road_id)

    @property
    def road_ids(self) -> tuple[str, ...]:
        """The roads, in the order of the columns of `window`."""
        if self._road_ids is None:
            self._road_ids = tuple(self._place)
        return self._road_ids

    def add(self, road_id: str) -> None:
        """Add a road that nothing came of yet; one that is there stays as it is."""
        if road_id in self._place:
            return
        place, room = len(self._place), self._sums.shape[1]
        if place == room:
            more = np.zeros((self.steps, max(room, _LEAST_ROOM)))
            self._sums, self._counts = np.hstack([self._sums, more]), np.hstack([self._counts, more])
        self._place[road_id], self._road_ids = place, None

    def remove(self, road_ids: Collection[str]) -> None:
        """Forget roads; the others keep their order."""
        left = [(road_id, place) for road_id, place in self._place.items() if road_id not in road_ids]
        places = [place for _, place in left]
        self._sums, self._counts = self._sums[:, places], self._counts[:, places]
        self._place, self._road_ids = {road_id: place for place, (road_id, _) in enumerate(left)}, None

    def observe(self, road_id: str, time: float, speed_kmh: float) -> bool:
        """Take in a measurement; False when it is of an unknown road, too old, or no speed.

        Args:
            road_id: the road.
            time: seconds since the epoch.
            speed_kmh: its speed then.
        """
        place, step = self._place.get(road_id), int(time // self.step_seconds)
        if place is None or step <= self._newest - self.steps or not 0 <= speed_kmh <= IMPOSSIBLE_KMH:
            return False
        self._forget(step)
        self._sums[step % self.steps, place] += speed_kmh
        self._counts[step % self.steps, place] += 1
        return True

    def window(self, now: float) -> tuple[Floats, int]:
        """The steps up to the newest that has begun, shape (steps, roads), and when that one began.

        A step that nothing came of is NaN. The step of `now` itself counts only when something came of it, so that a
        feed that is due any second does not look as if it were silent.
        """
        last = int(now // self.step_seconds)
        if self._newest < last:
            last -= 1
        wanted, roads = np.arange(last - self.steps + 1, last + 1), len(self._place)
        sums, counts = self._sums[wanted % self.steps, :roads], self._counts[wanted % self.steps, :roads]
        there = (wanted <= self._newest) & (wanted > self._newest - self.steps)
        counts = np.where(there[:, None], counts, 0)
        means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
        return means.astype(np.float32), last * self.step_seconds

    def steps_of(self, road_id: str) -> RoadSteps:
        """What is kept of a road, the oldest first."""
        place = self._place[road_id]
        return [
            (step, float(self._sums[step % self.steps, place]), int(count))
            for step in range(self._newest - self.steps + 1, self._newest + 1)
            if (count := self._counts[step % self.steps, place])
        ]

    def put_back(self, road_id: str, steps: RoadSteps) -> None:
        """Add a road with what `steps_of` told of it; what is too old by now is forgotten."""
        self.add(road_id)
        for step, total, count in steps:
            if step > self._newest - self.steps:
                self._forget(step)
                self._sums[step % self.steps, self._place[road_id]] = total
                self._counts[step % self.steps, self._place[road_id]] = count

    def forget_after(self, time: float) -> None:
        """Forget steps that begin after a time: a clock was ahead, and is right again."""
        last = int(time // self.step_seconds)
        if self._newest <= last:
            return
        for step in range(max(last + 1, self._newest - self.steps + 1), self._newest + 1):
            self._sums[step % self.steps] = 0
            self._counts[step % self.steps] = 0
        self._newest = last

    def _forget(self, step: int) -> None:
        """Make room up to a step."""
        for old in range(max(self._newest + 1, step - self.steps + 1), step + 1):
            self._sums[old % self.steps] = 0
            self._counts[old % self.steps] = 0
        self._newest = max(self._newest, step)
