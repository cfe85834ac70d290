"""Taps at fare gates: as producers send them, topic ``rider_tapped_on``, and as they go on to the zones they are of."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

#: A zone's name has a word before the station's, and may have 256 characters.
_LONGEST_STATION = 200


class RiderTap(Struct, kw_only=True, frozen=True, gc=False):
    """A rider tapped on. Who it was (``rider_id``) is not read: nothing here needs to know who travels.

    Attributes:
        event_id: of the tap; a repeat has the same.
        station_id: of the station.
        latitude, longitude: of the gate, degrees WGS 84; a text that is a number counts as one.
        timestamp: when: ISO 8601, or epoch seconds or milliseconds.
    """

    event_id: Annotated[str, Meta(min_length=1, max_length=256)]
    station_id: Annotated[str, Meta(min_length=1, max_length=_LONGEST_STATION)] | int
    latitude: float | str
    longitude: float | str
    timestamp: str | int | float


class ZoneTap(Struct, frozen=True, array_like=True, gc=False):
    """A tap as one of its zones is told: a tap is in two, its cell and its station.

    Attributes:
        zone: the zone's name: a geohash, or ``station:`` and the station's id.
        event_id: of the tap.
        time_us: when, microseconds since the epoch.
        station_id: where.
        latitude, longitude: degrees WGS 84.
        partition, offset: where the tap stands in ``rider_tapped_on``.
    """

    zone: str
    event_id: str
    time_us: int
    station_id: str
    latitude: float
    longitude: float
    partition: int = -1
    offset: int = -1
