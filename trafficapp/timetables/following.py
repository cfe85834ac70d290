"""A vehicle on its run: how far it is along the shape, when it reached and left stops, how late it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from models.timestamps import MICROSECONDS_PER_SECOND
from models.timetables.runs import Fix, RunName
from trafficapp.movement.distance import metres_between
from trafficapp.timetables.schedule import Course
from trafficapp.timetables.service_days import ScheduledRun
from trafficapp.transit.path import RoutePath
from trafficapp.transit.progress import Progress, ProgressRule

#: A stop is reached so far before it, and left so far behind it: noise of GPS, and where vehicles really stand.
ARRIVES_M, LEAVES_M = 15.0, 30.0
#: Where a vehicle is when it is met first, is looked for from where it would be when it is so late.
_MET_LATE_S = 900.0
#: Who seems to be farther back so many times in a row was taken for farther on than it was.
_TIMES_BACK = 3
_BACK_M = 150.0
#: The first fixes may be outliers: where they seem to be, a vehicle need not have been.
_BIND_NOBODY, _NOISE_M = 4, 50.0
#: Who is so near the first stop in the first half of its time is there.
_AT_BEGIN_M = 60.0
#: Who is slower than a walker crawls, or stands; noise of GPS is no way made.
_CRAWLS_MPS, _CRAWLS_M = 1.2, 25.0
#: Who was in one place for so long stands.
_STOOD_S = 10.0


class Run(Struct):
    """A vehicle on a run.

    Attributes:
        name: of the run.
        trip: of the timetable's trips.
        leaves_s: scheduled, seconds since the epoch.
        ends_s: likewise.
        vehicle_id: of the vehicle.
        progress: along the path; None before it was on it.
        place: latitude and longitude.
        at_s: of the newest fix.
        before_s: of the fix before.
        next_stop: index of the first stop that is not reached.
        reached: when it reached each stop; None where nobody saw it.
        left: when it left each.
        pace: by how much it is slower than expected, as a logarithm.
        followed: how many fixes.
        times_back: how often in a row it seemed to be far back.
        stands_at: where it stands or stood.
        stands_at_m: likewise, along the path.
        stands_since_s: since when.
        excused_s: until when it had a reason to stand.
        crawls_since_s: when it was last quicker than a walker.
        doubted: a fix elsewhere while it stood, which may be an outlier; the next one tells.
        doubted_too: the one after it, no farther away; the next one tells.
        is_broken: whether it was told to be broken down.
        most_passengers: at a time.
        passengers: sum of all counts.
        counts: how many.
        told_s: of the newest fix when it was last told of.
        passengers_now: by the newest fix.
    """

    name: RunName
    trip: int
    leaves_s: int
    ends_s: int
    vehicle_id: str
    progress: Progress | None
    place: tuple[float, float]
    at_s: float
    before_s: float
    next_stop: int
    reached: list[float | None]
    left: list[float | None]
    stands_at: tuple[float, float]
    stands_since_s: float
    pace: float = 0.0
    stands_at_m: float | None = None
    excused_s: float = 0.0
    crawls_since_s: float = 0.0
    followed: int = 0
    times_back: int = 0
    doubted: Fix | None = None
    doubted_too: Fix | None = None
    is_broken: bool = False
    most_passengers: int | None = None
    passengers: int = 0
    counts: int = 0
    told_s: float = 0.0
    passengers_now: int | None = None

    @property
    def at_m(self) -> float | None:
        """Metres along the path."""
        return None if self.progress is None else self.progress.at_m

    @property
    def has_begun(self) -> bool:
        """Whether it has left its first stop."""
        return self.next_stop > 1 or self.left[0] is not None

    @property
    def waits_to_begin(self) -> bool:
        """Whether it is at its first stop, or not on its way at all yet."""
        return self.at_m is None or (self.next_stop <= 1 and self.left[0] is None and self.reached[0] is not None)

    def at_stop(self) -> int | None:
        """Index of the stop where it stands."""
        last = self.next_stop - 1
        return last if last >= 0 and self.left[last] is None and self.reached[last] is not None else None


def to_follow(run: Run, fix: Fix, moved_m: float) -> list[Fix]:
    """The fixes that are to be followed after a newer one has come: that one; none while it may be an outlier; or more.

    What stood and is elsewhere all of a sudden has moved once the next fix says so, too; what waits at its first stop
    once the next one is farther away still, or two more are away as well. Otherwise an outlier, or two of one
    reflection, would carry it off its first stop, and progress never goes back.

    Args:
        run: is changed.
        fix: the newer one.
        moved_m: what is farther has moved.
    """
    doubted, too = run.doubted, run.doubted_too
    run.doubted = run.doubted_too = None
    away_m = metres_between(*run.stands_at, fix.latitude, fix.longitude)
    if away_m <= moved_m:
        return [fix]
    if doubted is None:
        waits = run.followed > 0 and run.waits_to_begin
        if waits or run.at_s - run.stands_since_s >= _STOOD_S:
            run.doubted = fix
            return []
        return [fix]
    if too is not None:
        return [doubted, too, fix]
    doubted_m = metres_between(*run.stands_at, doubted.latitude, doubted.longitude)
    if not run.waits_to_begin or away_m > doubted_m + _CRAWLS_M:
        return [doubted, fix]
    run.doubted, run.doubted_too = doubted, fix
    return []


def to_follow_at_last(run: Run, fix: Fix, moved_m: float) -> list[Fix]:
    """The doubted fixes that are to be followed before a vehicle goes on to another run; none where it still stands.

    Args:
        run: that it leaves; is changed.
        fix: the first one of the other run.
        moved_m: what is farther has moved.
    """
    doubted, run.doubted, run.doubted_too = (run.doubted, run.doubted_too), None, None
    has_moved = metres_between(*run.stands_at, fix.latitude, fix.longitude) > moved_m
    return [one for one in doubted if one is not None and has_moved]


class Served(NamedTuple):
    """Something happened at a stop: it was reached, or the first one left; index and time."""

    stop: int
    at_s: float


def begun_run(scheduled: ScheduledRun, stops: int, fix: Fix) -> Run:
    """A vehicle that is met on a run; the fix is still to be followed."""
    place, at_s = (fix.latitude, fix.longitude), fix.time_us / 1e6
    return Run(
        RunName(*scheduled.key),
        scheduled.trip,
        scheduled.leaves_s,
        scheduled.ends_s,
        fix.vehicle_id,
        None,
        place,
        at_s,
        at_s,
        0,
        [None] * stops,
        [None] * stops,
        place,
        at_s,
    )


def follow(run: Run, fix: Fix, course: Course, path: RoutePath, rule: ProgressRule) -> Iterator[Served]:
    """Take a newer fix of the vehicle in; what happened at stops, in order.

    Args:
        run: is changed.
        fix: is newer than the one before.
        course: of the run's trip.
        path: likewise.
        rule: of progress along paths.
    """
    place, at_s = (fix.latitude, fix.longitude), fix.time_us / 1e6
    before_m, before_s = run.at_m, run.at_s
    run.followed += 1
    found = _progress(run, place, at_s, course, path, rule)
    at_m = found.at_m
    if before_m is not None and at_m is not None and at_m < before_m - _NOISE_M:
        # it never was there: it is met anew
        stops = course.last + 1
        before_m, run.next_stop, run.reached, run.left = None, 0, [None] * stops, [None] * stops
    standing_m = metres_between(*run.stands_at, *place)
    is_at_begin = standing_m <= _NOISE_M or metres_between(*course.begins_at, *place) <= _AT_BEGIN_M
    if before_m is not None and at_m is not None and run.waits_to_begin and is_at_begin:
        # the farthest of many fixes of who waits is far enough to have left, each by itself is noise
        at_m = min(at_m, before_m)
    if before_m is None or run.stands_at_m is None or run.followed <= _BIND_NOBODY:
        run.stands_at_m = at_m
    elif at_m is not None and standing_m <= _NOISE_M:
        # who has hardly moved is not on another branch that is near
        at_m = min(at_m, max(before_m, run.stands_at_m + 1.2 * standing_m + 5))
    run.progress, run.place, run.before_s, run.at_s = Progress(at_m, 0, found.off_m), place, before_s, at_s
    run.passengers_now = fix.passengers
    if fix.passengers is not None:
        run.most_passengers = max(run.most_passengers or 0, fix.passengers)
        run.passengers, run.counts = run.passengers + fix.passengers, run.counts + 1
    if at_m is not None:
        if before_m is None or at_m - before_m > _CRAWLS_M + _CRAWLS_MPS * (at_s - before_s):
            run.crawls_since_s = at_s
        yield from _stops(run, course, before_m, before_s, at_m, at_s)


def _progress(
    run: Run, place: tuple[float, float], at_s: float, course: Course, path: RoutePath, rule: ProgressRule
) -> Progress:
    """Where a vehicle is: on from where it was, never back; of the first fixes each for itself."""
    was = run.progress
    if was is None or was.at_m is None or run.followed <= _BIND_NOBODY:
        met_m = course.at(at_s - run.leaves_s - _MET_LATE_S)
        nearest = path.anywhere(*path.on_map(*place), met_m, None, rule.noise_m)
        at_m = nearest.at_m if nearest.off_m <= rule.off_route_m else run.at_m
        if metres_between(*course.begins_at, *place) <= _AT_BEGIN_M and at_s - run.leaves_s < course.arrivals[-1] / 2:
            # also where the shape comes by here again
            at_m = course.at_m[0]
        if run.at_m is not None and at_m is not None:
            reach_m = rule.reach_slack_m + rule.reach_m_per_us * (at_s - run.at_s) * MICROSECONDS_PER_SECOND
            if run.at_m - _NOISE_M < at_m < run.at_m or at_m > run.at_m + reach_m:
                at_m = run.at_m
        return Progress(at_m, 0, nearest.off_m)
    found = rule.follow(path, was, run.place, place, round((at_s - run.at_s) * 1e6))
    if found.at_m is None or found.at_m >= was.at_m:
        run.times_back = 0
        return found
    run.times_back = run.times_back + 1 if found.at_m < was.at_m - _BACK_M else 0
    return found if run.times_back >= _TIMES_BACK else Progress(was.at_m, 0, found.off_m)


def _stops(
    run: Run, course: Course, before_m: float | None, before_s: float, at_m: float, at_s: float
) -> Iterator[Served]:
    """Stops between two places; where a vehicle is met first, what lies behind it was seen by nobody."""

    def passed_s(line_m: float) -> float:
        if before_m is None or at_m <= before_m or run.followed <= _BIND_NOBODY:
            return at_s
        return before_s + min(max((line_m - before_m) / (at_m - before_m), 0.0), 1.0) * (at_s - before_s)

    stops, last = course.at_m, course.last
    if run.next_stop == 1 and run.reached[0] is None and at_m <= _left_m(stops, 0):
        run.reached[0] = at_s
    while run.next_stop <= last:
        stop = run.next_stop
        arrives_m = stops[stop] - ARRIVES_M
        if stop:
            # stops near each other are reached one after the other
            arrives_m = max(arrives_m, (stops[stop - 1] + stops[stop]) / 2)
        if at_m < arrives_m and stop:
            break
        if stop and run.left[stop - 1] is None and run.reached[stop - 1] is not None:
            yield from _leave(run, stop - 1, passed_s(_left_m(stops, stop - 1)))
        run.next_stop += 1
        if before_m is not None or at_m <= _left_m(stops, stop):
            run.reached[stop] = passed_s(arrives_m) if before_m is not None else at_s
            if stop:
                yield Served(stop, passed_s(arrives_m) if before_m is not None else at_s)
    stop = run.next_stop - 1
    if stop < last and run.left[stop] is None and run.reached[stop] is not None and at_m > _left_m(stops, stop):
        yield from _leave(run, stop, passed_s(_left_m(stops, stop)))


def _left_m(stops: list[float], stop: int) -> float:
    return min(stops[stop] + LEAVES_M, (stops[stop] + stops[stop + 1]) / 2) if stop + 1 < len(stops) else stops[stop]


def _leave(run: Run, stop: int, at_s: float) -> Iterator[Served]:
    run.left[stop] = max(at_s, run.reached[stop] or at_s)
    if stop == 0:
        yield Served(0, run.left[stop] or at_s)
