"""Reads from Redis what stations say of speeds, now."""

from __future__ import annotations

import logging
from datetime import datetime

from redis.asyncio import Redis

from models.weather.current import decode_current_weather
from trafficapp.settings import WeatherSettings
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.documents import readable
from trafficapp.weather.feeds import CURRENT_WEATHER
from trafficapp.weather.road_weather import StationWeather, current_stations, station_weather

logger = logging.getLogger(__name__)


async def stations_now(client: Redis, settings: WeatherSettings, now: datetime) -> tuple[StationWeather, ...]:
    """Stations whose newest reading is current, in order of their names.

    Args:
        client: of Redis.
        settings: of the weather.
        now: aware.

    Raises:
        Exception: one of `trafficapp.stores.redis.connection.UNAVAILABLE`.
    """
    documents = CurrentDocuments(client, CURRENT_WEATHER)
    found = readable(
        await documents.documents(await documents.keys()),
        lambda document: station_weather(decode_current_weather(document)),
        CURRENT_WEATHER.name,
    )
    return current_stations(found, now, settings.current_minutes)
