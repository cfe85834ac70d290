"""A vehicle that has broken down on its run: it stands where nothing makes it wait."""

from __future__ import annotations

from trafficapp.movement.distance import metres_between
from trafficapp.timetables.following import Run
from trafficapp.timetables.schedule import Course

#: It stands at a stop, or in the queue before it.
_AT_STOP_M = 60.0


def stands_for_s(run: Run, course: Course, moved_m: float) -> float:
    """Seconds that a vehicle has stood where it has no reason to, after the newest fix.

    At its first stop and at its last one it may stand, at timepoints up to its scheduled departure; where a feed tells
    no timepoints, every stop may be one.

    Args:
        run: is changed.
        course: of its trip.
        moved_m: what is farther has moved.
    """
    if metres_between(*run.stands_at, *run.place) > moved_m:
        run.stands_at, run.stands_at_m, run.stands_since_s = run.place, run.at_m, run.at_s
    at_m = run.at_m
    if at_m is None:
        return 0.0
    since_s = max(run.stands_since_s, run.excused_s)
    tells_timepoints = any(course.pattern.timepoints)
    for stop in (run.next_stop - 1, run.next_stop):
        if 0 <= stop <= course.last and abs(at_m - course.at_m[stop]) <= _AT_STOP_M:
            if stop in (0, course.last):
                run.excused_s = run.at_s
                return 0.0
            if course.pattern.timepoints[stop] or not tells_timepoints:
                since_s = max(since_s, float(run.leaves_s + course.departures[stop]))
    return max(run.at_s - since_s, 0.0)
