"""What the words of road data say: `oneway`, `maxspeed`, `lanes` and access, as OpenStreetMap and its tools write them.

Values come as text, number, boolean, list, or text that looks like a list (GraphML, GeoPackage). A value is *told*
unless it is missing, NaN, or a text that stands for that.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from models.text_numbers import number
from trafficapp.roads.graph.checks import FASTEST_FREE_FLOW_KMH, MOST_LANES, SLOWEST_FREE_FLOW_KMH

#: Texts that pandas and its relatives write where there is nothing. ``none`` in small letters is a speed without limit.
_NOTHING = frozenset({"", "nan", "NaN", "None", "<NA>", "NaT", "null"})
#: No tag of OpenStreetMap is longer than 255 characters; lists of a few hundred ids are not either.
_LONGEST_LIST = 20_000

_YES = frozenset({"yes", "true", "1"})
_NO = frozenset({"no", "false", "0"})
_BACK = frozenset({"-1", "reverse"})
#: Known, but which way one may drive depends on the time: routers leave such ways out.
_BY_THE_HOUR = frozenset({"reversible", "alternating"})
_ROUND = frozenset({"roundabout", "circular"})

KMH_PER_MPH = 1.609344
KMH_PER_KNOT = 1.852
#: German motorways have no limit, but a recommended speed (Autobahn-Richtgeschwindigkeits-Verordnung).
NO_LIMIT_KMH = 130.0
#: "Schrittgeschwindigkeit" as German courts read it.
WALK_KMH = 7.0
_UNTOLD_SPEEDS = frozenset({"signals", "variable", "implicit", "default", "unknown"})
_SPEED = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(km/h|kmh|kph|km/u|mph|knots|kn)?")
_SEPARATOR = re.compile(r"[;|,]")
_DECIMAL_COMMA = re.compile(r"([0-9]),([0-9])(?![0-9])")
_UNITS = {"mph": KMH_PER_MPH, "knots": KMH_PER_KNOT, "kn": KMH_PER_KNOT}
_IMPLIED = re.compile(r"([a-z]{2}):(.+)")
_ZONE = re.compile(r"(?:zone:?)?([0-9]{1,3})")
#: Limits that a country's law sets, km/h; what is not listed by country is as in most of Europe (OSRM, car.lua).
_BY_LAW = {
    "urban": 50.0,
    "rural": 90.0,
    "trunk": 110.0,
    "motorway": 130.0,
    "living_street": WALK_KMH,
    "bicycle_road": 30.0,
    "nsl_single": 60 * KMH_PER_MPH,
    "nsl_dual": 70 * KMH_PER_MPH,
}
_BY_LAW_THERE = {
    "at:rural": 100.0,
    "at:trunk": 100.0,
    "by:urban": 60.0,
    "by:motorway": 110.0,
    "ch:rural": 80.0,
    "ch:trunk": 100.0,
    "ch:motorway": 120.0,
    "de:rural": 100.0,
    "dk:rural": 80.0,
    "fr:rural": 80.0,
    "gb:motorway": 70 * KMH_PER_MPH,
    "nl:rural": 80.0,
    "nl:trunk": 100.0,
    "no:rural": 80.0,
    "no:motorway": 110.0,
    "ph:urban": 40.0,
    "ph:rural": 80.0,
    "ph:motorway": 100.0,
    "pl:rural": 100.0,
    "pl:motorway": 140.0,
    "ro:trunk": 100.0,
    "ru:living_street": 20.0,
    "ru:urban": 60.0,
    "ru:motorway": 110.0,
    "uk:motorway": 70 * KMH_PER_MPH,
    "za:urban": 60.0,
    "za:rural": 100.0,
}
#: What is driven on roads without a told speed, km/h (OSRM, profiles/car.lua).
USUAL_KMH = {
    "motorway": 90.0,
    "motorway_link": 45.0,
    "trunk": 85.0,
    "trunk_link": 40.0,
    "primary": 65.0,
    "primary_link": 30.0,
    "secondary": 55.0,
    "secondary_link": 25.0,
    "tertiary": 40.0,
    "tertiary_link": 20.0,
    "unclassified": 25.0,
    "residential": 25.0,
    "road": 25.0,
    "living_street": 10.0,
    "service": 15.0,
}
#: Kinds of ways on which no car drives.
_NO_ROADS = frozenset(
    {
        "footway",
        "cycleway",
        "path",
        "pedestrian",
        "steps",
        "bridleway",
        "corridor",
        "elevator",
        "escalator",
        "platform",
        "bus_guideway",
        "busway",
        "bus_stop",
        "raceway",
        "construction",
        "proposed",
        "planned",
        "abandoned",
        "razed",
        "disused",
        "no",
    }
)
#: Who may drive, the most special first: what it says of cars counts.
_ACCESS = ("motorcar", "motor_vehicle", "vehicle", "access")
_MAY = _YES | {
    "permissive",
    "designated",
    "official",
    "destination",
    "customers",
    "delivery",
    "permit",
    "public",
    "residents",
    "unknown",
    "discouraged",
}
_MAY_NOT = _NO | {
    "private",
    "agricultural",
    "forestry",
    "emergency",
    "military",
    "psv",
    "bus",
    "taxi",
    "hov",
    "variable",
}


class UnknownValueError(ValueError):
    """A value that says nothing; the message names it."""


class LeftOutError(ValueError):
    """A way that is no road for cars, or not at all times; the message says by which value."""


class Directions(NamedTuple):
    """Which ways one may drive, against the order in which a line is drawn."""

    forward: bool
    back: bool


def texts(value: Any) -> list[str]:
    """What a value tells, piece by piece; empty when it tells nothing. Whole numbers are written without ``.0``."""
    if value is None or value != value:
        return []
    if isinstance(value, list | tuple | set | frozenset):
        return [text for one in value for text in texts(one)]
    if isinstance(value, float) and value.is_integer():
        return [str(int(value))]
    text = str(value).strip()
    if text.startswith("[") and text.endswith("]") and len(text) < _LONGEST_LIST and text.count("[") == 1:
        try:
            return texts(ast.literal_eval(text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
        # a list of names, one of which is not in quotes
        return [text]
    return [] if text in _NOTHING else [text]


def as_directions(oneway: Any, junction: Any = None, highway: Any = None) -> Directions:
    """The directions of a way.

    Args:
        oneway: yes, true, 1; no, false, 0; -1, reverse; or a boolean, a number, a list of one of them.
        junction: of roundabouts, which go one way unless `oneway` says no.
        highway: of motorways, likewise.

    Raises:
        UnknownValueError: `oneway` says something else.
        LeftOutError: the direction depends on the hour.
    """
    found = {_direction(text) for text in texts(oneway)}
    if len(found) > 1:
        raise UnknownValueError(f"oneway says several things at once: {_shown(oneway)}")
    if found:
        return found.pop()
    implied = any(text.lower() in _ROUND for text in texts(junction)) or _kinds(highway) == ["motorway"]
    return Directions(True, not implied)


def _direction(text: str) -> Directions:
    word = _whole(text.lower())
    if word in _YES:
        return Directions(True, False)
    if word in _NO:
        return Directions(True, True)
    if word in _BACK:
        return Directions(False, True)
    if word in _BY_THE_HOUR:
        raise LeftOutError(f"oneway={word}")
    raise UnknownValueError(f"oneway is neither yes, no nor -1: {_shown(text)}")


def as_speed_kmh(value: Any) -> float | None:
    """A speed: km/h, or with its unit, or the words of OpenStreetMap; of several the mean; None when nothing is told.

    Raises:
        UnknownValueError: it is no speed.
    """
    if isinstance(value, bool):
        raise UnknownValueError(f"speed is no number: {_shown(value)}")
    if isinstance(value, int | float):
        return float(value) if value == value else None
    speeds = [speed for text in texts(value) for part in _parts(text) if (speed := _one_speed(part)) is not None]
    return sum(speeds) / len(speeds) if speeds else None


def as_limit_kmh(value: Any) -> float | None:
    """A speed limit: as `as_speed_kmh`, and a road may have it.

    Raises:
        UnknownValueError: it is no speed, or none of a road, as 0 is.
    """
    speed = as_speed_kmh(value)
    if speed is not None and not SLOWEST_FREE_FLOW_KMH <= speed <= FASTEST_FREE_FLOW_KMH:
        raise UnknownValueError(f"no road has such a speed: {_shown(value)}")
    return speed


def _parts(text: str) -> list[str]:
    """The values of a text that lists some; a comma before a single digit is a decimal one."""
    return [part for one in _SEPARATOR.split(_DECIMAL_COMMA.sub(r"\1.\2", text)) if (part := one.strip())]


def _one_speed(text: str) -> float | None:
    word = text.lower()
    if found := _SPEED.fullmatch(word):
        return float(found[1]) * _UNITS.get(found[2], 1.0)
    if word == "none":
        return NO_LIMIT_KMH
    if word == "walk":
        return WALK_KMH
    if word in _UNTOLD_SPEEDS:
        return None
    if found := _IMPLIED.fullmatch(word):
        if word in _BY_LAW_THERE:
            return _BY_LAW_THERE[word]
        if found[2] in _BY_LAW:
            return _BY_LAW[found[2]]
        if zone := _ZONE.fullmatch(found[2]):
            return float(zone[1]) * (KMH_PER_MPH if found[1] in {"gb", "uk", "us"} else 1.0)
    raise UnknownValueError(f"speed is no number: {_shown(text)}")


def usual_kmh(highway: Any) -> float | None:
    """What is driven on roads of a kind; of several kinds the mean; None when none is known."""
    speeds = [USUAL_KMH[kind] for kind in _kinds(highway) if kind in USUAL_KMH]
    return sum(speeds) / len(speeds) if speeds else None


def as_lanes(value: Any) -> int | None:
    """A number of lanes, of several the least; None when nothing is told.

    Raises:
        UnknownValueError: it is no number.
    """
    found = []
    for text in texts(value):
        for part in _parts(text):
            try:
                found.append(round(max(-1.0, min(number(part), 99.0))))
            except ValueError:
                raise UnknownValueError(f"lanes is no number: {_shown(part)}") from None
    return min(found) if found else None


def as_lane_count(value: Any) -> int | None:
    """A number of lanes: as `as_lanes`, and a road may have so many.

    Raises:
        UnknownValueError: it is no number, or none of a road, as 0 is.
    """
    lanes = as_lanes(value)
    if lanes is not None and not 1 <= lanes <= MOST_LANES:
        raise UnknownValueError(f"no road has so many lanes: {_shown(value)}")
    return lanes


def as_yes_or_no(value: Any, name: str) -> bool | None:
    """A yes or a no as boolean, number or text; None when nothing is told.

    Raises:
        UnknownValueError: something else.
    """
    words = {_whole(text.lower()) for text in texts(value)}
    if not words:
        return None
    if words <= _YES:
        return True
    if words <= _NO:
        return False
    raise UnknownValueError(f"{name} is neither yes nor no: {_shown(value)}")


def check_for_cars(tags: Mapping[str, Any]) -> None:
    """Whether cars may drive a way.

    Raises:
        LeftOutError: they may not, or nobody knows.
    """
    kinds = _kinds(tags.get("highway"))
    if kinds and all(kind in _NO_ROADS for kind in kinds):
        raise LeftOutError(f"highway={kinds[0]}")
    if "yes" in texts(tags.get("area")):
        raise LeftOutError("area=yes")
    for name in _ACCESS:
        if words := [_whole(text.lower()) for one in texts(tags.get(name)) for text in one.split(";")]:
            # where a line was put together of several ways, one that is closed closes it
            closed = [word for word in words if word.strip() not in _MAY]
            if closed and (len(texts(tags.get(name))) > 1 or len(closed) == len(words)):
                known = "" if closed[0] in _MAY_NOT else " (not known)"
                raise LeftOutError(f"{name}={closed[0][:40]}{known}")
            return


def _kinds(highway: Any) -> list[str]:
    return [text.lower().removeprefix("highway.") for text in texts(highway)]


def _whole(word: str) -> str:
    """``1.0`` as ``1``: a column of numbers with gaps holds fractions."""
    return word.removesuffix(".0")


def _shown(value: Any) -> str:
    return repr(str(value)[:40])


class Remarks:
    """What was left out or not understood, counted by reason, to be told once."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, reason: str, where: str) -> None:
        """Count a place; the first one is named."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        self._first.setdefault(reason, where)

    def lines(self) -> Iterable[str]:
        """One line a reason, the most frequent first."""
        for reason, count in sorted(self._counts.items(), key=lambda item: -item[1]):
            yield f"{count:,} × {reason} (first: {self._first[reason]})"
