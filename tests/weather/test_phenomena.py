"""What a reading amounts to, and how much it slows roads."""

from __future__ import annotations

from typing import Any

import pytest

from models.weather.observed import WeatherObserved
from trafficapp.settings import WeatherFactorSettings, WeatherSettings
from trafficapp.weather.condition_words import condition_words
from trafficapp.weather.phenomena import Weather, index_of_air, speed_factor

SETTINGS, FACTORS = WeatherSettings(), WeatherFactorSettings()


def weather(**told: Any) -> Weather:
    return Weather(WeatherObserved(station="a", observed_us=0, latitude=44.5, longitude=11.3, **told), SETTINGS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Sunny", (0, 0, 0, 0)),
        ("Cloudy", (0, 0, 0, 0)),
        ("Rain", (2, 0, 0, 0)),
        ("RAINY", (2, 0, 0, 0)),
        ("Light rain", (1, 0, 0, 0)),
        ("drizzle", (1, 0, 0, 0)),
        ("Heavy Rain", (3, 0, 0, 0)),
        ("Thunderstorm", (2, 0, 0, 0)),
        ("Showers", (2, 0, 0, 0)),
        ("Snow showers", (0, 1, 0, 0)),
        ("Snow", (0, 1, 0, 0)),
        ("heavy snow", (0, 2, 0, 0)),
        ("Blizzard", (0, 2, 0, 0)),
        ("Fog", (0, 0, 1, 0)),
        ("Foggy", (0, 0, 1, 0)),
        ("Dense fog", (0, 0, 2, 0)),
        ("Freezing fog", (0, 0, 1, 1)),
        ("Freezing rain", (2, 0, 0, 2)),
        ("Black ice", (0, 0, 0, 2)),
        ("Icy", (0, 0, 0, 1)),
        ("No rain, no fog", (0, 0, 0, 0)),
        ("train delays", (0, 0, 0, 0)),
        ("Mist", (0, 0, 0, 0)),
        ("", (0, 0, 0, 0)),
    ],
)
def test_words_are_understood(text: str, words: tuple[int, int, int, int]) -> None:
    assert condition_words(text) == words


@pytest.mark.parametrize(
    ("told", "phenomena"),
    [
        ({"precipitation": 0.0, "weather_condition": "Sunny"}, []),
        ({"precipitation": 0.09}, []),
        ({"precipitation": 0.1}, ["light_rain"]),
        ({"precipitation": 2.59}, ["light_rain"]),
        ({"precipitation": 2.6}, ["moderate_rain"]),
        ({"precipitation": 7.6}, ["moderate_rain"]),
        ({"precipitation": 7.61}, ["heavy_rain"]),
        ({"condition": "Heavy rain"}, ["heavy_rain"]),
        ({"condition": "Heavy rain", "precipitation": 1.0}, ["light_rain"]),
        ({"condition": "Rain", "precipitation": 0.0}, ["light_rain"]),
        ({"condition": "Snow", "precipitation": 20.0}, ["snow"]),
        ({"condition": "Cloudy", "precipitation": 20.0, "temperature": -5.0}, ["snow", "ice"]),
        ({"condition": "Snow", "visibility": 300.0}, ["heavy_snow", "dense_fog"]),
        ({"precipitation": 1.0, "temperature": 1.0}, ["light_rain", "ice"]),
        ({"precipitation": 1.0, "temperature": 1.1}, ["light_rain"]),
        ({"precipitation": 0.0, "temperature": -8.0}, []),
        ({"condition": "Freezing rain", "temperature": 4.0}, ["moderate_rain", "ice"]),
        ({"visibility": 999.0}, ["fog"]),
        ({"visibility": 1000.0}, []),
        ({"visibility": 399.0}, ["dense_fog"]),
        ({"condition": "Fog"}, ["fog"]),
        ({"wind_speed": 47.9}, []),
        ({"wind_speed": 48.0}, ["wind"]),
        ({"wind_speed": 20.0, "wind_gust": 70.0}, ["wind"]),
        ({}, []),
    ],
)
def test_a_reading_amounts_to_what_slows_roads(told: dict[str, Any], phenomena: list[str]) -> None:
    told = {"condition" if name == "weather_condition" else name: value for name, value in told.items()}
    assert weather(**told).phenomena == phenomena


def test_precipitation_is_of_the_period_that_the_settings_say() -> None:
    reading = weather(precipitation=2.0).reading
    assert Weather(reading, WeatherSettings(precipitation_minutes=10)).mm_h == 12.0
    assert Weather(reading, SETTINGS).mm_h == 2.0


def test_the_least_factor_counts_and_none_is_one() -> None:
    assert speed_factor([], FACTORS) == 1.0
    assert speed_factor(["light_rain", "ice", "fog"], FACTORS) == FACTORS.ice
    for name in WeatherFactorSettings.model_fields:
        assert 0 < speed_factor([name], FACTORS) < 1  # type: ignore[list-item]


def test_worse_weather_is_never_faster() -> None:
    assert FACTORS.light_rain >= FACTORS.moderate_rain >= FACTORS.heavy_rain
    assert FACTORS.snow >= FACTORS.heavy_snow
    assert FACTORS.fog >= FACTORS.dense_fog


@pytest.mark.parametrize(
    ("told", "pm2_5", "index"),
    [(None, None, None), (377.39, None, 377), (None, 9.5, 52), (40, 9.5, 52), (160, 9.5, 160)],
)
def test_the_higher_index_of_the_air_counts(told: float | None, pm2_5: float | None, index: int | None) -> None:
    assert index_of_air(told, pm2_5) == index
