"""The last steps of all roads, as they come in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trafficapp.forecast.clock import Floats
from trafficapp.forecast.history import IMPOSSIBLE_KMH


class RecentSpeeds:
    """Mean speeds of the last steps. Steps are aligned to the epoch, as in training; older ones are forgotten.

    Whoever calls has sorted out measurements from the future: one far ahead would make all others too old.
    """

    def __init__(self, road_ids: Sequence[str], step_seconds: int, steps: int) -> None:
        self.road_ids = tuple(road_ids)
        self.step_seconds, self.steps = step_seconds, steps
        self._place = {road: index for index, road in enumerate(self.road_ids)}
        self._sums = np.zeros((steps, len(self.road_ids)))
        self._counts = np.zeros((steps, len(self.road_ids)))
        self._newest = -(2**40)

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
        wanted = np.arange(last - self.steps + 1, last + 1)
        sums, counts = self._sums[wanted % self.steps], self._counts[wanted % self.steps]
        there = (wanted <= self._newest) & (wanted > self._newest - self.steps)
        counts = np.where(there[:, None], counts, 0)
        means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
        return means.astype(np.float32), last * self.step_seconds

    def _forget(self, step: int) -> None:
        """Make room up to a step."""
        for old in range(max(self._newest + 1, step - self.steps + 1), step + 1):
            self._sums[old % self.steps] = 0
            self._counts[old % self.steps] = 0
        self._newest = max(self._newest, step)
