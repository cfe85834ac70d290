"""Readings of weather stations as producers send them: topic ``weather_data``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from models.text_numbers import number

#: What was ever measured on earth is well within (WMO, World Weather and Climate Extremes Archive: -89.2 to 56.7 °C,
#: gusts of 408 km/h, 305 mm of rain in 42 minutes); beyond is a broken sensor, or another unit.
_Temperature = Annotated[float, Meta(ge=-100, le=70)]
_Speed = Annotated[float, Meta(ge=0, le=500)]
_Millimetres = Annotated[float, Meta(ge=0, le=1000)]
_Percent = Annotated[float, Meta(ge=0, le=100)]
_Metres = Annotated[float, Meta(ge=0, le=1_000_000)]
#: The index as stations tell it ends at 500.
_Index = Annotated[float, Meta(ge=0, le=500)]
_Micrograms = Annotated[float, Meta(ge=0, le=100_000)]


class WeatherReading(Struct, frozen=True, kw_only=True, gc=False):
    """What a station told; what it left out or told as null is not known. Further fields are ignored.

    Attributes:
        device_id: the station.
        timestamp: when it was observed: ISO 8601, or epoch seconds or milliseconds.
        location: latitude and longitude, degrees WGS 84.
        temperature: of the air, °C.
        weather_condition: in words, such as ``Light rain``.
        humidity: relative, percent.
        wind_speed: km/h.
        wind_gust: km/h.
        precipitation: mm within the period that ``weather.precipitation_minutes`` says.
        visibility: metres.
        air_quality_index: of the EPA's scale, called ``airQualityIndex``.
        pm2_5: fine particles, µg/m³.
    """

    device_id: Annotated[str, Meta(min_length=1, max_length=256)]
    timestamp: str | int | float
    location: Annotated[list[float], Meta(min_length=2, max_length=3)]
    temperature: _Temperature | None = None
    weather_condition: Annotated[str, Meta(max_length=256)] | None = None
    humidity: _Percent | None = None
    wind_speed: _Speed | None = None
    wind_gust: _Speed | None = None
    precipitation: _Millimetres | None = None
    visibility: _Metres | None = None
    air_quality_index: _Index | None = msgspec.field(default=None, name="airQualityIndex")
    pm2_5: _Micrograms | None = None


_NUMBERS = (
    *("temperature", "humidity", "wind_speed", "wind_gust", "precipitation", "visibility", "airQualityIndex", "pm2_5"),
)


def forgive_reading(message: dict[str, Any]) -> None:
    """Take numbers that are written as text for numbers; what says none is left as it is, to be refused."""
    for name in _NUMBERS:
        if name in message:
            message[name] = _number(message[name])
    location = message.get("location")
    if isinstance(location, list):
        message["location"] = [_number(part) for part in location]


def _number(value: Any) -> Any:
    try:
        return number(value)
    except ValueError:
        return value
