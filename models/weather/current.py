"""The weather at a station now: topic ``weather-current``, ``weather:{station}`` in Redis and ``/api/weather``."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

#: What slows roads down; `trafficapp.settings.WeatherFactorSettings` has a factor of each.
Phenomenon: TypeAlias = Literal[
    "light_rain", "moderate_rain", "heavy_rain", "snow", "heavy_snow", "ice", "fog", "dense_fog", "wind"
]


class CurrentWeather(Struct, frozen=True, kw_only=True, gc=False):
    """The newest reading of a station, and what follows from it; null is not known.

    Attributes:
        station: the ``device_id`` that its readings have.
        timestamp: when it was observed, RFC 3339, by the station's clock.
        received_at: when it came, by the broker's clock: its age counts from here.
        is_current: whether it had come less than 15 minutes before. A station that falls silent is told once more.
        age_seconds: how long before it had come, when this was told.
        latitude, longitude: degrees WGS 84.
        temperature: °C.
        weather_condition: in words, as the station told it.
        humidity: percent.
        wind_speed, wind_gust: km/h.
        precipitation: mm, as the station told it.
        precipitation_mm_h: the same within an hour.
        visibility: metres.
        pm2_5: µg/m³.
        air_quality_index: of the EPA's scale, whole: the higher of what was told and what follows from ``pm2_5``.
        air_quality_band: the EPA's name of its band.
        air_quality_colour: the EPA's colour of it, as hexadecimal digits.
        phenomena: what slows roads.
        speed_factor: what is left of usual speeds on roads around; 1 where the weather slows nobody.
    """

    station: str
    timestamp: str
    received_at: str
    is_current: bool
    age_seconds: float
    latitude: float
    longitude: float
    temperature: float | None
    weather_condition: str | None
    humidity: float | None
    wind_speed: float | None
    wind_gust: float | None
    precipitation: float | None
    precipitation_mm_h: float | None
    visibility: float | None
    pm2_5: float | None
    air_quality_index: int | None
    air_quality_band: str | None
    air_quality_colour: str | None
    phenomena: list[Phenomenon]
    speed_factor: float


encode_current_weather = msgspec.json.Encoder().encode
decode_current_weather = msgspec.json.Decoder(CurrentWeather).decode
