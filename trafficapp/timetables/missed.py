"""Runs that nobody serves."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct

from models.timetables.runs import RunMissed, RunName
from trafficapp.timetables.remembered import Remembered
from trafficapp.timetables.schedule import Schedule

#: Who has not begun so long after its time has missed it.
MISSED_AFTER_S = 900.0
#: Without a word of anybody for so long, the feed is silent, not the vehicles.
_FEED_SILENT_S = 600.0


class Awaited(Struct, array_like=True, frozen=True, gc=False):
    """A run that should have begun: its trip, and when it leaves and ends, seconds since the epoch."""

    trip: int
    leaves_s: int
    ends_s: int


class MissedRuns:
    """Watches over runs from a time on; those that should have begun before are not judged.

    Args:
        schedule: of the runs.
        from_s: seconds since the epoch.
    """

    def __init__(self, schedule: Schedule, from_s: float) -> None:
        self._schedule = schedule
        self.heard_s = self.judged_s = from_s
        self.waiting: Remembered[RunName, Awaited] = Remembered()
        #: When they should have left.
        self.missed: Remembered[RunName, int] = Remembered()
        blocks: dict[str, list[int]] = {}
        for index, trip in enumerate(schedule.timetable.trips):
            if trip.block_id is not None:
                blocks.setdefault(trip.block_id, []).append(index)
        self._block = {trip: set(trips) for trips in blocks.values() if len(trips) > 1 for trip in trips}

    def on(self, schedule: Schedule) -> MissedRuns:
        """The same by another timetable: of the runs that are waited for, those that it has as well."""
        found = MissedRuns(schedule, self.judged_s)
        found.heard_s, found.missed, found.waiting = self.heard_s, self.missed, self.waiting
        for name in list(found.waiting):
            run = schedule.run(name.trip_id, name.start_date, name.start_s, self.judged_s)
            if run is None:
                del found.waiting[name]
            else:
                found.waiting[name] = Awaited(run.trip, run.leaves_s, run.ends_s)
        return found

    def heard(self, at_s: float) -> None:
        """Somebody was heard of. After a silence of the feed, runs that should have begun in it are not judged."""
        if at_s - self.heard_s > _FEED_SILENT_S:
            self.judged_s = max(self.judged_s, at_s)
            self.waiting.forget_all()
        self.heard_s = max(self.heard_s, at_s)

    def begun(self, run: RunName, at_s: float) -> RunMissed | None:
        """A run has begun; if it was told missed, that is taken back."""
        self.waiting.forget(run)
        return RunMissed(run, at_s, is_over=True) if self.missed.forget(run) is not None else None

    def judge(self, now_s: float, begun: Collection[RunName], busy: Collection[int]) -> Iterator[RunMissed]:
        """Runs that are missed by now.

        Args:
            now_s: seconds since the epoch.
            begun: runs that have a vehicle.
            busy: trips that vehicles are on: who is still on another trip of its block is late, not missing.
        """
        if now_s - self.heard_s > _FEED_SILENT_S:
            return
        if now_s > self.judged_s:
            for run in self._schedule.days.between(self.judged_s, now_s + 1):
                if self.judged_s < run.leaves_s <= now_s:
                    self.waiting[RunName(*run.key)] = Awaited(run.trip, run.leaves_s, run.ends_s)
            self.judged_s = now_s
        for name, awaited in sorted(self.waiting.items(), key=_by_time):
            if name in begun:
                del self.waiting[name]
            elif now_s >= awaited.leaves_s + MISSED_AFTER_S:
                others = self._block.get(awaited.trip)
                if others is not None and now_s < awaited.ends_s and not others.isdisjoint(busy):
                    continue
                del self.waiting[name]
                self.missed[name] = awaited.leaves_s
                yield RunMissed(name, now_s)
        for name in [name for name, leaves_s in self.missed.items() if leaves_s < now_s - 86_400]:
            del self.missed[name]


def _by_time(waiting: tuple[RunName, Awaited]) -> tuple[int, RunName]:
    name, awaited = waiting
    return awaited.leaves_s, name
