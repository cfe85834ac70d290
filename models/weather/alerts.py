"""Alerts about weather and air: topic ``weather_alerts``, keyed by station."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from models.city_alerts import CityAlert

WeatherAlertType: TypeAlias = Literal["air_quality", "heavy_rain", "fog", "ice", "wind"]


class WeatherAlert(CityAlert, frozen=True, kw_only=True):
    """A step of an alert about a station.

    Attributes:
        station: the same as ``subject``.
        level: how bad it is, in words of its field: the EPA's band, ``heavy rain``, ``dense fog``, ``storm``.
        colour: of the EPA's band, as hexadecimal digits; null of all but ``air_quality``.
        value: what was measured, null where only words told it or nothing is told any more.
        unit: of the value; "" of the index.
    """

    station: str
    level: str
    colour: str | None = None
    value: float | None = None
    unit: str = ""


encode_weather_alert = msgspec.json.Encoder().encode
decode_weather_alert = msgspec.json.Decoder(WeatherAlert).decode
