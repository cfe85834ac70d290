"""The settings about weather and air: stations, alerts, how much weather slows roads; part of `trafficapp.settings`.

Thresholds come in pairs, from where an alert is raised and where it may end, so that a value beside a threshold does
not raise and end it again and again.
"""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from trafficapp.settings.sections import Seconds, Section

_Factor = Annotated[float, Field(gt=0, le=1)]
_Minutes = Annotated[float, Field(ge=0, le=24 * 60)]

_ARTERIALS = "FHWA Road Weather Management, How Do Weather Events Impact Roads: on signalized arterials"


class WeatherFactorSettings(Section):
    """What is left of usual and free-flow speeds in each weather: 1 is all. Of several the least counts."""

    light_rain: _Factor = Field(0.90, description=f"Rain below moderate_rain_mm_h. {_ARTERIALS} 10 to 25 % less (wet).")
    moderate_rain: _Factor = Field(0.83, description="Rain in between: the middle of the same 10 to 25 %.")
    heavy_rain: _Factor = Field(0.75, description="Rain from heavy_rain_mm_h on: the end of the same 10 to 25 %.")
    snow: _Factor = Field(0.70, description=f"Snow and sleet. {_ARTERIALS} 30 to 40 % less (snowy or slushy).")
    heavy_snow: _Factor = Field(
        0.60, description="Heavy snow, by its word or visibility: the end of the same 30 to 40 %."
    )
    ice: _Factor = Field(0.60, description="Ice: nobody tells a figure of ice alone; that of the worst snow is taken.")
    fog: _Factor = Field(0.90, description="Fog. FHWA, the same table: low visibility, 10 to 12 % less.")
    dense_fog: _Factor = Field(
        0.88,
        description="Dense fog. Agarwal, Maze and Souleyrette 2005, visibility below a quarter mile: 10 to 12 % less.",
    )
    wind: _Factor = Field(
        0.92,
        description="Wind from wind_slows_kmh on. Kyte, Khatib, Shannon and Kitchener 2001: above 48 km/h free flow "
        "of 117 km/h is 9 km/h less.",
    )


