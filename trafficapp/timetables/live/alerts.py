"""Alerts about runs: missed, broken down, bunched, far behind the one before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from models.city_alerts import AlertSeverity, AlertState, alert_id_of
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from models.timetables.live import OperationAlert
from models.timetables.runs import Headway, RunBroken, RunEnded, RunEvent, RunMissed, RunName
from trafficapp.timetables.live.documents import KnownRun, known_run
from trafficapp.timetables.remembered import Remembered
from trafficapp.timetables.schedule import Schedule

AlertType: TypeAlias = Literal["missed_run", "run_breakdown", "bunching", "gap"]
#: Of an open alert: its type, the run, and the vehicle where that matters.
AlertName: TypeAlias = tuple[AlertType, RunName, str]

#: So many stops in a row it has to be so, and to be over likewise.
_IN_A_ROW = 2
#: A short run is over before it is told missed; so long people are told of it.
_LEAST_SHOWN_S = 900
_OF_SPACING: tuple[Literal["bunching"], Literal["gap"]] = ("bunching", "gap")
_SEVERITY: dict[AlertType, AlertSeverity] = {
    "missed_run": "WARNING",
    "run_breakdown": "CRITICAL",
    "bunching": "WARNING",
    "gap": "WARNING",
}


class OpenAlert(Struct, array_like=True, frozen=True):
    """An alert that is open.

    Attributes:
        opened_us: when it was raised, microseconds since the epoch.
        until_s: when the run is of no use to anybody any more, seconds since the epoch.
        run: in words, as they were then.
        place: latitude and longitude, where they are known.
    """

    opened_us: int
    until_s: int
    run: KnownRun
    place: tuple[float, float] | None


class SpacingInARow(Struct, array_like=True, frozen=True):
    """How a run follows the one before it, and at how many stops in a row."""

    kind: Literal["regular", "bunched", "gap"]
    count: int


class RunAlerts:
    """The alerts about runs that are open.

    Args:
        schedule: of the runs.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.open: Remembered[AlertName, OpenAlert] = Remembered()
        self.spacing: Remembered[RunName, SpacingInARow] = Remembered()

    def take(self, event: RunEvent, place: tuple[float, float] | None = None) -> Iterator[OperationAlert]:
        """The steps that follow from an event.

        Args:
            event: of a run.
            place: of its vehicle, latitude and longitude.
        """
        if isinstance(event, RunMissed):
            name: AlertName = ("missed_run", event.run, "")
            yield from self._close(name, event.at_s) if event.is_over else self._raise(name, event.at_s, None)
        elif isinstance(event, RunBroken):
            name = ("run_breakdown", event.run, event.vehicle_id)
            yield from self._close(name, event.at_s) if event.is_over else self._raise(name, event.at_s, place)
        elif isinstance(event, Headway):
            yield from self._spaced(event, place)
        elif isinstance(event, RunEnded):
            self.spacing.forget(event.run)
            for kind in _OF_SPACING:
                yield from self._close((kind, event.run, ""), event.at_s)

    def tick(self, now_s: float) -> Iterator[OperationAlert]:
        """Runs that nobody served are of no use to anybody once their time is over."""
        for name, alert in sorted(self.open.items()):
            if name[0] == "missed_run" and now_s > alert.until_s:
                yield from self._close(name, now_s)

    def close_all(self, now_s: float) -> Iterator[OperationAlert]:
        """All runs are met anew: another timetable has come."""
        self.spacing.forget_all()
        for name in sorted(self.open):
            yield from self._close(name, now_s)

    def _spaced(self, event: Headway, place: tuple[float, float] | None) -> Iterator[OperationAlert]:
        before = self.spacing.get(event.run)
        count = before.count + 1 if before is not None and before.kind == event.kind else 1
        self.spacing[event.run] = SpacingInARow(event.kind, min(count, _IN_A_ROW))
        if count != _IN_A_ROW:
            return
        raised = {"bunched": "bunching", "gap": "gap"}.get(event.kind)
        for kind in _OF_SPACING:
            if kind == raised:
                words = f"{event.headway_s:.0f} s behind the run before it; {event.scheduled_s:.0f} s are scheduled"
                yield from self._raise((kind, event.run, ""), event.at_s, place, event.stop_id, words)
            else:
                yield from self._close((kind, event.run, ""), event.at_s)

    def _raise(
        self,
        name: AlertName,
        at_s: float,
        place: tuple[float, float] | None,
        stop_id: str | None = None,
        words: str = "",
    ) -> Iterator[OperationAlert]:
        run = name[1]
        scheduled = self.schedule.run(run.trip_id, run.start_date, run.start_s, at_s)
        if name in self.open or scheduled is None:
            return
        opened_us = round(at_s * MICROSECONDS_PER_SECOND)
        until_s = max(scheduled.ends_s, int(at_s + _LEAST_SHOWN_S))
        alert = self.open[name] = OpenAlert(opened_us, until_s, known_run(self.schedule, run), place)
        yield self._step(name, alert, "opened", opened_us, stop_id, words)

    def _close(self, name: AlertName, at_s: float) -> Iterator[OperationAlert]:
        alert = self.open.forget(name)
        if alert is not None:
            at_us = max(round(at_s * MICROSECONDS_PER_SECOND), alert.opened_us)
            yield self._step(name, alert, "resolved", at_us, None, "")

    def _step(
        self, name: AlertName, alert: OpenAlert, state: AlertState, at_us: int, stop_id: str | None, words: str
    ) -> OperationAlert:
        kind, run, vehicle_id = name
        title, message = self._words(kind, alert.run, vehicle_id, words, is_over=state == "resolved")
        subject = vehicle_id or f"{run.trip_id} {run.start_date} {alert.run.start_time}"
        return OperationAlert(
            alert_id=alert_id_of(kind, f"{subject}\0{run.trip_id}\0{run.start_date}", alert.opened_us),
            revision=int(state == "resolved"),
            alert_type=kind,
            state=state,
            severity=_SEVERITY[kind],
            subject=subject,
            title=title,
            message=message,
            timestamp=rfc3339(at_us),
            opened_at=rfc3339(alert.opened_us),
            resolved_at=rfc3339(at_us) if state == "resolved" else None,
            latitude=None if alert.place is None else alert.place[0],
            longitude=None if alert.place is None else alert.place[1],
            route_id=alert.run.route_id,
            direction_id=alert.run.direction_id,
            trip_id=run.trip_id,
            start_date=run.start_date,
            start_time=alert.run.start_time,
            vehicle_id=vehicle_id or None,
            stop_id=stop_id,
        )

    def _words(self, kind: AlertType, run: KnownRun, vehicle_id: str, words: str, *, is_over: bool) -> tuple[str, str]:
        """A few words, and a sentence."""
        line = f"Line {self.schedule.line_name(run.route_id)}"
        which = f"The run at {run.start_time[:5]} to {run.headsign or 'its last stop'}"
        if kind == "missed_run":
            title = f"{line}: a run is missed"
            return title, f"{which} has begun, or its time is over." if is_over else f"{which} has no vehicle."
        if kind == "run_breakdown":
            title = f"{line}: a vehicle has broken down"
            stands = f"Vehicle {vehicle_id} stands where nothing makes it wait: {which[0].lower()}{which[1:]}."
            return title, f"Vehicle {vehicle_id} has moved on, or left its run." if is_over else stands
        title = f"{line}: {'vehicles are bunched' if kind == 'bunching' else 'a gap'}"
        return title, f"{which} keeps its distance again, or is over." if is_over else f"{which} is {words}."
