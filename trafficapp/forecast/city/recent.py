"""The last steps of all roads, as they come in. Roads may be added at any time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from trafficapp.forecast.clock import Floats
from trafficapp.forecast.quantities import SPEED

_NEVER = -(2**40)
_LEAST_ROOM = 64


#: A road's steps that something came of: number of the step since the epoch, sum of its speeds, how many they were.
RoadSteps = list[tuple[int, float, int]]


class RecentSpeeds:
    """Mean speeds of the last steps. Steps are aligned to the epoch, as in training; older ones are forgotten.

    What is kept of a road follows from its own measurements alone: its newest step and those before it. So one that is
    ahead of time makes no other road's speeds too old.
    """

    def __init__(self, road_ids: Sequence[str], step_seconds: int, steps: int) -> None:
        self.step_seconds, self.steps = step_seconds, steps
        self._place: dict[str, int] = {}
        self._road_ids: tuple[str, ...] | None = None
        # there is room for more roads than there are, so that adding one does not copy all others
        self._sums = np.zeros((steps, len(road_ids)))
        self._counts = np.zeros((steps, len(road_ids)))
        self._newest = np.full(len(road_ids), _NEVER)
        #: The newest step of any road.
        self._newest_of_all = _NEVER
        for road_id in road_ids:
            self.add(road_id)

    @property
    def road_ids(self) -> tuple[str, ...]:
        """The roads, in the order of the columns of `window`."""
        if self._road_ids is None:
            self._road_ids = tuple(self._place)
        return self._road_ids

    def __contains__(self, road_id: str) -> bool:
        return road_id in self._place

    def add(self, road_id: str) -> None:
        """Add a road that nothing came of yet; one that is there stays as it is."""
        if road_id in self._place:
            return
        place, room = len(self._place), self._sums.shape[1]
        if place == room:
            more = np.zeros((self.steps, max(room, _LEAST_ROOM)))
            self._sums, self._counts = np.hstack([self._sums, more]), np.hstack([self._counts, more])
            self._newest = np.concatenate([self._newest, np.full(more.shape[1], _NEVER)])
        self._place[road_id], self._road_ids = place, None

    def remove(self, road_ids: Collection[str]) -> None:
        """Forget roads; the others keep their order."""
        left = [(road_id, place) for road_id, place in self._place.items() if road_id not in road_ids]
        places = [place for _, place in left]
        self._sums, self._counts, self._newest = self._sums[:, places], self._counts[:, places], self._newest[places]
        self._place, self._road_ids = {road_id: place for place, (road_id, _) in enumerate(left)}, None
        self._newest_of_all = int(self._newest.max(initial=_NEVER))

    def observe(self, road_id: str, time: float, speed_kmh: float) -> bool:
        """Take in a measurement; False when it is of an unknown road, too old, or no speed.

        One that is too old for its road is left out. One that is only too old beside another road's is kept: the clock
        of that one may have been ahead.

        Args:
            road_id: the road.
            time: seconds since the epoch.
            speed_kmh: its speed then.
        """
        place, step = self._place.get(road_id), int(time // self.step_seconds)
        if place is None or not 0 <= speed_kmh <= SPEED.possible_to or not self._make_room(place, step):
            return False
        self._sums[step % self.steps, place] += speed_kmh
        self._counts[step % self.steps, place] += 1
        return step > self._newest_of_all - self.steps

    def window(self, now: float) -> tuple[Floats, int]:
        """The steps up to the newest that has begun, shape (steps, roads), and when that one began.

        A step that nothing came of is NaN. The step of `now` itself counts only when something came of it, so that a
        feed that is due any second does not look as if it were silent.
        """
        last, newest = int(now // self.step_seconds), self._newest[: len(self._place)]
        if self._newest_of_all < last:
            last -= 1
        wanted, roads = np.arange(last - self.steps + 1, last + 1), len(self._place)
        sums, counts = self._sums[wanted % self.steps, :roads], self._counts[wanted % self.steps, :roads]
        there = (wanted[:, None] <= newest) & (wanted[:, None] > newest - self.steps)
        counts = np.where(there, counts, 0)
        means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
        return means.astype(np.float32), last * self.step_seconds

    def steps_of(self, road_id: str) -> RoadSteps:
        """What is kept of a road, the oldest first."""
        place = self._place[road_id]
        newest = int(self._newest[place])
        counts, sums = self._counts[:, place].tolist(), self._sums[:, place].tolist()
        return [
            (step, sums[step % self.steps], int(counts[step % self.steps]))
            for step in range(newest - self.steps + 1, newest + 1)
            if counts[step % self.steps]
        ]

    def put_back(self, road_id: str, steps: RoadSteps) -> None:
        """Add a road with what `steps_of` told of it."""
        self.add(road_id)
        for step, total, count in steps:
            place = self._place[road_id]
            if self._make_room(place, step):
                self._sums[step % self.steps, place] = total
                self._counts[step % self.steps, place] = count

    def has_after(self, time: float) -> bool:
        """Whether any road has steps that begin after a time, seconds since the epoch."""
        return self._newest_of_all > int(time // self.step_seconds)

    def forget_after(self, time: float, spared: Collection[str] = ()) -> list[str]:
        """Forget steps that begin after a time: a clock was ahead, and is right again.

        Args:
            time: seconds since the epoch.
            spared: roads that keep theirs.

        Returns:
            the roads that lost some.
        """
        last = int(time // self.step_seconds)
        ahead = {int(place) for place in np.flatnonzero(self._newest[: len(self._place)] > last)}
        ahead -= {self._place[road_id] for road_id in spared}
        for place in ahead:
            newest = int(self._newest[place])
            for step in range(max(last, newest - self.steps) + 1, newest + 1):
                self._sums[step % self.steps, place] = self._counts[step % self.steps, place] = 0
            kept = [step for step in range(newest - self.steps + 1, last + 1) if self._counts[step % self.steps, place]]
            self._newest[place] = max(kept, default=_NEVER)
        self._newest_of_all = int(self._newest[: len(self._place)].max(initial=_NEVER))
        return [road_id for place, road_id in enumerate(self.road_ids) if place in ahead] if ahead else []

    def _make_room(self, place: int, step: int) -> bool:
        """Forget of a road what is too old once it has a step; False when the step itself is."""
        newest = int(self._newest[place])
        if step <= newest - self.steps:
            return False
        for old in range(max(newest, step - self.steps) + 1, step + 1):
            self._sums[old % self.steps, place] = self._counts[old % self.steps, place] = 0
        if step > newest:
            self._newest[place] = step
            self._newest_of_all = max(self._newest_of_all, step)
        return True


def remember(kept: Sequence[RecentSpeeds], road_id: str, time: float, speed_kmh: float | None) -> None:
    """Take in a measurement of a road, which may be new, everywhere; nothing of a new road stays where that fails.

    Args:
        kept: what is remembered of the same roads.
        road_id: the road.
        time: seconds since the epoch.
        speed_kmh: its speed then; None where none was measured.
    """
    new = [one for one in kept if road_id not in one]
    try:
        for one in kept:
            one.add(road_id)
        if speed_kmh is not None:
            for one in kept:
                one.observe(road_id, time, speed_kmh)
    except Exception:
        for one in new:
            one.remove({road_id})
        raise


def with_newest(
    before: tuple[tuple[int, float], ...], time_us: int, speed_kmh: float, piece_us: int
) -> tuple[tuple[int, float], ...]:
    """Speeds with a newer one; of those in the same piece of time the fastest stays."""
    if before and before[-1][0] // piece_us == time_us // piece_us:
        return before if before[-1][1] > speed_kmh else (*before[:-1], (time_us, speed_kmh))
    return (*before, (time_us, speed_kmh))
