"""Finished windows of zones in which riders tap on, topic ``rider-windows``, and surges, topic ``surge_alerts``."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from models.city_alerts import CityAlert

ZoneKind: TypeAlias = Literal["geohash", "station"]


class RiderWindow(Struct, frozen=True, kw_only=True):
    """Taps of a zone in one window, which is final.

    Attributes:
        zone: the zone's name: a geohash, or ``station:`` and the station's id.
        zone_kind: what it is.
        station_id: of a station.
        geohash: the cell; of a station the smaller one, with a character more, where its first tap was.
        window_start, window_end: half-open, RFC 3339.
        tap_count: taps, each once.
        repeated: taps that came again with the same event_id.
        usual_taps: the usual number in a window of this hour of the week; null before it is known.
        limit: more taps than this are a surge.
        is_surge: whether there were.
        latitude, longitude: the middle of the cell, or where the station's first tap was; degrees WGS 84.
    """

    zone: str
    zone_kind: ZoneKind
    station_id: str | None
    geohash: str
    window_start: str
    window_end: str
    tap_count: int
    repeated: int
    usual_taps: float | None
    limit: int
    is_surge: bool
    latitude: float
    longitude: float


class SurgeAlert(CityAlert, frozen=True, kw_only=True):
    """A step of a surge: it is opened by the first tap beyond the limit, and resolved when the window is final.

    Attributes:
        zone, zone_kind, station_id, usual_taps, limit: as in the zone's windows.
        geohash: of a cell its name; of a station the smaller cell, with a character more, where its first tap was.
        tap_count: taps in the window so far, and the final number in the last step.
        window_start_ms, window_end_ms: epoch milliseconds.
    """

    zone: str
    zone_kind: ZoneKind
    station_id: str | None
    usual_taps: float | None
    limit: int
    geohash: str = msgspec.field(name="GEOHASH")
    tap_count: int = msgspec.field(name="TAP_COUNT")
    window_start_ms: int = msgspec.field(name="WINDOW_START")
    window_end_ms: int = msgspec.field(name="WINDOW_END")
