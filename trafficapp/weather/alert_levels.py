"""How bad each kind of weather is: thresholds, names, severities, words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from models.city_alerts import AlertSeverity
from models.weather.alerts import WeatherAlertType
from trafficapp.settings import WeatherSettings
from trafficapp.weather.air_quality import BANDS
from trafficapp.weather.phenomena import Weather


class Level(NamedTuple):
    """How bad something is.

    Attributes:
        name: in words of its field.
        severity: of the alert.
        colour: hexadecimal digits, of the air's bands.
    """

    name: str
    severity: AlertSeverity
    colour: str | None = None

    @property
    def title(self) -> str:
        """The same as a title; a band of the air does not say what it is of."""
        return f"{self.name[0].upper()}{self.name[1:]}" if self.colour is None else f"Air: {self.name}"


#: What a reading says of one kind of weather: the highest level whose threshold is reached, 0 is none; the highest
#: level that holds on if it was reached before, at least as high; what was measured, None where words say it.
Judged: TypeAlias = tuple[int, int, float | None]


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One kind of alert.

    Attributes:
        alert_type: its name.
        title: a few words.
        unit: of its value; "" has none.
        levels: from the least bad on.
        judge: what a reading says of it; None where it says nothing.
    """

    alert_type: WeatherAlertType
    title: str
    unit: str
    levels: tuple[Level, ...]
    judge: Callable[[Weather], Judged | None]


def alert_rules(settings: WeatherSettings) -> tuple[AlertRule, ...]:
    """All kinds of alerts, as the settings have them."""
    return (
        _air_quality(settings),
        AlertRule(
            "heavy_rain",
            "Heavy rain",
            "mm/h",
            (Level("heavy rain", "WARNING"), Level("violent rain", "CRITICAL")),
            lambda weather: _rain(weather, settings),
        ),
        AlertRule(
            "fog",
            "Fog",
            "m",
            (Level("fog", "WARNING"), Level("dense fog", "CRITICAL")),
            lambda weather: _fog(weather, settings),
        ),
        AlertRule(
            "ice",
            "Ice",
            "°C",
            (Level("ice", "WARNING"), Level("freezing rain or black ice", "CRITICAL")),
            lambda weather: _ice(weather, settings),
        ),
        _wind(settings),
    )


def _air_quality(settings: WeatherSettings) -> AlertRule:
    severities: tuple[AlertSeverity, ...] = ("WARNING", "WARNING", "WARNING", "WARNING", "CRITICAL", "EMERGENCY")
    told = [
        (max(band.lowest, settings.air_quality_from), Level(band.name, severity, band.rgb))
        for band, severity, following in zip(BANDS, severities, (*BANDS[1:], None), strict=True)
        if following is None or following.lowest > settings.air_quality_from
    ]
    begins = [float(lowest) for lowest, _ in told]
    ends = [lowest - settings.air_quality_margin for lowest in begins]

    def judge(weather: Weather) -> Judged | None:
        index = weather.index
        return None if index is None else (_at_least(index, begins), _at_least(index, ends), index)

    return AlertRule("air_quality", "Bad air", "", tuple(level for _, level in told), judge)


def _wind(settings: WeatherSettings) -> AlertRule:
    begins = (settings.gale_kmh, settings.storm_kmh, settings.hurricane_kmh)
    ends = (settings.gale_ends_kmh, settings.storm_ends_kmh, settings.hurricane_ends_kmh)

    def judge(weather: Weather) -> Judged | None:
        kmh = weather.wind_kmh
        return None if kmh is None else (_at_least(kmh, begins), _at_least(kmh, ends), kmh)

    levels = (Level("gale", "WARNING"), Level("storm", "CRITICAL"), Level("hurricane force", "CRITICAL"))
    return AlertRule("wind", "Strong wind", "km/h", levels, judge)


def _rain(weather: Weather, settings: WeatherSettings) -> Judged | None:
    mm_h = weather.mm_h
    if mm_h is None:
        if weather.reading.condition is None:
            return None
        heavy = 1 if weather.words.rain == 3 else 0
        return heavy, heavy, None
    if mm_h < settings.heavy_rain_ends_mm_h or weather.is_snow_only:
        return 0, 0, mm_h
    reached = 2 if mm_h >= settings.violent_rain_mm_h else 1 if mm_h > settings.heavy_rain_mm_h else 0
    return reached, 2 if mm_h >= settings.violent_rain_ends_mm_h else 1, mm_h


def _fog(weather: Weather, settings: WeatherSettings) -> Judged | None:
    seen_m, reached = weather.reading.visibility, weather.fog
    if seen_m is None:
        return None if weather.reading.condition is None else (reached, reached, None)
    kept = 2 if seen_m < settings.dense_fog_ends_m else 1 if seen_m < settings.fog_ends_m else 0
    return reached, kept if kept > reached else reached, seen_m


def _ice(weather: Weather, settings: WeatherSettings) -> Judged | None:
    temperature, reached = weather.reading.temperature, weather.ice
    if temperature is None:
        return None if weather.reading.condition is None else (reached, reached, None)
    if temperature > settings.ice_ends_celsius or weather.is_wet is False:
        return reached, reached, temperature
    if weather.is_wet is None:
        # it is cold enough, and nothing is known of what falls
        return None
    # where it is as cold as ice begins, and wet, rain may freeze again any time
    return reached, 2 if temperature <= settings.ice_celsius else 1, temperature


def _at_least(value: float, thresholds: Sequence[float]) -> int:
    """How many of ascending thresholds a value has reached."""
    return bisect_right(thresholds, value)
