"""Simulated traffic of a span of time, and of now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from trafficapp.simulation.chance import DayChance, Incident, day_of
from trafficapp.simulation.city import City, Floats
from trafficapp.simulation.flow import CityFlow, MinuteInputs, MinuteTraffic
from trafficapp.simulation.streams import VehicleStreams

#: Error of the feed's speed of a minute.
MEASURED_DEVIATION_KMH = 0.6
SLOWEST_MEASURED_KMH = 1.0

#: So much before a span is known of single vehicles: whoever is in view of a camera when it begins has come since then.
LEAD_MINUTES = 15

#: Days that are moved side by side: more need more memory and gain nothing.
_SIDE_BY_SIDE = 16


@dataclass(frozen=True, eq=False)
class DayTraffic:
    """A traffic day minute by minute; each array has shape (minutes, edges).

    Attributes:
        chance: what made the day.
        begin: when the first minute begins, UTC.
        speed_kmh: as it is.
        measured_kmh: as the feed tells it.
        flow_vph: vehicles an hour that leave the edge.
        driven_kmh: speeds as they are, from `LEAD_MINUTES` before the first minute on.
        driven_vph: single vehicles an hour that drive along the edge, from then on (see `streams`).
    """

    chance: DayChance
    begin: datetime
    speed_kmh: Floats
    measured_kmh: Floats
    flow_vph: Floats
    driven_kmh: Floats
    driven_vph: Floats


def simulate_days(
    city: City,
    seed: int,
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
    incidents: Sequence[Incident] = (),
    progress: Callable[[int], None] = lambda minutes: None,
) -> Iterator[DayTraffic]:
    """Yield the traffic days of a span, cut to it, in order. What a day is like depends on seed and day alone.

    Args:
        city: the city.
        seed: of all chance.
        start: begin, a whole minute.
        end: end, exclusive, a whole minute.
        zone: the city's time zone.
        incidents: besides those of chance.
        progress: told of simulated minutes now and then.
    """
    days = [day_of(start, zone)]
    while day_of(end - timedelta(microseconds=1), zone) > days[-1]:
        days.append(days[-1] + timedelta(days=1))
    for first in range(0, len(days), _SIDE_BY_SIDE):
        chances = [DayChance(city, seed, day, zone, incidents) for day in days[first : first + _SIDE_BY_SIDE]]
        needed = max(int((min(end, chance.end) - chance.first).total_seconds()) // 60 for chance in chances)
        minutes = list(_side_by_side(city, chances, needed, progress))
        for place, chance in enumerate(chances):
            yield _cut(chance, minutes, place, start, end)


def _side_by_side(
    city: City, chances: Sequence[DayChance], minutes: int, progress: Callable[[int], None]
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Speed, flow and single vehicles of each minute from the warm-up on, shape (days, edges)."""
    flow, streams = CityFlow(city, len(chances)), VehicleStreams(city, len(chances))
    for minute in range(minutes):
        # a day that is over goes on with its last minute; what comes of it is cut off
        inputs = [chance.inputs(min(minute, chance.minutes - 1)) for chance in chances]
        moved = flow.advance(
            MinuteInputs(
                np.concatenate([each.entry_vph for each in inputs]),
                np.concatenate([each.capacity for each in inputs]),
                np.concatenate([each.free_speed for each in inputs]),
            )
        )
        driven_vph = streams.advance(moved)
        yield moved.speed_kmh.astype(np.float32), moved.flow_vph.astype(np.float32), driven_vph.astype(np.float32)
        progress(len(chances))


def _cut(
    chance: DayChance, minutes: Sequence[tuple[Floats, Floats, Floats]], place: int, start: datetime, end: datetime
) -> DayTraffic:
    begin, until = max(start, chance.begin), min(end, chance.end)
    first, last = (int((moment - chance.first).total_seconds()) // 60 for moment in (begin, until))
    speed, flow, driven = (
        np.array([minutes[minute][kind][place] for minute in range(first - LEAD_MINUTES, last)], float)
        for kind in range(3)
    )
    now = slice(LEAD_MINUTES, None)
    error = measurement_errors(chance, speed.shape[1])[first:last]
    measured = np.maximum(speed[now] + error, SLOWEST_MEASURED_KMH)
    return DayTraffic(chance, begin, speed[now], measured, flow[now], speed, driven)


def measurement_errors(chance: DayChance, edges: int) -> Floats:
    """Errors of the feed on a day in km/h, shape (minutes since `chance.first`, edges)."""
    return chance.measurement().normal(0, MEASURED_DEVIATION_KMH, (chance.minutes, edges))


class CityNow:
    """The traffic minute by minute as time goes on, the same as `simulate_days` gives for these minutes.

    Args:
        city: the city.
        seed: of all chance.
        zone: the city's time zone.
        incidents: besides those of chance.
    """

    def __init__(self, city: City, seed: int, zone: ZoneInfo, incidents: Sequence[Incident] = ()) -> None:
        self.city, self.zone = city, zone
        self._seed, self._incidents = seed, incidents
        self._day: date | None = None

    @property
    def chance(self) -> DayChance:
        """What makes the day of the moment that was asked last."""
        return self._chance

    def at(self, moment: datetime) -> tuple[MinuteTraffic, Floats]:
        """Traffic of the minute a moment is in, and the speeds that the feed tells of it, km/h.

        Moments ascend; the first may take a second, for all of its day before is gone through.
        """
        if (day := day_of(moment, self.zone)) != self._day:
            self._day = day
            self._chance = DayChance(self.city, self._seed, day, self.zone, self._incidents)
            self._errors = measurement_errors(self._chance, self.city.graph.edge_count)
            self._flow = CityFlow(self.city)
            self._minute = -1
        wanted = int((moment.astimezone(UTC) - self._chance.first).total_seconds()) // 60
        if wanted < self._minute:
            raise ValueError(f"{moment.isoformat()} lies before what was asked last")
        while self._minute < wanted:
            self._minute += 1
            self._now = self._flow.advance(self._chance.inputs(self._minute))
        measured = np.maximum(self._now.speed_kmh[0] + self._errors[wanted], SLOWEST_MEASURED_KMH)
        return self._now, measured
