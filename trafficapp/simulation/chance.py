"""What differs from day to day: demand, weather, roads that pass less, incidents. All of it follows from the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from models.weather.observed import WeatherObserved
from trafficapp.settings import WeatherFactorSettings, WeatherSettings
from trafficapp.simulation.city import City, Floats
from trafficapp.simulation.flow import MinuteInputs
from trafficapp.weather.phenomena import Weather, speed_factor

#: A traffic day begins at this local hour, when roads are empty; days then know nothing of each other.
FIRST_HOUR = 3
#: It is begun so much earlier, from an empty city.
WARM_UP_MINUTES = 60

#: Traffic by the hour (at its middle) as a share of the morning peak. Chosen, not measured: two peaks on working days.
_WORKING_DAY = (
    *(0.13, 0.08, 0.05, 0.04, 0.06, 0.14, 0.38, 0.84, 1.00, 0.86, 0.74, 0.74),
    *(0.80, 0.82, 0.76, 0.78, 0.86, 0.98, 0.97, 0.78, 0.54, 0.38, 0.30, 0.21),
)
_SATURDAY = (
    *(0.24, 0.17, 0.12, 0.08, 0.07, 0.10, 0.20, 0.34, 0.50, 0.64, 0.74, 0.78),
    *(0.74, 0.62, 0.58, 0.62, 0.70, 0.76, 0.76, 0.66, 0.52, 0.42, 0.38, 0.33),
)
_SUNDAY = (
    *(0.26, 0.20, 0.14, 0.09, 0.07, 0.07, 0.11, 0.17, 0.27, 0.40, 0.51, 0.57),
    *(0.55, 0.46, 0.45, 0.51, 0.57, 0.62, 0.63, 0.56, 0.44, 0.34, 0.26, 0.19),
)

_KNOT_MINUTES = 5
_DAY_DEVIATION = 0.06
_ENTRY_DEVIATION, _ENTRY_MEMORY_MINUTES = 0.15, 60.0
_CAPACITY_DEVIATION, _CAPACITY_MEMORY_MINUTES = 0.07, 20.0
#: Where less gets through, vehicles are a bit slower even while there is room.
_SPEED_FOLLOWS = 0.4
_EVENING_TILT = 0.20
_RAINY_DAYS = 0.3
#: Rain as in the Highway Capacity Manual: a tenth less capacity where it rains hardest.
_RAIN_CAPACITY, _RAIN_RAMP_MINUTES = 0.10, 20.0
#: How much that is: heavy rain begins at 7.6 mm an hour (AMS Glossary of Meteorology).
_HARDEST_RAIN_MM_H = 10.0
_INCIDENTS_A_DAY = 24.0
_LEAST_LOSS, _MOST_LOSS = 0.55, 0.95
_SHORTEST_MINUTES, _LONGEST_MINUTES = 15.0, 60.0
_SHORTEST_INCIDENT_EDGE_M = 30.0


@dataclass(frozen=True, slots=True)
class Incident:
    """Something stands in the way.

    Attributes:
        edge: position of the edge.
        start: when it happens.
        minutes: until it is cleared.
        capacity_loss: share of the edge's capacity that is lost meanwhile.
    """

    edge: int
    start: datetime
    minutes: float
    capacity_loss: float = 0.9

    @property
    def end(self) -> datetime:
        """When it is cleared."""
        return self.start + timedelta(minutes=self.minutes)


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """The traffic day that a moment belongs to."""
    return (moment.astimezone(zone) - timedelta(hours=FIRST_HOUR)).date()


def day_begin(day: date, zone: ZoneInfo) -> datetime:
    """When a traffic day begins, UTC."""
    return datetime.combine(day, clock_time(FIRST_HOUR), zone).astimezone(UTC)


class DayChance:
    """Everything that happens to the city on one traffic day: a function of seed and day alone.

    Args:
        city: the city.
        seed: of all chance.
        day: the traffic day.
        zone: the city's time zone.
        more: incidents besides those of chance.
    """

    def __init__(self, city: City, seed: int, day: date, zone: ZoneInfo, more: Sequence[Incident] = ()) -> None:
        self.begin = day_begin(day, zone)
        self.end = day_begin(day + timedelta(days=1), zone)
        self.first = self.begin - timedelta(minutes=WARM_UP_MINUTES)
        self.minutes = int((self.end - self.first).total_seconds()) // 60
        self._city, self._day, self._zone = city, day, zone
        self._seed = [seed, day.toordinal()]
        edges = city.graph.edge_count
        knots = self.minutes // _KNOT_MINUTES + 2
        chance = self._stream(1)
        self._level = float(np.exp(chance.normal(0, _DAY_DEVIATION)))
        self._entries = 1 + _wander(chance, knots, edges, _ENTRY_DEVIATION, _ENTRY_MEMORY_MINUTES)
        self._capacity = 1 + _wander(self._stream(2), knots, edges, _CAPACITY_DEVIATION, _CAPACITY_MEMORY_MINUTES)
        self._rain = _rain(self._stream(3), self.minutes)
        # Who comes in by which road in the morning goes home another way: fixed by the city, as its demand is.
        self._tilt = np.random.default_rng(0).uniform(-_EVENING_TILT, _EVENING_TILT, edges)
        self.incidents = [*self._incidents(), *more]

    def inputs(self, minute: int) -> MinuteInputs:
        """What acts in a minute counted from `first`, for one day."""
        knot, rest = divmod(minute, _KNOT_MINUTES)
        share = rest / _KNOT_MINUTES
        entries = self._entries[knot] * (1 - share) + self._entries[knot + 1] * share
        capacity = self._capacity[knot] * (1 - share) + self._capacity[knot + 1] * share
        rain = float(self._rain[minute])
        moment = self.first + timedelta(minutes=minute)
        usual, evening = self._usual(moment)
        entry_vph = self._city.entry_vph * usual * self._level * (1 + evening * self._tilt) * np.maximum(entries, 0.2)
        slower = rain_speed_share(_mm_h(rain))
        free_speed = slower * np.clip(1 + _SPEED_FOLLOWS * (capacity - 1), 0.8, 1.07)
        capacity = np.clip(capacity * (1 - _RAIN_CAPACITY * rain), 0.3, 1.15)
        for incident in self.incidents:
            if incident.start <= moment < incident.end:
                capacity[incident.edge] *= 1 - incident.capacity_loss
        return MinuteInputs(entry_vph[None], capacity[None], free_speed[None])

    def rain_mm_h(self, moment: datetime) -> float:
        """How much it rains at a moment of the day, mm an hour, as stations tell it."""
        minute = int((moment.astimezone(UTC) - self.first).total_seconds()) // 60
        return _mm_h(float(self._rain[min(max(minute, 0), self.minutes - 1)]))

    def demand(self, moment: datetime) -> float:
        """How many are under way at a moment, as a share of the morning peak."""
        return self._usual(moment)[0] * self._level

    def measurement(self) -> np.random.Generator:
        """The source of errors of measurement on this day."""
        return self._stream(5)

    def windows(self, minute: int) -> np.random.Generator:
        """The source of chance of what cameras count in a minute counted from `first`."""
        return np.random.default_rng([*self._seed, 6, minute])

    def _usual(self, moment: datetime) -> tuple[float, float]:
        """Demand as a share of the morning peak, and how much of an evening it is."""
        local = moment.astimezone(self._zone)
        hour = local.hour + local.minute / 60 + local.second / 3600
        profile = _profile(local.date().weekday())
        before = _profile((local.date() - timedelta(days=1)).weekday())[23]
        after = _profile((local.date() + timedelta(days=1)).weekday())[0]
        usual = float(np.interp(hour - 0.5, np.arange(-1, 25), [before, *profile, after]))
        return usual, float(np.interp(hour, (11, 17), (0, 1)))

    def _incidents(self) -> list[Incident]:
        city, chance = self._city, self._stream(4)
        length = city.graph.length_m
        weight = np.where(length >= _SHORTEST_INCIDENT_EDGE_M, length * city.peak_vph, 0.0)
        hours = np.array([self._usual(self.first + timedelta(minutes=60 * hour + 30))[0] for hour in range(25)])
        found = []
        for _ in range(chance.poisson(_INCIDENTS_A_DAY * hours.mean() / 0.55)):
            hour = chance.choice(len(hours), p=hours / hours.sum())
            found.append(
                Incident(
                    int(chance.choice(len(weight), p=weight / weight.sum())),
                    self.first + timedelta(minutes=float(60 * hour + chance.uniform(0, 60))),
                    float(chance.uniform(_SHORTEST_MINUTES, _LONGEST_MINUTES)),
                    float(chance.uniform(_LEAST_LOSS, _MOST_LOSS)),
                )
            )
        return found

    def _stream(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([*self._seed, purpose])


@lru_cache(maxsize=256)
def rain_speed_share(mm_h: float) -> float:
    """What rain leaves of free speeds: what `trafficapp.weather` says of a station that measures as much."""
    reading = WeatherObserved(station="", observed_us=0, latitude=0.0, longitude=0.0, precipitation=mm_h)
    return speed_factor(Weather(reading, WeatherSettings()).phenomena, WeatherFactorSettings())


def _mm_h(rain: float) -> float:
    return round(_HARDEST_RAIN_MM_H * rain, 1)


def _profile(weekday: int) -> tuple[float, ...]:
    return _SUNDAY if weekday == 6 else _SATURDAY if weekday == 5 else _WORKING_DAY


def _wander(chance: np.random.Generator, knots: int, columns: int, deviation: float, memory_minutes: float) -> Floats:
    """Noise that stays for a while: an autoregression of first order, stationary from the start."""
    keep = float(np.exp(-_KNOT_MINUTES / memory_minutes))
    shocks = chance.normal(0, deviation, (knots, columns))
    shocks[1:] *= np.sqrt(1 - keep**2)
    for knot in range(1, knots):
        shocks[knot] += keep * shocks[knot - 1]
    return shocks


def _rain(chance: np.random.Generator, minutes: int) -> Floats:
    """How hard it rains in each minute, 0 to 1."""
    rain = np.zeros(minutes)
    if chance.random() >= _RAINY_DAYS:
        return rain
    at = np.arange(minutes)
    for _ in range(int(chance.integers(1, 4))):
        begin, length = chance.uniform(0, minutes), chance.uniform(40, 360)
        ramp = np.minimum(at - begin, begin + length - at) / _RAIN_RAMP_MINUTES
        rain = np.maximum(rain, np.clip(ramp, 0, 1) * chance.uniform(0.3, 1.0))
    return rain
