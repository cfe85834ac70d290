"""The weather as a model sees it: one row of numbers for the city in each step. Training and serving build it here.

The weather of a step is what the station nearest to the middle of the road graph had told when the step ended: of those
that are within reach and whose newest reading had come not too long before, by the times of records. It is a pure
function of what had come by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, log1p, nan
from typing import NamedTuple

import numpy as np

from models.weather.observed import WeatherObserved
from trafficapp.forecast.clock import Floats
from trafficapp.roads.graph.earth import metres_along
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.settings import WeatherSettings
from trafficapp.weather.phenomena import Weather

#: What each number is: see `weather_numbers`.
WEATHER_INPUTS = ("rain", "temperature", "fog", "snow", "ice")

#: mm/h in the place of words, within the AMS's classes light, moderate and heavy.
_MM_H_OF_WORDS = (0.0, 1.0, 5.0, 10.0)
#: Numbers are about as large as 1; what is not known becomes 0, a mild and dry day.
_MILD_CELSIUS = _CELSIUS_APART = 10.0
_METRES_PER_KM = 1000.0


class Reading(NamedTuple):
    """A reading and when it came, in seconds since the epoch, by the time of its record."""

    received: float
    reading: WeatherObserved


class Middle(NamedTuple):
    """The middle of a road graph, degrees WGS 84."""

    latitude: float
    longitude: float


def middle_of(graph: RoadGraph) -> Middle:
    """Between the outermost nodes."""
    return Middle(
        float(graph.node_lat.min() + graph.node_lat.max()) / 2, float(graph.node_lon.min() + graph.node_lon.max()) / 2
    )


def weather_numbers(reading: WeatherObserved, settings: WeatherSettings) -> tuple[float, ...]:
    """The numbers of `WEATHER_INPUTS`, NaN where the reading does not say.

    Rain is the logarithm of 1 + mm/h; temperature is in tens of °C from 10 °C; the others are 0, 0.5 or 1.
    """
    weather = Weather(reading, settings)
    words = reading.condition is not None
    mm_h = weather.mm_h
    if mm_h is None and words:
        mm_h = _MM_H_OF_WORDS[weather.words.rain]
    falls_known = mm_h is not None
    snow = 1.0 if weather.is_snow_only else 0.5 if weather.words.snow else 0.0
    return (
        nan if mm_h is None else 0.0 if weather.is_snow_only else log1p(mm_h),
        nan if reading.temperature is None else (reading.temperature - _MILD_CELSIUS) / _CELSIUS_APART,
        weather.fog / 2 if words or reading.visibility is not None else nan,
        snow if falls_known else nan,
        weather.ice / 2 if words or reading.temperature is not None else nan,
    )


def nearest_reading(readings: Iterable[WeatherObserved], middle: Middle, reach_km: float) -> WeatherObserved | None:
    """That of the station nearest to a place; of two as near, that of the first name. None is within reach of it."""
    found, least = None, (inf, "")
    for one in readings:
        ends = (np.array([one.latitude]), np.array([one.longitude]))
        metres = float(metres_along(*ends, np.array([middle.latitude]), np.array([middle.longitude]))[0])
        if metres <= reach_km * _METRES_PER_KM and (metres, one.station) < least:
            found, least = one, (metres, one.station)
    return found


def weather_of_steps(
    readings: Sequence[Reading],
    first_step: int,
    steps: int,
    step_seconds: int,
    middle: Middle,
    settings: WeatherSettings,
) -> Floats:
    """The numbers of each step, shape (steps, numbers), NaN where nothing is known.

    Args:
        readings: in the order in which they came, from before the first step on.
        first_step: number of the first step since the epoch.
        steps: how many.
        step_seconds: length of a step.
        middle: of the road graph.
        settings: of the weather.
    """
    found = np.full((steps, len(WEATHER_INPUTS)), np.nan, np.float32)
    newest: dict[str, Reading] = {}
    place, longest = 0, settings.current_minutes * 60
    for step in range(steps):
        end = (first_step + step + 1) * step_seconds
        while place < len(readings) and readings[place].received < end:
            newest[readings[place].reading.station] = readings[place]
            place += 1
        newest = {name: one for name, one in newest.items() if end - one.received <= longest}
        nearest = nearest_reading((one.reading for one in newest.values()), middle, settings.station_reach_km)
        if nearest is not None:
            found[step] = weather_numbers(nearest, settings)
    return found
