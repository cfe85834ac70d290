"""What an address is, and how answers of Nominatim become one.

Answers differ from country to country. A city is a ``city``, ``town``, ``village`` or ``municipality``; the province
is a ``state``, ``province`` or ``region``, and in cities that are provinces themselves it is named nowhere but at the
end of ``display_name``. What an answer does not say stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from trafficapp.movement.distance import EARTH_RADIUS_M

#: Who named a place. An ``unknown`` one was looked for, and nothing within reach names it.
NOMINATIM: Final = "nominatim"
OFFLINE: Final = "offline"
UNKNOWN: Final = "unknown"

#: Sources that give way to a better one.
PROVISIONAL: Final = (OFFLINE, UNKNOWN)

#: Keys of Nominatim's ``address``, the best first. Below the first line stand places that lie in no settlement of their
#: own, and parts of cities whose city is not told.
_CITY = (
    *("city", "town", "village", "municipality", "hamlet"),
    *("city_district", "borough", "suburb", "quarter", "neighbourhood"),
)
_PROVINCE = ("state", "province", "region", "state_district")

#: What is told where the answer's country is divided as ISO 3166-2 has it.
_SUBDIVISION = "ISO3166-2-lvl"

#: Characters of a name that are kept.
_LONGEST = 1000


class Unreadable(ValueError):
    """An answer that is none; the message says why."""


class Address(Struct, frozen=True, kw_only=True):
    """What a source says of a place.

    Attributes:
        source: who says it: ``nominatim`` or ``offline``.
        fulladdress: as one text; None when the source does not know.
        city: town or village, likewise.
        province: state, province or region, likewise.
        latitude: of what was named, degrees WGS 84; None when the source named nothing.
        longitude: likewise.
        holds: whether what was named is an area that the place lies in.
    """

    source: str
    fulladdress: str | None = None
    city: str | None = None
    province: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    holds: bool = False

    @property
    def is_known(self) -> bool:
        """Whether anything was named."""
        return self.fulladdress is not None


def metres_between(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Great-circle distance (haversine)."""
    phi_a, phi_b = math.radians(lat_a), math.radians(lat_b)
    half_lon = math.radians(lon_b - lon_a) / 2
    chord = math.sin((phi_b - phi_a) / 2) ** 2 + math.cos(phi_a) * math.cos(phi_b) * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(chord, 1.0)))


def cell_of(latitude: float, longitude: float, decimals: int) -> str:
    """The cell of a place, such as ``21.0278,105.8342``: all places in it share an address."""
    # 0.0 + turns a negative zero into zero; the 180th meridian is one line with two names
    lat, lon = 0.0 + round(latitude, decimals), 0.0 + round(longitude, decimals)
    return f"{lat:.{decimals}f},{180.0 if lon == -180 else lon:.{decimals}f}"


def centre_of(cell: str) -> tuple[float, float]:
    """Latitude and longitude of the middle of a cell."""
    latitude, longitude = cell.split(",")
    return float(latitude), float(longitude)


def read_nominatim(answer: Mapping[str, Any], latitude: float, longitude: float, reach_m: float) -> Address:
    """What an answer of Nominatim's ``reverse`` says.

    Args:
        answer: the JSON object.
        latitude: of the place that was asked for.
        longitude: likewise.
        reach_m: what is further away and does not hold the place names something else.

    Returns:
        an address that is not known when the answer names nothing that could be meant.

    Raises:
        Unreadable: it is no such answer.
    """
    nothing = Address(source=NOMINATIM)
    full, parts = _text(answer.get("display_name")), answer.get("address")
    if full is None or not isinstance(parts, Mapping):
        raise Unreadable(f"it has no display_name and address, but {', '.join(sorted(map(str, answer)))[:200] or 'no'}")
    at = _place(answer.get("lat"), answer.get("lon"))
    if at is None:
        raise Unreadable("it does not say where that is")
    holds = _holds(answer.get("boundingbox"), latitude, longitude)
    if not holds and metres_between(latitude, longitude, *at) > reach_m:
        return nothing
    return Address(
        source=NOMINATIM,
        fulladdress=full,
        city=_first(parts, _CITY),
        province=_first(parts, _PROVINCE) or _last_part(full, parts),
        latitude=at[0],
        longitude=at[1],
        holds=holds,
    )


def _first(parts: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    return next((name for key in keys if (name := _text(parts.get(key))) is not None), None)


def _last_part(full: str, parts: Mapping[str, Any]) -> str | None:
    """The largest part of a country in ``display_name``, where ``address`` has no word for it: Hanoi is in Hanoi."""
    if not any(str(key).startswith(_SUBDIVISION) for key in parts):
        return None
    beyond = {str(parts.get(key)).strip() for key in ("country", "postcode")}
    names = [name for part in full.split(",") if (name := part.strip()) and name not in beyond]
    # one name alone is of the place itself
    return names[-1] if len(names) > 1 else None


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    # Postgres holds no NUL, and half of a pair cannot be written
    text = value.replace("\0", "\ufffd").encode("utf-8", "replace").decode().strip()
    return text[:_LONGEST] or None


def _number(value: Any) -> float | None:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _place(latitude: Any, longitude: Any) -> tuple[float, float] | None:
    lat, lon = _number(latitude), _number(longitude)
    if lat is None or lon is None or abs(lat) > 90 or abs(lon) > 180:
        return None
    return lat, lon


def _holds(box: Any, latitude: float, longitude: float) -> bool:
    """Whether a ``boundingbox`` (south, north, west, east) holds a place; it may reach over the 180th meridian."""
    if not isinstance(box, list | tuple) or len(box) != 4:
        return False
    edges = [_number(edge) for edge in box]
    south, north, west, east = edges
    if south is None or north is None or west is None or east is None:
        return False
    across = west <= longitude <= east if west <= east else longitude >= west or longitude <= east
    return south <= latitude <= north and across
