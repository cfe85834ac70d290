"""Stations as tests tell of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.weather.alerts import WeatherAlert, decode_weather_alert
from models.weather.current import CurrentWeather, decode_current_weather
from models.weather.observed import WeatherObserved
from trafficapp.feeds.rules import Told, When
from trafficapp.settings import WeatherFactorSettings, WeatherSettings
from trafficapp.weather.stations import WeatherStations
from trafficapp.weather.topics import WEATHER_ALERTS, WEATHER_CURRENT

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
#: 2026-01-14T12:00:00Z
NOON = 1_768_392_000 * SECOND


def stations(rows: dict[bytes, bytes] | None = None, **settings: Any) -> WeatherStations:
    return WeatherStations(WeatherSettings(**settings), WeatherFactorSettings(), rows)


def observed(minute: float = 0, station: str = "a", **told: Any) -> WeatherObserved:
    """A reading so many minutes after noon."""
    at_us = NOON + round(minute * MINUTE)
    return WeatherObserved(station=station, observed_us=at_us, latitude=44.5, longitude=11.3, **told)


def when(minute: float) -> When:
    """A record of so many minutes after noon, read at once."""
    return When(NOON + round(minute * MINUTE), NOON + round(minute * MINUTE))


def current_in(told: Iterable[Told]) -> list[CurrentWeather]:
    return [decode_current_weather(one.value) for one in told if one.topic == WEATHER_CURRENT]


def alerts_in(told: Iterable[Told]) -> list[WeatherAlert]:
    return [decode_weather_alert(one.value) for one in told if one.topic == WEATHER_ALERTS]


def steps(told: Iterable[Told]) -> list[tuple[str, str, str]]:
    """What alerts there are: type, state, level."""
    return [(one.alert_type, one.state, one.level) for one in alerts_in(told)]
