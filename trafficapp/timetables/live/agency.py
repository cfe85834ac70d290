"""What an agency says of its trips, looked up by run and stop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us
from models.timetables.agency import AgencyStopTime, AgencyTrip

CANCELED = "CANCELED"


class Expected(NamedTuple):
    """When a run is expected at a stop, seconds since the epoch: arrival and departure."""

    arrives_s: float
    departs_s: float


class AgencyTrips:
    """The newest word on each trip.

    Args:
        trips: as they were told last.
    """

    def __init__(self, trips: Iterable[AgencyTrip] = ()) -> None:
        self._by_run: dict[tuple[str, str | None, str | None], AgencyTrip] = {}
        for trip in trips:
            self._by_run[trip.trip_id, trip.start_date, trip.start_time] = trip

    def of(self, trip_id: str, start_date: str, start_time: str) -> AgencyTrip | None:
        """What is said of a run; agencies name its day and start, or leave one or both out."""
        for name in ((start_date, start_time), (start_date, None), (None, None)):
            if (found := self._by_run.get((trip_id, *name))) is not None:
                return found
        return None


def expected(trip: AgencyTrip, stop_sequence: int, stop_id: str, scheduled_s: float) -> Expected | None:
    """When a trip is expected at a stop; None when nothing is said of it, or that it does not stop there.

    A delay goes on until the next stop of which something is said (GTFS Realtime reference, "Trip updates").

    Args:
        trip: how it goes.
        stop_sequence: of the stop, as the timetable counts.
        stop_id: of the stop.
        scheduled_s: when it should arrive, seconds since the epoch.
    """
    there = next((stop for stop in trip.stops if _is_at(stop, stop_sequence, stop_id)), None)
    if there is not None:
        if there.is_skipped:
            return None
        arrives_s, departs_s = _epoch_s(there.arrives_at), _epoch_s(there.departs_at)
        if arrives_s is None:
            delay_s = there.delay_seconds
            arrives_s = departs_s if delay_s is None else scheduled_s + delay_s
        if arrives_s is not None:
            return Expected(arrives_s, max(departs_s or arrives_s, arrives_s))
    before = [
        stop
        for stop in trip.stops
        if stop.stop_sequence is not None and stop.stop_sequence < stop_sequence and stop.delay_seconds is not None
    ]
    delay_s = max(before, key=lambda stop: stop.stop_sequence or 0).delay_seconds if before else trip.delay_seconds
    return None if delay_s is None else Expected(scheduled_s + delay_s, scheduled_s + delay_s)


def _is_at(stop: AgencyStopTime, stop_sequence: int, stop_id: str) -> bool:
    return stop.stop_id == stop_id if stop.stop_sequence is None else stop.stop_sequence == stop_sequence


def _epoch_s(time: str | None) -> float | None:
    return None if time is None else epoch_us(time) / MICROSECONDS_PER_SECOND
