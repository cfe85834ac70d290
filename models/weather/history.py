"""Readings of a station as they are kept: ``/api/weather/{station}/history``."""

from __future__ import annotations

from msgspec import Struct


class ObservedWeather(Struct, frozen=True, kw_only=True):
    """A reading as the station told it; null was not told. Units as in `models.weather.readings.WeatherReading`.

    Attributes:
        timestamp: when it was observed, RFC 3339, by the station's clock.
        received_at: when it came, by the broker's clock.
    """

    station: str
    timestamp: str
    received_at: str
    latitude: float
    longitude: float
    temperature: float | None
    weather_condition: str | None
    humidity: float | None
    wind_speed: float | None
    wind_gust: float | None
    precipitation: float | None
    visibility: float | None
    air_quality_index: float | None
    pm2_5: float | None
