"""The weather on the roads of the city, for rounds of predictions: looked up in Redis, and no round waits for it long.

It is what the newest records of ``weather-current`` say, no part of the state that rounds write: decision 0018.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from redis.asyncio import Redis

from trafficapp.forecast.clock import Floats
from trafficapp.forecast.weather_inputs import middle_of, nearest_reading, weather_numbers
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.settings import WeatherSettings
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.weather.stations import stations_now
from trafficapp.weather.road_weather import (
    EdgePlaces,
    RoadWeather,
    StationWeather,
    WeatherOfRoads,
    current_stations,
)

logger = logging.getLogger(__name__)

#: Weather is as old as its readings, which come every minute at most; rounds come every two seconds.
_LOOK_AGAIN_SECONDS = 10.0
#: Predictions do not wait longer for Redis.
_WITHIN_SECONDS = 0.5


class CityWeather:
    """The weather, as it was looked up last.

    Args:
        redis: closed by its owner.
        settings: of the weather.
        graph: whose edges have weather.
    """

    def __init__(self, redis: Redis, settings: WeatherSettings, graph: RoadGraph) -> None:
        self._redis, self._settings, self._graph = redis, settings, graph
        self._places, self._middle = EdgePlaces(graph), middle_of(graph)
        self._stations: tuple[StationWeather, ...] = ()
        self._weather: RoadWeather | None = None
        self._looked_at = -_LOOK_AGAIN_SECONDS

    async def of_roads(self, edges: Mapping[str, Sequence[tuple[str, float]]]) -> WeatherOfRoads | None:
        """The weather of roads; None when nothing is known of it, or it slows nobody.

        Args:
            edges: the edges of each road, with the share that it covers.
        """
        await self._look()
        if self._weather is None or not self._weather.version:
            return None
        return WeatherOfRoads(self._weather, self._graph.position_of_edge, edges)

    def numbers(self) -> Floats | None:
        """The weather of the city as models take it, as it was looked up last; None when nothing is known."""
        readings = (one.reading for one in self._stations if one.reading is not None)
        nearest = nearest_reading(readings, self._middle, self._settings.station_reach_km)
        return None if nearest is None else np.array(weather_numbers(nearest, self._settings), np.float32)

    async def _look(self) -> None:
        now = datetime.now(UTC)
        stations = current_stations(self._stations, now, self._settings.current_minutes)
        if time.monotonic() - self._looked_at >= _LOOK_AGAIN_SECONDS:
            self._looked_at = time.monotonic()
            try:
                async with asyncio.timeout(_WITHIN_SECONDS):
                    stations = await stations_now(self._redis, self._settings, now)
            except (TimeoutError, *UNAVAILABLE) as error:
                logger.debug("the weather cannot be looked up, what is known of it grows old: %s", error)
        if stations != self._stations:
            self._stations = stations
            self._weather = await asyncio.to_thread(self._places.weather, stations, self._settings.station_reach_km)
