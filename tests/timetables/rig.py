"""Vehicles on the synthetic feed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from models.timetables.runs import Fix
from models.timetables.timetable import Timetable
from tests.timetables import synthetic
from tests.verification.timetables_plan import shape_place
from trafficapp.timetables.feed_files import Problems, opened
from trafficapp.timetables.reading import read_timetable
from trafficapp.timetables.service_days import day_begin_s
from trafficapp.timetables.stop_places import Shape

START_DATE = f"{synthetic.DAY:%Y%m%d}"


def timetable_of(feed: Path) -> Timetable:
    """What is read of a feed that has no problems."""
    problems = Problems()
    with opened(str(feed)) as files:
        timetable = read_timetable(files, problems)
    assert not problems.lines()
    return timetable


def day_s() -> int:
    """Begin of the service day, seconds since the epoch."""
    return day_begin_s(synthetic.ZONE, synthetic.DAY)


def fixes_of(
    timetable: Timetable, trip_id: str, vehicle_id: str, *, start_s: int = 0, late_s: float = 0.0, every_s: float = 15.0
) -> Iterator[Fix]:
    """A vehicle that waits a minute, then drives by its timetable, but late."""
    trip = next(trip for trip in timetable.trips if trip.trip_id == trip_id)
    pattern, profile = timetable.patterns[trip.pattern], timetable.profiles[trip.profile]
    leaves_s = day_s() + (start_s or trip.leaves_s) + late_s
    shape = Shape(timetable.paths[pattern.path])
    times = [leaves_s + time for time in profile.arrivals]
    for at_s in np.arange(leaves_s - 60, times[-1] + 30, every_s):
        latitude, longitude = shape_place(shape, float(np.interp(at_s, times, pattern.at_m)))
        place = float(latitude), float(longitude)
        yield Fix(vehicle_id, trip_id, *place, round(at_s * 1e6), START_DATE, start_s or None)


def standing(timetable: Timetable, trip_id: str, vehicle_id: str, until_s: float) -> Iterator[Fix]:
    """A vehicle that leaves on time, and stands between its fourth and fifth stop until a time."""
    fixes = [fix for fix in fixes_of(timetable, trip_id, vehicle_id)]
    trip = next(trip for trip in timetable.trips if trip.trip_id == trip_id)
    breaks_s = day_s() + trip.leaves_s + 3.5 * 90
    driven = [fix for fix in fixes if fix.time_us / 1e6 <= breaks_s]
    yield from driven
    for at_s in np.arange(breaks_s, until_s, 15):
        yield msgspec.structs.replace(driven[-1], time_us=round(at_s * 1e6))
