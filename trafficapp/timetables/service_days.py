"""Which runs there are, and when: service days in the agency's zone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from models.timetables.timetable import Service, Timetable

_DAY_S = 86_400
#: Where clocks are changed, a service day begins up to so long before or after midnight.
_CHANGE_S = 2 * 3600


class RunKey(NamedTuple):
    """Names a run among all: GTFS Realtime's trip_id, start_date (as YYYYMMDD), and start_time for frequencies alone.

    `start_s` is seconds of the service day; 0 for a trip that runs once a day.
    """

    trip_id: str
    start_date: str
    start_s: int = 0


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """A trip on a day.

    Attributes:
        key: names it.
        trip: of the timetable's trips.
        leaves_s: when it leaves its first stop, seconds since the epoch.
        ends_s: when it reaches its last one.
    """

    key: RunKey
    trip: int
    leaves_s: int
    ends_s: int


@lru_cache(maxsize=4096)
def day_begin_s(zone: str, day: date) -> int:
    """When a service day begins, seconds since the epoch: noon minus twelve hours (GTFS reference, "Time")."""
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone)).timestamp()) - _DAY_S // 2


def runs_on(service: Service, day: int) -> bool:
    """Whether a service runs on a day, told as its ordinal."""
    if day in service.added:
        return True
    if day in service.removed or not service.first <= day <= service.last:
        return False
    return bool(service.weekdays >> (day - 1) % 7 & 1)


class ServiceDays:
    """The runs of a timetable by day.

    Args:
        timetable: whose.
    """

    def __init__(self, timetable: Timetable) -> None:
        self._timetable = timetable
        self._zone = ZoneInfo(timetable.zone)
        self._by_service: dict[int, list[int]] = defaultdict(list)
        for index, trip in enumerate(timetable.trips):
            self._by_service[trip.service].append(index)
        self._frequencies: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for one in timetable.frequencies:
            self._frequencies[one.trip].append((one.from_s, one.until_s, one.headway_s))
        self._days: dict[date, list[ScheduledRun]] = {}
        self._of_trip = lru_cache(8192)(self._found_of_trip)
        ends = (self._lasts_s(index) + self._latest_start_s(index) for index in range(len(timetable.trips)))
        #: Days before today that may still run.
        self._back = max(ends, default=0) // _DAY_S + 1

    def _lasts_s(self, trip: int) -> int:
        return self._timetable.profiles[self._timetable.trips[trip].profile].arrivals[-1]

    def _latest_start_s(self, trip: int) -> int:
        spans = self._frequencies.get(trip)
        return max(until for _, until, _ in spans) if spans else self._timetable.trips[trip].leaves_s

    def of(self, day: date) -> list[ScheduledRun]:
        """All runs of a service day, by when they leave."""
        found = self._days.get(day)
        if found is None:
            if len(self._days) > 16:
                self._days.clear()
            found = self._days[day] = sorted(self._made(day), key=lambda run: (run.leaves_s, run.key))
        return found

    def _made(self, day: date) -> Iterator[ScheduledRun]:
        begin_s, number, name = day_begin_s(self._timetable.zone, day), day.toordinal(), f"{day:%Y%m%d}"
        for index, service in enumerate(self._timetable.services):
            if not runs_on(service, number):
                continue
            for trip_index in self._by_service[index]:
                yield from self._runs_of(trip_index, begin_s, name)

    def _runs_of(self, trip_index: int, begin_s: int, name: str) -> Iterator[ScheduledRun]:
        trip, lasts_s = self._timetable.trips[trip_index], self._lasts_s(trip_index)
        spans = self._frequencies.get(trip_index)
        if spans is None:
            leaves_s = begin_s + trip.leaves_s
            yield ScheduledRun(RunKey(trip.trip_id, name), trip_index, leaves_s, leaves_s + lasts_s)
            return
        for start_s in sorted({start for span in spans for start in range(*span)}):
            leaves_s = begin_s + start_s
            yield ScheduledRun(RunKey(trip.trip_id, name, start_s), trip_index, leaves_s, leaves_s + lasts_s)

    def is_by_frequency(self, trip: int) -> bool:
        """Whether a trip runs again and again, so that its runs are named by their starts."""
        return trip in self._frequencies

    def of_trip(self, trip: int, day: date) -> list[ScheduledRun]:
        """The runs of a trip on a service day, by when they leave."""
        return self._of_trip(trip, day)

    def _found_of_trip(self, trip: int, day: date) -> list[ScheduledRun]:
        service = self._timetable.services[self._timetable.trips[trip].service]
        if not runs_on(service, day.toordinal()):
            return []
        return list(self._runs_of(trip, day_begin_s(self._timetable.zone, day), f"{day:%Y%m%d}"))

    def near(self, trip: int, from_s: float, until_s: float) -> list[ScheduledRun]:
        """The runs of a trip that are scheduled to be on their way at some time from `from_s` to before `until_s`."""
        return [
            run
            for day in self._days_of(from_s, until_s)
            for run in self.of_trip(trip, day)
            if run.leaves_s < until_s and run.ends_s >= from_s
        ]

    def between(self, from_s: float, until_s: float) -> list[ScheduledRun]:
        """Runs that are scheduled to be on their way at some time from `from_s` to before `until_s`.

        Those of days before are among them as long as they run beyond midnight, and of the next day where its begin
        lies before midnight, since clocks are changed.
        """
        found = [
            run
            for day in self._days_of(from_s, until_s)
            for run in self.of(day)
            if run.leaves_s < until_s and run.ends_s >= from_s
        ]
        return sorted(found, key=lambda run: (run.leaves_s, run.key))

    def _days_of(self, from_s: float, until_s: float) -> Iterator[date]:
        """Service days whose runs may be on their way in a time."""
        first = datetime.fromtimestamp(from_s - _CHANGE_S, UTC).astimezone(self._zone).date()
        last = datetime.fromtimestamp(until_s + _CHANGE_S, UTC).astimezone(self._zone).date()
        day = first - timedelta(days=self._back)
        while day <= last:
            yield day
            day += timedelta(days=1)

    def on_now(self, now_s: float) -> list[ScheduledRun]:
        """Runs that are scheduled to be on their way now."""
        return self.between(now_s, now_s + 1)


def span_of_days(timetable: Timetable) -> tuple[date, date] | None:
    """First and last day on which a trip runs; None when none ever does."""
    used = {trip.service for trip in timetable.trips}
    days = set[int]()
    for index in used:
        service = timetable.services[index]
        days.update(day for day in range(service.first, service.last + 1) if runs_on(service, day))
        days.update(service.added)
    return (date.fromordinal(min(days)), date.fromordinal(max(days))) if days else None
