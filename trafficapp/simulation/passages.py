"""Vehicles that pass through what cameras see, one picture a second, for history.

They are those of `vehicles` without the roads between cameras. Since vehicles do not hinder each other, they come to a
lane's zone as a Poisson process with the mean number that passes there (`streams`); from there on each drives and
stands by the same rules, and stays in view from window to window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trafficapp.simulation.city import City, Floats, Integers
from trafficapp.simulation.days import LEAD_MINUTES, DayTraffic
from trafficapp.simulation.standing import moving_kmh, standing_share
from trafficapp.simulation.vehicles import GOES_SHARE, own_speeds, stop_shares
from trafficapp.simulation.views import CameraView

WINDOW_SECONDS = 5
WINDOWS_PER_MINUTE = 60 // WINDOW_SECONDS

#: Vehicles of so many minutes are moved at once: few enough for the processor's cache.
_MINUTES_AT_ONCE = 60

_Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Sightings:
    """Sums over windows of what the pictures show, each of shape (windows, lanes).

    Attributes:
        vehicles: distinct vehicles.
        detections: of vehicles in pictures.
        speed_sum_kmh: of the detections.
        standing: detections of vehicles that stand.
        queue: distinct vehicles seen standing.
    """

    vehicles: Integers
    detections: Integers
    speed_sum_kmh: Floats
    standing: Integers
    queue: Integers


def sightings(city: City, views: Sequence[CameraView], traffic: DayTraffic) -> Sightings:
    """What is seen on all lanes of all cameras, in order of the cameras and their lanes."""
    passing = _Passing(city, views, traffic)
    lead, end = LEAD_MINUTES, LEAD_MINUTES + len(traffic.speed_kmh)
    sums = np.zeros((5, end * WINDOWS_PER_MINUTE, passing.lanes))
    for first in range(0, end, _MINUTES_AT_ONCE):
        passing.see(range(first, min(first + _MINUTES_AT_ONCE, end)), sums)
    kept = sums[:, lead * WINDOWS_PER_MINUTE :]
    vehicles, detections, standing, queue = (kept[place].astype(np.int64) for place in (0, 1, 3, 4))
    return Sightings(vehicles, detections, kept[2], standing, queue)


class _Passing:
    def __init__(self, city: City, views: Sequence[CameraView], traffic: DayTraffic) -> None:
        edges = np.array([view.edge for view in views for _ in view.lanes])
        self.lanes = len(edges)
        self._zone_m = np.array([lane.length_m for view in views for lane in view.lanes])
        speed = traffic.driven_kmh[:, edges]
        self._moving_ms, self._stops = moving_kmh(speed) / 3.6, stop_shares(standing_share(speed))
        self._a_minute = traffic.driven_vph[:, edges] / city.graph.lanes[edges] / 60
        self._traffic, self._seconds = traffic, 60 * len(speed)
        self._first = int((traffic.begin - traffic.chance.first).total_seconds()) // 60 - LEAD_MINUTES

    def see(self, minutes: range, sums: Floats) -> None:
        """Add those who come in some minutes to the sums, until they have left."""
        lane, second, own_speed, word = (np.concatenate(each) for each in zip(*map(self._coming, minutes), strict=True))
        at = second // 60 * self.lanes + lane
        position_m = _uniform(word, 0) * self._moving_ms.ravel()[at] * own_speed
        stands, stood = np.zeros(len(lane), bool), np.zeros(len(lane), bool)
        places, speeds, flags = [], [], []
        age = 0
        while True:
            stays = (position_m <= self._zone_m[lane]) & (second < self._seconds)
            lane, second, own_speed, word = lane[stays], second[stays], own_speed[stays], word[stays]
            position_m, stands, stood = position_m[stays], stands[stays], stood[stays]
            if not len(lane):
                break
            new = (second % WINDOW_SECONDS == 0) | (age == 0)
            moving_kmh_now = self._moving_ms.ravel()[second // 60 * self.lanes + lane] * 3.6 * own_speed
            stood &= ~new
            places.append(second // WINDOW_SECONDS * self.lanes + lane)
            speeds.append(np.where(stands, 0.0, moving_kmh_now))
            flags.append(new | (stands << 1) | ((stands & ~stood) << 2))
            stood |= stands
            age, second = age + 1, second + 1
            at = np.minimum(second, self._seconds - 1) // 60 * self.lanes + lane
            stands ^= _uniform(word, age) < np.where(stands, GOES_SHARE, self._stops.ravel()[at])
            position_m = position_m + np.where(stands, 0.0, self._moving_ms.ravel()[at] * own_speed)
        if places:
            _add(sums, np.concatenate(places), np.concatenate(speeds), np.concatenate(flags))

    def _coming(self, minute: int) -> tuple[Integers, Integers, Floats, _Words]:
        """Who comes in a minute: lane, second of the first picture, own speed, and a word of chance for each.

        They depend on the minute alone, so that a day is the same however it is cut.
        """
        chance = self._traffic.chance.windows(self._first + minute)
        lane = np.repeat(np.arange(self.lanes), chance.poisson(self._a_minute[minute]))
        second = minute * 60 + chance.integers(0, 60, len(lane))
        return lane, second, own_speeds(chance, len(lane)), chance.integers(0, 2**64, len(lane), np.uint64)


def _add(sums: Floats, places: Integers, speeds: Floats, flags: Integers) -> None:
    """Add detections to the sums of their windows and lanes."""
    lanes = sums.shape[2]
    first, last = int(places.min()) // lanes, int(places.max()) // lanes + 1
    for row, weights in enumerate((flags & 1, None, speeds, flags >> 1 & 1, flags >> 2)):
        found = np.bincount(places - first * lanes, weights, (last - first) * lanes)
        sums[row, first:last] += found.reshape(-1, lanes)


def _uniform(words: _Words, turn: int) -> Floats:
    """A number from 0 to 1 for each word and turn: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    mixed = words + np.uint64((turn + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
