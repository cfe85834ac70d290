"""Weather stations of the simulated city: the rain that slows its traffic, and what else there is of weather."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from math import cos, pi

import numpy as np
import orjson

from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.settings import WeatherSettings
from trafficapp.simulation.feeds.forms import LocalClock, MessageIds
from trafficapp.sources.outgoing import Outgoing
from trafficapp.weather.topics import WEATHER_DATA

TELL_SECONDS = 60

#: Stations: name, and where they are in the graph's box, as shares from south to north and from west to east.
_STATIONS: tuple[tuple[str, float, float], ...] = (("ws-1", 0.25, 0.75), ("ws-2", 0.5, 0.2), ("ws-3", 0.85, 0.6))
#: Mean temperature of a year, half of what months and hours differ, degrees Celsius; the coldest day and hour.
_MEAN_CELSIUS, _OF_MONTHS, _OF_HOURS, _COLDEST_DAY, _COLDEST_HOUR = 14.0, 9.0, 4.0, 17, 5
#: It freezes never: snow and ice would slow roads in another way than this city knows.
_LEAST_CELSIUS = 4.0
_KNOT_SECONDS = 3600
_RAIN_WORDS = ("Light rain", "Rain", "Heavy rain")


class Stations:
    """Tells the weather.

    Args:
        graph: the road graph.
        seed: of all chance.
        clock: of the stations.
        ids: of messages.
    """

    def __init__(self, graph: RoadGraph, seed: int, clock: LocalClock, ids: MessageIds) -> None:
        self._seed, self._clock, self._ids = seed, clock, ids
        south, north = float(graph.node_lat.min()), float(graph.node_lat.max())
        west, east = float(graph.node_lon.min()), float(graph.node_lon.max())
        self._places = [
            (name, [round(south + up * (north - south), 5), round(west + right * (east - west), 5)])
            for name, up, right in _STATIONS
        ]
        settings = WeatherSettings()
        self._rain_from = settings.moderate_rain_mm_h, settings.heavy_rain_mm_h

    def readings(
        self, second: int, local: datetime, rain_mm_h: float, demand: float, time_us: int
    ) -> Iterator[Outgoing]:
        """Yield what is told in a second.

        Args:
            second: since the start; in the first one, all stations tell.
            local: the time in the city.
            rain_mm_h: how much it rains.
            demand: how many are under way, as a share of the morning peak.
            time_us: when that is.
        """
        for place, (name, location) in enumerate(self._places):
            if second and second % TELL_SECONDS != place * TELL_SECONDS // len(self._places):
                continue
            message = {
                "id": self._ids.next(),
                "device_id": name,
                "timestamp": self._clock.naive(time_us),
                "location": location,
                **self._weather(place, local, rain_mm_h, demand),
            }
            yield Outgoing(time_us, str(message["id"]).encode(), orjson.dumps(message), 0, WEATHER_DATA)

    def _weather(self, place: int, local: datetime, rain_mm_h: float, demand: float) -> dict[str, object]:
        """What a station measures; precipitation is what falls in an hour at this rate."""
        hour = local.hour + local.minute / 60
        season = cos(2 * pi * (local.timetuple().tm_yday - _COLDEST_DAY) / 365)
        daily = cos(2 * pi * (hour - _COLDEST_HOUR) / 24)
        celsius = _MEAN_CELSIUS - _OF_MONTHS * season - _OF_HOURS * daily + 2.0 * self._slow(1, local)
        celsius += 0.3 * self._slow(10 + place, local) - (2.0 if rain_mm_h else 0.0)
        clouds = self._slow(2, local)
        wind_kmh = abs(9 + 5 * self._slow(3, local) + 1.5 * self._slow(20 + place, local))
        humidity = 90.0 if rain_mm_h else 60 + 10 * daily + 8 * clouds
        index = 45 + 30 * demand + 12 * self._slow(4, local) + 3 * self._slow(30 + place, local)
        return {
            "temperature": round(max(celsius, _LEAST_CELSIUS), 1),
            "weather_condition": self._words(rain_mm_h, clouds),
            "humidity": round(min(max(humidity, 20.0), 100.0), 1),
            "wind_speed": round(min(wind_kmh, 40.0), 1),
            "precipitation": rain_mm_h,
            "airQualityIndex": round(min(max(index * (0.7 if rain_mm_h else 1.0), 10.0), 200.0), 2),
        }

    def _words(self, rain_mm_h: float, clouds: float) -> str:
        if rain_mm_h:
            return _RAIN_WORDS[(rain_mm_h >= self._rain_from[0]) + (rain_mm_h > self._rain_from[1])]
        return "Clear" if clouds < -0.3 else "Partly cloudy" if clouds < 0.6 else "Overcast"

    def _slow(self, purpose: int, local: datetime) -> float:
        """Noise of about -2 to 2 that changes over hours; a function of seed and time alone."""
        knot, rest = divmod(local.timestamp(), _KNOT_SECONDS)
        share = rest / _KNOT_SECONDS
        before, after = (_knot(self._seed, purpose, int(knot) + step) for step in (0, 1))
        return before * (1 - share) + after * share


@lru_cache(maxsize=256)
def _knot(seed: int, purpose: int, knot: int) -> float:
    """Mean of the noise of some hours, so that neighbours are alike."""
    drawn = [np.random.default_rng([seed, 8, purpose, hour]).normal() for hour in range(knot, knot + 4)]
    return float(sum(drawn)) / 2
