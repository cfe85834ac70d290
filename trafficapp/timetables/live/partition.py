"""The rules of timetables: fixes of vehicles that say which trip they serve, and what follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from models.timetables.live import LiveRun, OperationAlert
from models.timetables.runs import Fix, Headway, RunEnded, RunEvent, RunMissed, StopServed
from trafficapp.feeds.rules import Told, When
from trafficapp.settings.transit import TransitSettings
from trafficapp.timetables.following import Run
from trafficapp.timetables.live.alerts import RunAlerts
from trafficapp.timetables.live.documents import ended, live_run, outcome, stop_time
from trafficapp.timetables.live.rows import changed_rows, erase, keys_of, restore
from trafficapp.timetables.live.source import TimetableSource
from trafficapp.timetables.operations import Operations
from trafficapp.timetables.schedule import Schedule
from trafficapp.timetables.storage import NoTimetable

#: A fix that came so long after its time says nothing of now; and clocks of vehicles may be ahead by so much.
_OLD_S, _AHEAD_S = 900.0, 300.0
#: Names of trips that are longer do not fit the keys of tables.
_LONGEST_ID = 256

_encode = msgspec.json.Encoder().encode


class Topics(Struct, frozen=True):
    """Where things are told: runs as they are, stops served, what became of runs, alerts."""

    live_runs: str
    stop_times: str
    outcomes: str
    alerts: str


class TimetablesPartition:
    """All runs of a city. Without a timetable, fixes are counted and lead to nothing.

    Time is that of the broker: runs are missed by what was read of all partitions, so an outage makes none miss.

    Args:
        settings: about transit.
        source: of the timetable; when another one lies there, it is taken up with a tick.
        topics: where to tell.
        rows: what was to be remembered.
    """

    def __init__(
        self, settings: TransitSettings, source: TimetableSource, topics: Topics, rows: Mapping[bytes, bytes]
    ) -> None:
        self._settings, self._source, self._topics = settings, source, topics
        self._ahead_s = settings.arrivals_ahead_minutes * 60
        self._counts: Counter[str] = Counter()
        self._read_us: list[int] = []
        self._now_us = 0
        self._rows = dict(rows)
        self._erased_keys: list[bytes] = []
        self._operations: Operations | None = None
        self._alerts: RunAlerts | None = None
        #: Told when the first timetable, or another one, was taken up.
        self._pending: list[Told] = []
        self._look()

    def _look(self) -> None:
        """Take up the timetable that is there now, if it is another one."""
        try:
            schedule = self._source.schedule()
        except NoTimetable:
            return
        operations, alerts = self._operations, self._alerts
        if operations is None or alerts is None:
            self._begin(schedule)
        elif schedule.timetable.version != operations.schedule.timetable.version:
            self._exchange(operations, alerts, schedule)

    def _begin(self, schedule: Schedule) -> None:
        operations = self._operations = Operations(schedule.timetable, self._settings, 0.0, schedule)
        alerts = self._alerts = RunAlerts(schedule)
        city = restore(operations, alerts, self._rows)
        self._rows.clear()
        if city is None:
            return
        self._read_us, self._now_us = city.read_us, min(city.read_us, default=0)
        if city.version != schedule.timetable.version:
            self._exchange(operations, alerts, schedule)

    def _exchange(self, operations: Operations, alerts: RunAlerts, schedule: Schedule) -> None:
        self._pending += self._told_alerts(alerts.close_all(self._now_us / 1e6))
        operations.exchange(schedule)
        alerts.schedule = schedule

    def _take_pending(self) -> list[Told]:
        pending, self._pending = self._pending, []
        return pending

    def apply(self, message: Fix, when: When) -> Iterable[Told]:
        """Take a fix in; what follows from it, in order."""
        operations, told = self._operations, self._take_pending()
        at_s, record_s = message.time_us / 1e6, when.record_us / 1e6
        if operations is None:
            self._counts["no_timetable"] += 1
            return told
        if at_s < record_s - _OLD_S or at_s > record_s + _AHEAD_S:
            self._counts["old" if at_s < record_s else "ahead"] += 1
            return told
        known = operations.runs.get(message.vehicle_id)
        events = list(operations.fix(message, record_s))
        told += self._tell(events, record_s)
        run = operations.runs.get(message.vehicle_id)
        # else nothing is known of its run, or the fix is doubted
        if run is not None and run.at_s == at_s:
            is_due = run.at_s - run.told_s >= self._settings.runs_told_seconds
            if run is not known or events or is_due:
                run.told_s = run.at_s
                told.append(self._told_run(self._shown(run)))
        return told

    def tick(self, clock_us: int) -> Iterable[Told]:
        """Silence is measured by `read`."""
        return ()

    def read(self, feed: str, partition: int, partitions: int, time_us: int) -> Iterable[Told]:
        """Of a partition of vehicles' places, all was read that had come by a time; what follows, in order."""
        times = self._read_us
        times += [0] * (partitions - len(times))
        times[partition] = max(times[partition], time_us)
        if (now_us := min(times)) <= self._now_us:
            return ()
        self._now_us, now_s = now_us, now_us / 1e6
        self._look()
        told = self._take_pending()
        operations, alerts = self._operations, self._alerts
        if operations is None or alerts is None:
            return told
        before = dict(operations.runs)
        told += self._tell(operations.tick(now_s), now_s)
        told += self._told_alerts(alerts.tick(now_s))
        for vehicle_id in sorted(before.keys() - operations.runs.keys()):
            told.append(self._told_run(ended(self._shown(before[vehicle_id]))))
        return told

    def changed_rows(self) -> Iterable[tuple[bytes, bytes | None]]:
        """What is to be remembered of all that changed since the last call."""
        erased, self._erased_keys = [(key, None) for key in self._erased_keys], []
        if self._operations is None or self._alerts is None:
            return erased
        return [*erased, *changed_rows(self._operations, self._alerts, self._read_us)]

    def erase(self, vehicle_ids: Collection[str]) -> Iterable[Told]:
        """See `trafficapp.feeds.rules.ErasingRules`; a run goes on without its vehicle, and is not missed for that."""
        if self._operations is not None and self._alerts is not None:
            erase(self._operations, self._alerts, vehicle_ids)
        else:
            for key in keys_of(self._rows, vehicle_ids):
                del self._rows[key]
                self._erased_keys.append(key)
        return ()

    def take_counts(self) -> Mapping[str, int]:
        """Fixes that said nothing of a run, by why."""
        counts, self._counts = self._counts, Counter()
        if self._operations is not None:
            counts.update(self._operations.left_out)
            self._operations.left_out.clear()
        return counts

    def _tell(self, events: Iterable[RunEvent], now_s: float) -> Iterator[Told]:
        """What is told of events; of a stop that is served together with the headway there."""
        operations, alerts = self._operations, self._alerts
        assert operations is not None  # noqa: S101 - whoever calls has looked
        assert alerts is not None  # noqa: S101
        served: StopServed | None = None
        for event in events:
            headway = event if isinstance(event, Headway) else None
            if served is not None:
                yield self._told_stop(served, headway)
                served = None
            if len(event.run.trip_id) > _LONGEST_ID:
                continue
            if isinstance(event, StopServed):
                served = event
            elif isinstance(event, RunMissed | RunEnded):
                became = outcome(operations.schedule, event, now_s)
                if became is not None:
                    yield Told(self._topics.outcomes, became.trip_id.encode(), _encode(became))
            vehicle_id = getattr(event, "vehicle_id", None)
            run = operations.runs.get(vehicle_id) if vehicle_id is not None else None
            yield from self._told_alerts(alerts.take(event, None if run is None else run.place))
        if served is not None:
            yield self._told_stop(served, None)

    def _told_stop(self, served: StopServed, headway: Headway | None) -> Told:
        assert self._operations is not None  # noqa: S101
        stop = stop_time(self._operations.schedule, served, headway)
        return Told(self._topics.stop_times, stop.trip_id.encode(), _encode(stop))

    def _told_alerts(self, steps: Iterable[OperationAlert]) -> list[Told]:
        return [Told(self._topics.alerts, step.route_id.encode(), _encode(step)) for step in steps]

    def _shown(self, run: Run) -> LiveRun:
        assert self._operations is not None  # noqa: S101
        return live_run(self._operations, run, run.at_s, self._ahead_s)

    def _told_run(self, run: LiveRun) -> Told:
        return Told(self._topics.live_runs, run.vehicle_id.encode(), _encode(run))
