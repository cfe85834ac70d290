"""Directions as compass words or degrees: ``N``, ``North-East``, ``south south-west``, ``eastbound``, ``135``."""

from __future__ import annotations

import re
from functools import lru_cache

#: The sixteen winds, clockwise from north, 22.5 degrees apart.
_WINDS = (
    *("n", "nne", "ne", "ene", "e", "ese", "se", "sse"),
    *("s", "ssw", "sw", "wsw", "w", "wnw", "nw", "nnw"),
)
_DEGREES_OF = {wind: place * 22.5 for place, wind in enumerate(_WINDS)}
_POINTS = {"north": "n", "south": "s", "east": "e", "west": "w"}

_POINT = re.compile("north|south|east|west")
_BETWEEN = re.compile(r"[\s_./-]+")
_BOUND = re.compile(r"(?<=[a-z])bound$")
_NUMBER = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{1,18})?\s*(?:°|deg|degrees)?").fullmatch
_LONGEST = 64


def heading_of(direction: str | float) -> float:
    """Degrees clockwise from north, in [0, 360).

    Args:
        direction: one of the sixteen winds, by letters or words, in any case, with or without hyphens, blanks or
            ``bound``; or degrees from -360 to 360, also as text.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(direction, str):
        return _of_text(direction)
    return _of_degrees(direction)


@lru_cache(maxsize=1024)
def _of_text(text: str) -> float:
    told = text.strip().lower()
    if len(told) <= _LONGEST:
        if _NUMBER(told):
            return _of_degrees(float(told.rstrip("°degrs \t")))
        letters = _BOUND.sub("", _BETWEEN.sub("", told))
        degrees = _DEGREES_OF.get(_POINT.sub(lambda point: _POINTS[point[0]], letters))
        if degrees is not None:
            return degrees
    raise ValueError(f"{text[:_LONGEST]!r} is neither a wind such as N or North-East nor degrees")


def _of_degrees(degrees: float) -> float:
    if not -360 <= degrees <= 360:
        raise ValueError(f"{degrees:g} degrees are not between -360 and 360")
    # a tiny negative number would become 360
    return degrees % 360.0 % 360.0
