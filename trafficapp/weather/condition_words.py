"""What a station's words say of the weather: ``Light rain``, ``Freezing fog``, ``Thunderstorm``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_WORDS = re.compile(r"[a-z]+").findall
_NOT = frozenset({"no", "not", "without", "never"})
_LIGHT = frozenset({"light", "slight", "patchy", "little", "weak"})
_HEAVY = frozenset({"heavy", "violent", "torrential", "intense", "extreme", "severe", "strong", "dense", "thick"})
_HEAVY_RAIN = frozenset({"downpour", "downpours", "cloudburst", "rainstorm", "rainstorms"})
_THUNDER = frozenset({"thunderstorm", "thunderstorms", "thundershower", "thundershowers"})
_SHOWERS = frozenset({"shower", "showers", "showery"})
_SNOW = frozenset({"sleet", "flurry", "flurries", "graupel"})
_HEAVY_SNOW = frozenset({"blizzard", "blizzards", "snowstorm", "snowstorms"})
_ICE = frozenset({"ice", "icy", "frost", "frosty", "freezing", "frozen", "glaze", "hoarfrost"})


class ConditionWords(NamedTuple):
    """What words say: how much of each, 0 is none.

    Attributes:
        rain: 1 light, 2 moderate, 3 heavy.
        snow: 1 snow, 2 heavy snow.
        fog: 1 fog, 2 dense fog.
        ice: 1 ice, 2 freezing rain or black ice.
    """

    rain: int
    snow: int
    fog: int
    ice: int


@lru_cache(maxsize=4096)
def condition_words(text: str) -> ConditionWords:
    """Read words in English, in any case; what they do not name counts as none of it."""
    found: set[str] = set()
    denied = False
    for word in _WORDS(text.lower()):
        if word in _NOT:
            denied = True
        elif denied:
            denied = False
        else:
            found.add(word)
    light, heavy = bool(found & _LIGHT), bool(found & _HEAVY)
    drizzle = any(word.startswith("drizzl") for word in found)
    snow = bool(found & (_SNOW | _HEAVY_SNOW)) or any(word.startswith("snow") for word in found)
    rain = bool(found & (_HEAVY_RAIN | _THUNDER)) or drizzle or any(word.startswith("rain") for word in found)
    rain = rain or (bool(found & _SHOWERS) and not snow)
    fog = any(word.startswith("fog") for word in found)
    black = {"black", "ice"} <= found or "glaze" in found
    freezing_rain = "freezing" in found and rain
    return ConditionWords(
        rain=0 if not rain else 3 if heavy or found & _HEAVY_RAIN else 1 if light or drizzle else 2,
        snow=0 if not snow else 2 if heavy or found & _HEAVY_SNOW else 1,
        fog=0 if not fog else 2 if heavy else 1,
        ice=2 if black or freezing_rain else 1 if found & _ICE else 0,
    )


#: Of a station that tells no words.
NO_WORDS = ConditionWords(0, 0, 0, 0)
