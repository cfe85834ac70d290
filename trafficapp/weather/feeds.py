"""The feeds of weather and air: what stations send, the rules over it, and what these tell.

Readings take one way into Postgres, each of them, and another one to the rules of their station. What these tell of
the newest goes into Redis; steps of alerts into both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec import Struct, structs

from models.timestamps import epoch_us
from models.weather.alerts import WeatherAlert
from models.weather.current import CurrentWeather, decode_current_weather, encode_current_weather
from models.weather.observed import WeatherObserved
from models.weather.readings import WeatherReading, forgive_reading
from trafficapp.feeds.city_alerts import alert_feed
from trafficapp.feeds.declaration import RECORD_TIME, Column, Convert, Current, Feed, History, Sends
from trafficapp.feeds.rules import MakeRules, Rules
from trafficapp.quality.city_sources import CITY_SOURCES, beside, station_readings
from trafficapp.settings import Settings
from trafficapp.weather.stations import WeatherStations
from trafficapp.weather.topics import WEATHER_ALERTS, WEATHER_CURRENT, WEATHER_DATA

#: How long what a station told stays in Redis after it came.
CURRENT_SECONDS = 1800

_NOON = "2026-01-14T12:00:00Z"
_TEXT = Column("text")
_REAL = Column("double precision")


def _make(settings: Settings) -> MakeRules:
    return lambda partition, rows: WeatherStations(settings.weather, settings.weather_factors, rows)


def _observed(settings: Settings) -> Convert:
    def messages(reading: WeatherReading, time_us: int) -> Iterable[tuple[str, Struct]]:
        observed = WeatherObserved(
            station=reading.device_id,
            observed_us=time_us,
            latitude=reading.location[0],
            longitude=reading.location[1],
            temperature=reading.temperature,
            condition=reading.weather_condition,
            humidity=reading.humidity,
            wind_speed=reading.wind_speed,
            wind_gust=reading.wind_gust,
            precipitation=reading.precipitation,
            visibility=reading.visibility,
            air_quality_index=reading.air_quality_index,
            pm2_5=reading.pm2_5,
        )
        return ((reading.device_id, observed),)

    return messages


def _as_of(settings: Settings) -> Callable[[bytes, datetime], bytes]:
    longest_us = settings.weather.current_us

    def as_of(document: bytes, now: datetime) -> bytes:
        # the rules tell of silence by their partition's clock, which may stand still; the age says it all the same
        current = decode_current_weather(document)
        age_us = max(epoch_us(now) - epoch_us(current.received_at), 0)
        is_current = current.is_current and age_us <= longest_us
        changed = structs.replace(current, age_seconds=round(age_us / 1e6, 1), is_current=is_current)
        return encode_current_weather(changed)

    return as_of


WEATHER_RULES: Rules[WeatherObserved] = Rules(
    name="weather",
    summary="The newest weather of each station, and alerts about it.",
    key="station",
    shape=WeatherObserved,
    make=_make,
)

WEATHER_READINGS = Feed(
    name="weather-readings",
    summary="Readings of weather stations.",
    topic=WEATHER_DATA,
    shape=WeatherReading,
    sample=WeatherReading(
        device_id="station-7",
        timestamp=_NOON,
        location=[44.4949, 11.3426],
        temperature=11.5,
        weather_condition="Rain",
        humidity=91.0,
        wind_speed=14.0,
        precipitation=8.2,
        air_quality_index=73.4,
    ),
    key="device_id",
    zone=lambda settings: settings.weather.time_zone,
    future_seconds=lambda settings: settings.weather.future_seconds,
    place=lambda reading: (reading.location[0], reading.location[1]),
    forgive=forgive_reading,
    sends=Sends(to=(WEATHER_RULES, CITY_SOURCES), messages=beside(_observed, station_readings), with_origin=True),
    history=History(
        table="weather_observations",
        columns={
            "station": Column("text", of="device_id"),
            "observed_at": Column("timestamptz", of="timestamp"),
            "received_at": Column("timestamptz", of=RECORD_TIME),
            "location": Column("double precision[]"),
            "temperature": _REAL,
            "weather_condition": _TEXT,
            "humidity": _REAL,
            "wind_speed": _REAL,
            "wind_gust": _REAL,
            "precipitation": _REAL,
            "visibility": _REAL,
            "air_quality_index": _REAL,
            "pm2_5": _REAL,
        },
        key=("station", "observed_at"),
        partitioned_by="observed_at",
        days=lambda settings: settings.weather.observations_days,
    ),
)

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
        as_of=_as_of,
    ),
)

WEATHER_ALERTED = alert_feed(
    WEATHER_ALERTS,
    "Alerts about weather and air: bad air, heavy rain, fog, ice, wind.",
    WeatherAlert,
    WeatherAlert(
        alert_id="4d2ee43c-7c20-5bb4-9d0e-3dc0a2f1b2d5",
        revision=0,
        alert_type="heavy_rain",
        state="opened",
        severity="WARNING",
        subject="station-7",
        title="Heavy rain",
        message="Station station-7: heavy rain, 8.2 mm/h",
        timestamp=_NOON,
        opened_at=_NOON,
        latitude=44.4949,
        longitude=11.3426,
        station="station-7",
        level="heavy rain",
        value=8.2,
        unit="mm/h",
    ),
    "/api/weather/alerts",
)

WEATHER_FEEDS = (WEATHER_READINGS, CURRENT_WEATHER, WEATHER_ALERTED)
