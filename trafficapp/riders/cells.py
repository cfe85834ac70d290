"""Zones of a tap: the geohash cell that it lies in, and its station.

Geohash is by one library, pygeohash: others name a neighbour where a place lies on the border of two cells. Here cells
are half-open: a border belongs to the cell north and east of it, and 180 degrees east is 180 degrees west.
"""

from __future__ import annotations

from pygeohash import decode, encode

_STATION = "station:"


def cell_of(latitude: float, longitude: float, characters: int) -> str:
    """The geohash of a place.

    Args:
        latitude: -90..90 degrees.
        longitude: -180..180 degrees.
        characters: how many it has; 5 are a cell of about 4.9 km.
    """
    return encode(latitude, -180.0 if longitude == 180 else longitude, characters)


def middle_of(cell: str) -> tuple[float, float]:
    """The middle of a cell, (latitude, longitude)."""
    place = decode(cell)
    return place.latitude, place.longitude


def station_zone(station_id: str) -> str:
    """The zone of a station; no geohash has a colon."""
    return f"{_STATION}{station_id}"


def station_of(zone: str) -> str | None:
    """The station that a zone is of; None of a cell."""
    return zone.removeprefix(_STATION) if zone.startswith(_STATION) else None
