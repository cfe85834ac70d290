"""What the rules about weather are given: a reading that was accepted, by its station."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class WeatherObserved(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A reading; None is not known.

    Attributes:
        station: its name.
        observed_us: when it was observed, microseconds since the epoch.
        latitude, longitude: degrees WGS 84.
        temperature: °C.
        condition: in words.
        humidity: percent.
        wind_speed, wind_gust: km/h.
        precipitation: mm, as it was told.
        visibility: metres.
        air_quality_index: as it was told.
        pm2_5: µg/m³.
    """

    station: str
    observed_us: int
    latitude: float
    longitude: float
    temperature: float | None = None
    condition: str | None = None
    humidity: float | None = None
    wind_speed: float | None = None
    wind_gust: float | None = None
    precipitation: float | None = None
    visibility: float | None = None
    air_quality_index: float | None = None
    pm2_5: float | None = None


encode_observed = msgspec.json.Encoder().encode
