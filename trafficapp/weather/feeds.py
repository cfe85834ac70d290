"""The feeds of weather and air: what stations send, and what this application makes of it."""

from __future__ import annotations

from models.weather.current import CurrentWeather
from trafficapp.feeds.declaration import Current, Feed
from trafficapp.weather.topics import WEATHER_CURRENT

#: How long what a station told stays in Redis after it came.
CURRENT_SECONDS = 1800

CURRENT_WEATHER = Feed(
    name="weather",
    summary="The newest reading of each weather station, and what follows from it.",
    topic=WEATHER_CURRENT,
    shape=CurrentWeather,
    sample=CurrentWeather(
        station="station-7",
        timestamp="2026-01-14T12:00:00Z",
        received_at="2026-01-14T12:00:01Z",
        is_current=True,
        age_seconds=0.0,
        latitude=44.4949,
        longitude=11.3426,
        temperature=11.5,
        weather_condition="Rain",
        humidity=91.0,
        wind_speed=14.0,
        wind_gust=None,
        precipitation=8.2,
        precipitation_mm_h=8.2,
        visibility=4200.0,
        pm2_5=21.0,
        air_quality_index=73,
        air_quality_band="Moderate",
        air_quality_colour="#FFFF00",
        phenomena=["heavy_rain"],
        speed_factor=0.75,
    ),
    key="station",
    # by the broker's clock: those of stations may run ahead, and be set back
    time="received_at",
    future_seconds=None,
    is_ours=True,
    path="/api/weather",
    current=Current(
        document="weather:{key}",
        listed="weather:stations",
        seconds=CURRENT_SECONDS,
        channel="weather:told",
        sent="received_at",
    ),
)
