"""The usual speed of each road at each time of day, on weekends another one where enough of them are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trafficapp.forecast.clock import DAY_SECONDS, Bools, Floats, Integers, local_days, slots, weekend

#: Times of day are told apart no finer than this: a minute's mean over some days is mostly chance.
FINEST_SECONDS = 300

#: Neighbouring times of day are averaged with a bell curve this wide, cut off at an hour.
_SMOOTHING_SECONDS = 1500
_REACH_SECONDS = 3600

#: Weekends are told apart from so many days of both kinds on: from a week and a bit. Fewer would be mostly chance.
_LEAST_WORKDAYS, _LEAST_WEEKEND_DAYS = 5, 2

#: The mean over all days counts in that of workdays, and in that of weekends, like so many days.
_DAYS_OF_ALL = 0.5


class UsualSpeeds(Protocol):
    """Something that knows usual speeds."""

    def at(self, times: Integers) -> Floats:
        """Speeds in km/h at these seconds since the epoch, the shape of `times` and one axis of roads behind it."""


@dataclass(frozen=True, eq=False)
class DayProfile:
    """Usual speeds over the local day, shape (slots of a day, roads); a slot is a step, or longer than that.

    Attributes:
        speeds_kmh: of all days, or of workdays where weekends are told apart.
        zone: the city's time zone.
        step_seconds: length of a step.
        weekend_kmh: of Saturdays and Sundays; None where they are like the others, or not known well enough.
    """

    speeds_kmh: Floats
    zone: str
    step_seconds: int
    weekend_kmh: Floats | None = None

    def at(self, times: Integers) -> Floats:
        """Speeds in km/h at these seconds since the epoch, the shape of `times` and one axis of roads behind it."""
        slot = slots(times, self.zone, slot_seconds(self.step_seconds))
        usual: Floats = self.speeds_kmh[slot]
        if self.weekend_kmh is not None:
            free = weekend(local_days(times, self.zone))
            usual[free] = self.weekend_kmh[slot[free]]
        return usual


@dataclass(frozen=True, eq=False)
class HeldOutProfile:
    """Usual speeds for training: no moment sees the speeds of its own day.

    Else the profile would already hold a part of the answer while training, and never again after it.
    """

    by_day: dict[int, DayProfile]
    otherwise: DayProfile

    def at(self, times: Integers) -> Floats:
        """Speeds in km/h at these seconds since the epoch, the shape of `times` and one axis of roads behind it."""
        usual = self.otherwise.at(times)
        days = local_days(times, self.otherwise.zone)
        for day in np.unique(days).tolist():
            if day in self.by_day:
                usual[days == day] = self.by_day[day].at(times[days == day])
        return usual


def slot_seconds(step_seconds: int) -> int:
    """Length of a slot of a profile of steps of a length."""
    return max(step_seconds, FINEST_SECONDS)


def weekends_apart(times: Integers, zone: str) -> bool:
    """Whether enough days of both kinds are there to tell weekends apart."""
    free = weekend(np.unique(local_days(times, zone)))
    return int(free.sum()) >= _LEAST_WEEKEND_DAYS and int((~free).sum()) >= _LEAST_WORKDAYS


def plain_profile(speeds_kmh: Floats, times: Integers, zone: str, step_seconds: int, apart: bool = False) -> DayProfile:
    """Means by time of day without any smoothing: the baseline that everybody knows; `apart` as `smooth_profile`."""
    slot = slot_seconds(step_seconds)
    place = slots(times, zone, slot)
    if not apart:
        return DayProfile(_means(*_sums(speeds_kmh, place, slot)), zone, step_seconds)
    free = weekend(local_days(times, zone))
    workdays, weekends = (_means(*_sums(speeds_kmh[of], place[of], slot)) for of in (~free, free))
    return DayProfile(workdays, zone, step_seconds, weekends)


def smooth_profile(
    speeds_kmh: Floats, times: Integers, zone: str, step_seconds: int, apart: bool = False
) -> DayProfile:
    """Means by time of day, neighbouring times averaged.

    Args:
        speeds_kmh: shape (steps, roads), NaN where unknown.
        times: of the steps, in seconds since the epoch.
        zone: the city's time zone.
        step_seconds: length of a step.
        apart: whether weekends have usual speeds of their own.
    """
    slot, days = slot_seconds(step_seconds), local_days(times, zone)
    place = slots(times, zone, slot)
    if not apart:
        return DayProfile(_means(*_smoothed(*_sums(speeds_kmh, place, slot), slot)), zone, step_seconds)
    free = weekend(days)
    parts = [_smoothed(*_sums(speeds_kmh[of], place[of], slot), slot) for of in (~free, free)]
    sums, counts = (one + other for one, other in zip(*parts, strict=True))
    overall, weight = _means(sums, counts), counts * np.float32(_DAYS_OF_ALL / len(np.unique(days)))
    workdays, weekends = (_means(total + weight * overall, count + weight) for total, count in parts)
    return DayProfile(workdays, zone, step_seconds, weekends)


def held_out_profile(
    speeds_kmh: Floats, times: Integers, zone: str, step_seconds: int, apart: bool = False
) -> HeldOutProfile:
    """The same for each day without that day."""
    days = local_days(times, zone)
    by_day = {}
    for day in np.unique(days).tolist():
        others: Bools = days != day
        if others.any():
            by_day[day] = smooth_profile(speeds_kmh[others], times[others], zone, step_seconds, apart)
    return HeldOutProfile(by_day, smooth_profile(speeds_kmh, times, zone, step_seconds, apart))


def _sums(speeds_kmh: Floats, slot: Integers, seconds: int) -> tuple[Floats, Floats]:
    known = np.isfinite(speeds_kmh)
    shape = (DAY_SECONDS // seconds, speeds_kmh.shape[1])
    sums, counts = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    np.add.at(sums, slot, np.where(known, speeds_kmh, 0))
    np.add.at(counts, slot, known.astype(np.float32))
    return sums, counts


def _smoothed(sums: Floats, counts: Floats, seconds: int) -> tuple[Floats, Floats]:
    reach = _REACH_SECONDS // seconds
    smooth_sums, smooth_counts = np.zeros_like(sums), np.zeros_like(counts)
    for offset in range(-reach, reach + 1):
        weight = np.float32(np.exp(-0.5 * (offset * seconds / _SMOOTHING_SECONDS) ** 2))
        smooth_sums += weight * np.roll(sums, offset, 0)
        smooth_counts += weight * np.roll(counts, offset, 0)
    return smooth_sums, smooth_counts


def _means(sums: Floats, counts: Floats) -> Floats:
    """Means; where a time of day has nothing the mean of the road, where a road has nothing that of all roads.

    They are rounded to half precision, a two-thousandth of the speed: artifacts keep them so, and lose nothing.
    """
    total = float(sums.sum()) / max(float(counts.sum()), 1.0)
    of_road = np.divide(sums.sum(0), counts.sum(0), out=np.full(sums.shape[1], total), where=counts.sum(0) > 0)
    filled = np.broadcast_to(of_road, sums.shape).astype(np.float32)
    means: Floats = np.divide(sums, counts, out=filled, where=counts > 0)
    return means.astype(np.float16).astype(np.float32)
