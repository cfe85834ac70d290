"""What a reading amounts to: rain per hour, snow, fog, ice, wind, the index of the air; and what slows roads."""

from __future__ import annotations

from collections.abc import Sequence

from models.weather.current import Phenomenon
from models.weather.observed import WeatherObserved
from trafficapp.settings import WeatherFactorSettings, WeatherSettings
from trafficapp.weather.air_quality import index_of_pm2_5, whole_index
from trafficapp.weather.condition_words import NO_WORDS, condition_words

_MINUTES_PER_HOUR = 60.0

#: Precipitation without a word for it is snow up to here.
_SNOW_CELSIUS = 0.0

_RAIN: tuple[Phenomenon, ...] = ("light_rain", "moderate_rain", "heavy_rain")


class Weather:
    """A reading, looked at.

    Attributes:
        reading: as it was told.
        words: what its words say.
        mm_h: precipitation within an hour; None when it is not known.
        index: of the air, whole; None when it is not known.
        is_snow_only: whether what falls is snow and no rain.
        is_wet: whether something falls that makes roads wet; None when nothing is known of it.
        fog: 0 none, 1 fog, 2 dense fog: the worse of what words say and how far one sees.
        ice: 0 none, 1 ice, 2 freezing rain or black ice.
        wind_kmh: gusts, else the wind.
        phenomena: all that slows roads.
    """

    __slots__ = ("fog", "ice", "index", "is_snow_only", "is_wet", "mm_h", "phenomena", "reading", "wind_kmh", "words")

    def __init__(self, reading: WeatherObserved, settings: WeatherSettings) -> None:
        self.reading = reading
        told, fell, temperature = reading.condition, reading.precipitation, reading.temperature
        words = self.words = NO_WORDS if told is None else condition_words(told)
        self.mm_h = None if fell is None else fell * (_MINUTES_PER_HOUR / settings.precipitation_minutes)
        self.index = index_of_air(reading.air_quality_index, reading.pm2_5)
        self.wind_kmh = reading.wind_speed if reading.wind_gust is None else reading.wind_gust
        falls = self.mm_h is not None and self.mm_h >= settings.wet_mm_h
        cold = temperature is not None and temperature <= _SNOW_CELSIUS
        self.is_snow_only = not words.rain and (words.snow > 0 or (falls and cold))
        wet = falls or words.rain > 0 or words.snow > 0
        self.is_wet = None if not wet and told is None and fell is None else wet
        self.ice = words.ice
        if words.ice < 2 and wet and temperature is not None and temperature <= settings.ice_celsius:
            self.ice = 2 if cold and words.rain else 1
        self.fog = words.fog
        if (seen_m := reading.visibility) is not None and seen_m < settings.fog_m:
            self.fog = 2 if seen_m < settings.dense_fog_m else words.fog or 1
        self.phenomena = self._phenomena(settings)

    def _phenomena(self, settings: WeatherSettings) -> list[Phenomenon]:
        found: list[Phenomenon] = []
        if self.is_snow_only or self.words.snow:
            found.append("heavy_snow" if self.words.snow == 2 or self._hides_the_view(settings) else "snow")
        if not self.is_snow_only and (rain := self._rain_level(settings)):
            found.append(_RAIN[rain - 1])
        if self.ice:
            found.append("ice")
        if self.fog:
            found.append("dense_fog" if self.fog == 2 else "fog")
        if self.wind_kmh is not None and self.wind_kmh >= settings.wind_slows_kmh:
            found.append("wind")
        return found

    def _rain_level(self, settings: WeatherSettings) -> int:
        """0 none, 1 light, 2 moderate, 3 heavy: as it was measured, else as words say."""
        mm_h = self.mm_h
        if mm_h is None:
            return self.words.rain
        if mm_h > settings.heavy_rain_mm_h:
            return 3
        if mm_h >= settings.moderate_rain_mm_h:
            return 2
        return 1 if mm_h >= settings.wet_mm_h or self.words.rain else 0

    def _hides_the_view(self, settings: WeatherSettings) -> bool:
        """Snow is heavy where one sees a quarter mile or less (AMS Glossary of Meteorology, snow), as in dense fog."""
        seen_m = self.reading.visibility
        return seen_m is not None and seen_m < settings.dense_fog_m


def index_of_air(told: float | None, pm2_5: float | None) -> int | None:
    """The index of the air: the highest counts, as the EPA has it for several pollutants."""
    index = None if told is None else whole_index(told)
    if pm2_5 is None:
        return index
    of_particles = index_of_pm2_5(pm2_5)
    return of_particles if index is None or of_particles > index else index


def speed_factor(phenomena: Sequence[Phenomenon], factors: WeatherFactorSettings) -> float:
    """What is left of usual speeds. The least counts: each was measured with all that comes along with it."""
    return min((getattr(factors, name) for name in phenomena), default=1.0)
