"""The weather on the roads of a worker's graph: looked up now and then, and exchanged in one step."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.settings import WeatherSettings
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.weather.stations import stations_now
from trafficapp.weather.road_weather import EdgePlaces, RoadWeather, StationWeather, current_stations


class WeatherNow:
    """Keeps the newest weather.

    Args:
        settings: of the weather.
        graph: whose edges have weather.
    """

    def __init__(self, settings: WeatherSettings, graph: RoadGraph) -> None:
        self._settings = settings
        self._places = EdgePlaces(graph)
        self._stations: tuple[StationWeather, ...] = ()
        self._weather = self._places.weather((), settings.station_reach_km)

    @property
    def newest(self) -> RoadWeather:
        """The weather as it was looked up last."""
        return self._weather

    def at(self, departure: datetime, now: datetime) -> RoadWeather | None:
        """What a departure meets; None for one that is too far ahead, or when nothing is slowed."""
        if not self._weather.version or departure - now > timedelta(minutes=self._settings.holds_minutes):
            return None
        return self._weather

    async def look(self, client: Redis) -> None:
        """Look it up; while Redis is away, what was known grows old.

        Raises:
            Exception: one of `trafficapp.stores.redis.connection.UNAVAILABLE`.
        """
        now = datetime.now(UTC)
        try:
            stations = await stations_now(client, self._settings, now)
        except UNAVAILABLE:
            await self._take(current_stations(self._stations, now, self._settings.current_minutes))
            raise
        await self._take(stations)

    async def _take(self, stations: tuple[StationWeather, ...]) -> None:
        if stations != self._stations:
            self._stations = stations
            self._weather = await asyncio.to_thread(self._places.weather, stations, self._settings.station_reach_km)
