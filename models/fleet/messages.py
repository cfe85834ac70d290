"""Messages of connected cars and trackers as producers send them: topics ``vehicle_data`` and ``gps_data``.

Both are lenient where real producers differ: numbers may be texts, a location may be one text ``"lat,lon"``, further
fields are ignored, and what only describes the car costs no position when it is odd.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from models.cameras.detections import Rejected
from models.fleet.compass import heading_of
from models.text_numbers import number

_Number: TypeAlias = float | str
#: ``[latitude, longitude]``, and an altitude from those who have one; or the same as a text.
_Location: TypeAlias = Annotated[list[_Number], Meta(min_length=2, max_length=3)] | str

_LONGEST = 64
_BRACKETS = re.compile(r"\[(.*)\]|\((.*)\)").fullmatch

#: Characters of what describes a vehicle; what is longer is cut.
MOST_CHARACTERS = 64


class TrackerMessage(Struct, kw_only=True, frozen=True, gc=False):
    """What a tracker sends.

    Attributes:
        device_id: whose vehicle it is; the same device may send as a connected car, too.
        id: of the message, a new one for each; nothing follows from it.
        timestamp: when it was there: ISO 8601, or epoch seconds or milliseconds.
        location: latitude and longitude, degrees WGS 84.
        speed: km/h; None when it was not measured.
        direction: a compass word, or degrees clockwise from north; None or blank when it is not known.
        vehicle_type: such as ``private``.
    """

    device_id: Annotated[str, Meta(min_length=1, max_length=256)]
    timestamp: str | int | float
    location: _Location
    speed: _Number | None = None
    direction: _Number | None = None
    vehicle_type: Any = None
    id: Any = None


class CarMessage(Struct, kw_only=True, frozen=True, gc=False):
    """What a connected car sends: as a tracker, and what the car is.

    Attributes:
        make: who made it; this and what follows describes the car, and says nothing where it is no text or number.
        year: when it was made.
    """

    device_id: Annotated[str, Meta(min_length=1, max_length=256)]
    timestamp: str | int | float
    location: _Location
    speed: _Number | None = None
    direction: _Number | None = None
    make: Any = None
    model: Any = None
    year: Any = None
    fuel_type: Any = None
    id: Any = None


def place_of(message: TrackerMessage | CarMessage) -> tuple[float, float]:
    """Latitude and longitude of a message, degrees.

    Raises:
        Rejected: the location is no two numbers. Whether they are on the earth is not looked at.
    """
    location = message.location
    if type(location) is list and type(location[0]) is float and type(location[1]) is float:
        return location[0], location[1]
    parts = _parts(location) if isinstance(location, str) else location
    try:
        latitude, longitude = number(parts[0]), number(parts[1])
    except ValueError as error:
        raise Rejected("invalid_field", f"location: {error}") from None
    return float(latitude), float(longitude)


def speed_of(message: TrackerMessage | CarMessage, highest_kmh: float) -> float | None:
    """The speed of a message, km/h; None when it tells none.

    Raises:
        Rejected: it is no number, or none that a vehicle can have.
    """
    told = message.speed
    if told is None:
        return None
    try:
        speed_kmh = told if type(told) is float else float(number(told))
    except ValueError as error:
        raise Rejected("invalid_field", f"speed: {error}") from None
    if not 0 <= speed_kmh <= highest_kmh:
        raise Rejected("impossible_speed", f"speed {speed_kmh:g} km/h is not between 0 and {highest_kmh:g}")
    return speed_kmh


def direction_of(message: TrackerMessage | CarMessage) -> float | None:
    """The direction of a message, degrees clockwise from north in [0, 360); None when it tells none.

    Raises:
        Rejected: it is no direction.
    """
    told = message.direction
    if told is None or (isinstance(told, str) and not told.strip()):
        return None
    try:
        return heading_of(told)
    except ValueError as error:
        raise Rejected("invalid_field", f"direction: {error}") from None


def words_of(told: Any) -> str | None:
    """What describes a vehicle, as a text; None when it says nothing."""
    if type(told) is str:
        return told.strip()[:MOST_CHARACTERS] or None
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    return str(told)


def year_of(told: Any) -> int | None:
    """A year of four digits; None when it is none."""
    if type(told) is int:
        return told if 1000 <= told <= 9999 else None
    text = told.strip() if isinstance(told, str) else ""
    return int(text) if len(text) == 4 and text.isascii() and text.isdigit() else None


def _parts(location: str) -> list[str]:
    told = location.strip()
    inner = _BRACKETS(told) if len(told) <= _LONGEST else None
    parts = (inner[1] or inner[2] or "" if inner else told).split(",")
    if len(told) > _LONGEST or not 2 <= len(parts) <= 3:
        raise Rejected("invalid_field", f"location {location[:_LONGEST]!r} is not latitude,longitude")
    return parts
