"""Runs that nobody serves."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from models.timetables.runs import RunMissed, RunName
from trafficapp.timetables.schedule import Schedule
from trafficapp.timetables.service_days import ScheduledRun

#: Who has not begun so long after its time has missed it.
MISSED_AFTER_S = 900.0
#: Without a word of anybody for so long, the feed is silent, not the vehicles.
_FEED_SILENT_S = 600.0


class MissedRuns:
    """Watches over runs from a time on; those that should have begun before are not judged.

    Args:
        schedule: of the runs.
        from_s: seconds since the epoch.
    """

    def __init__(self, schedule: Schedule, from_s: float) -> None:
        self._schedule = schedule
        self.heard_s = self.judged_s = from_s
        self.waiting: dict[RunName, ScheduledRun] = {}
        self.missed: dict[RunName, int] = {}
        blocks: dict[str, list[int]] = {}
        for index, trip in enumerate(schedule.timetable.trips):
            if trip.block_id is not None:
                blocks.setdefault(trip.block_id, []).append(index)
        self._block = {trip: set(trips) for trips in blocks.values() if len(trips) > 1 for trip in trips}

    def heard(self, at_s: float) -> None:
        """Somebody was heard of. After a silence of the feed, runs that should have begun in it are not judged."""
        if at_s - self.heard_s > _FEED_SILENT_S:
            self.judged_s = max(self.judged_s, at_s)
            self.waiting.clear()
        self.heard_s = max(self.heard_s, at_s)

    def begun(self, run: RunName, at_s: float) -> RunMissed | None:
        """A run has begun; if it was told missed, that is taken back."""
        self.waiting.pop(run, None)
        return RunMissed(run, at_s, is_over=True) if self.missed.pop(run, None) is not None else None

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
                    self.waiting[RunName(*run.key)] = run
            self.judged_s = now_s
        for name, run in list(self.waiting.items()):
            if name in begun:
                del self.waiting[name]
            elif now_s >= run.leaves_s + MISSED_AFTER_S:
                others = self._block.get(run.trip)
                if others is not None and now_s < run.ends_s and not others.isdisjoint(busy):
                    continue
                del self.waiting[name]
                self.missed[name] = run.leaves_s
                yield RunMissed(name, now_s)
        for name in [name for name, leaves_s in self.missed.items() if leaves_s < now_s - 86_400]:
            del self.missed[name]