class WeatherSettings(Section):
    """Weather stations, alerts about weather and air, and weather as a factor of speeds."""

    time_zone: str = Field("UTC", description="Zone of times that stations tell without an offset, as IANA names it.")
    future_seconds: Seconds | None = Field(
        None,
        description="A reading further ahead of its record is refused; nothing: none is, since clocks of some "
        "producers run ahead without end.",
    )
    precipitation_minutes: float = Field(
        60.0,
        gt=0,
        le=24 * 60,
        description="Period that the mm of precipitation fell in. WMO-No. 8: amounts are those of the past hour unless "
        "said otherwise.",
    )
    current_minutes: float = Field(
        15.0, gt=0, le=30, description="A reading that came longer ago, by its record, is not current."
    )
    silent_minutes: float = Field(
        60.0, gt=0, description="Alerts of a station of which nothing came for this long end; outages do not count."
    )
    forget_hours: float = Field(24.0, ge=1, description="A station of which nothing came for this long is forgotten.")
    raise_minutes: _Minutes = Field(
        0.0, description="How long, by times of readings, something must last until it is told: 0 is at once."
    )
    calm_minutes: float = Field(
        30.0,
        gt=0,
        le=24 * 60,
        description="How long, by times of readings, all readings must be calmer until an alert ends or says less. An "
        "alert lasts at least as long.",
    )
    air_quality_from: int = Field(
        101,
        ge=51,
        le=301,
        description="Index of the EPA from which air_quality is raised: 40 CFR part 58, appendix G, demands a "
        "statement to sensitive groups above 100.",
    )
    air_quality_margin: float = Field(10.0, ge=0, le=50, description="The air is out of a band only so far below it.")
    moderate_rain_mm_h: float = Field(2.6, gt=0, description="AMS Glossary of Meteorology, rain: moderate from here.")
    heavy_rain_mm_h: float = Field(7.6, gt=0, description="AMS Glossary of Meteorology, rain: heavy above here.")
    heavy_rain_ends_mm_h: float = Field(5.0, gt=0, description="Heavy rain has ended below here.")
    violent_rain_mm_h: float = Field(
        50.0, gt=0, description="WMO-No. 8, intensity of rain: violent from here; the alert is critical."
    )
    violent_rain_ends_mm_h: float = Field(40.0, gt=0, description="It is no longer violent below here.")
    fog_m: float = Field(1000.0, gt=0, description="WMO-No. 407, fog: visibility below 1 km.")
    fog_ends_m: float = Field(1500.0, gt=0, description="Fog has ended from here on.")
    dense_fog_m: float = Field(
        400.0, gt=0, description="US National Weather Service, dense fog advisory: a quarter mile; it is critical."
    )
    dense_fog_ends_m: float = Field(600.0, gt=0, description="Fog is no longer dense from here on.")
    ice_celsius: float = Field(
        1.0,
        description="When it is wet at this temperature of the air or below, roads may freeze: ice. Their "
        "surface is colder than the air on clear nights.",
    )
    ice_ends_celsius: float = Field(3.0, description="There is no ice above here, as car makers warn of frost below.")
    wet_mm_h: float = Field(0.1, gt=0, description="WMO-No. 8: less precipitation than this is a trace.")
    gale_kmh: float = Field(62.0, gt=0, description="Gusts, else wind. WMO-No. 8, Beaufort 8, gale: from 62 km/h.")
    gale_ends_kmh: float = Field(50.0, gt=0, description="It is no gale below here: Beaufort 7 begins at 50 km/h.")
    storm_kmh: float = Field(89.0, gt=0, description="Beaufort 10, storm: from 89 km/h; the alert is critical.")
    storm_ends_kmh: float = Field(75.0, gt=0, description="It is no storm below here: Beaufort 9 begins at 75 km/h.")
    hurricane_kmh: float = Field(118.0, gt=0, description="Beaufort 12, hurricane force: from 118 km/h.")
    hurricane_ends_kmh: float = Field(103.0, gt=0, description="Below here it is none: Beaufort 11 begins at 103 km/h.")
    wind_slows_kmh: float = Field(
        48.0, gt=0, description="Wind from which roads are slower: Kyte and others 2001, as of weather_factors.wind."
    )
    station_reach_km: float = Field(
        20.0,
        gt=0,
        le=200,
        description="A road has the weather of the nearest current station within this. WMO-No. 8 takes a station to "
        "stand for an area of tens of kilometres, of showers for far less.",
    )
    holds_minutes: float = Field(
        60.0, ge=0, le=360, description="Departures so far ahead are planned in the weather of now."
    )
    observations_days: float = Field(
        90.0, gt=0, description="Days of readings that are kept: as long as road observations, to train from both."
    )

    @property
    def current_us(self) -> int:
        """How long a reading is current, microseconds."""
        return round(self.current_minutes * 60e6)

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone such as Europe/Rome") from None
        return zone

    @model_validator(mode="after")
    def _in_order(self) -> WeatherSettings:
        rising = (
            ("moderate_rain_mm_h", "heavy_rain_mm_h", "violent_rain_mm_h"),
            ("heavy_rain_ends_mm_h", "heavy_rain_mm_h"),
            ("heavy_rain_ends_mm_h", "violent_rain_ends_mm_h", "violent_rain_mm_h"),
            ("dense_fog_m", "fog_m", "fog_ends_m"),
            ("dense_fog_m", "dense_fog_ends_m", "fog_ends_m"),
            ("ice_celsius", "ice_ends_celsius"),
            ("gale_kmh", "storm_kmh", "hurricane_kmh"),
            ("gale_ends_kmh", "gale_kmh"),
            ("gale_ends_kmh", "storm_ends_kmh", "storm_kmh"),
            ("storm_ends_kmh", "hurricane_ends_kmh", "hurricane_kmh"),
            ("current_minutes", "silent_minutes"),
        )
        for names in rising:
            values = [getattr(self, name) for name in names]
            if values != sorted(values):
                raise ValueError(f"it must hold that {' <= '.join(names)}")
        return self
