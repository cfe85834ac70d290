"""What is told of zones: finished windows, surges, and taps that could not be counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from models.cameras.detections import Rejected
from models.city_alerts import AlertState, alert_id_of
from models.dead_letters import dead_letter_of, encode_dead_letter
from models.riders.taps import RiderTap, ZoneTap
from models.riders.windows import RiderWindow, SurgeAlert, ZoneKind
from models.timestamps import rfc3339
from trafficapp.feeds.rules import Told
from trafficapp.riders.cells import cell_of, middle_of, station_of
from trafficapp.riders.zones import OpenWindow, ZoneState
from trafficapp.topics import DEAD_LETTERS

RIDER_TAPS = "rider_tapped_on"
RIDER_WINDOWS = "rider-windows"
SURGE_ALERTS = "surge_alerts"

_SURGE = "surge"
_encode = msgspec.json.Encoder().encode


class _Place(NamedTuple):
    """Which zone it is, and where."""

    zone: str
    kind: ZoneKind
    station_id: str | None
    geohash: str
    latitude: float
    longitude: float

    @property
    def words(self) -> str:
        """The zone in a sentence."""
        return f"station {self.station_id}" if self.kind == "station" else f"geohash {self.zone}"


@dataclass(slots=True)
class _Refused:
    """A record as dead letters want it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Telling:
    """Writes what is told.

    Attributes:
        size_us: length of a window.
        characters: of the geohash of a zone.
    """

    size_us: int
    characters: int

    def window(self, name: str, state: ZoneState, start_us: int, window: OpenWindow) -> Told:
        """A window that is final."""
        place = self._place(name, state)
        row = RiderWindow(
            zone=name,
            zone_kind=place.kind,
            station_id=place.station_id,
            geohash=place.geohash,
            window_start=rfc3339(start_us),
            window_end=rfc3339(start_us + self.size_us),
            tap_count=window.taps,
            repeated=window.repeated,
            usual_taps=window.usual,
            limit=window.limit,
            is_surge=window.surged_us > 0,
            latitude=place.latitude,
            longitude=place.longitude,
        )
        return Told(RIDER_WINDOWS, name.encode(), _encode(row))

    def opened(self, name: str, state: ZoneState, start_us: int, window: OpenWindow) -> Told:
        """A tap was the first beyond the limit."""
        return self._surge(name, state, start_us, window, "opened")

    def resolved(self, name: str, state: ZoneState, start_us: int, window: OpenWindow) -> Told:
        """The final number of taps of a window with a surge."""
        return self._surge(name, state, start_us, window, "resolved")

    def refused(self, tap: ZoneTap, record_us: int, reason: str, detail: str) -> Told:
        """The dead letter of a tap that a zone cannot count; its value has the fields that were read."""
        value = _encode(
            RiderTap(
                event_id=tap.event_id,
                station_id=tap.station_id,
                latitude=tap.latitude,
                longitude=tap.longitude,
                timestamp=rfc3339(tap.time_us),
            )
        )
        record = _Refused(tap.offset, record_us // 1000, tap.event_id.encode(), value)
        letter = dead_letter_of(RIDER_TAPS, tap.partition, record, Rejected(reason, detail))
        return Told(DEAD_LETTERS, tap.event_id.encode(), encode_dead_letter(letter))

    def _place(self, name: str, state: ZoneState) -> _Place:
        station_id = station_of(name)
        if station_id is None:
            return _Place(name, "geohash", None, name, *middle_of(name))
        cell = cell_of(state.latitude, state.longitude, self.characters + 1)
        return _Place(name, "station", station_id, cell, state.latitude, state.longitude)

    def _surge(self, name: str, zone: ZoneState, start_us: int, window: OpenWindow, state: AlertState) -> Told:
        place, end_us = self._place(name, zone), start_us + self.size_us
        is_over = state == "resolved"
        told_us = end_us if is_over else window.surged_us
        usual = "what is usual is not known yet" if window.usual is None else f"{window.usual:g} are usual"
        alert = SurgeAlert(
            alert_id=alert_id_of(_SURGE, name, start_us),
            revision=int(is_over),
            alert_type=_SURGE,
            state=state,
            severity="WARNING",
            subject=name,
            title=f"Surge of riders: {place.words}",
            message=f"{window.taps} riders tapped on in {place.words} from {rfc3339(start_us)} to {rfc3339(end_us)}"
            f"{'' if is_over else ' so far'}; more than {window.limit} are a surge, {usual}",
            timestamp=rfc3339(told_us),
            opened_at=rfc3339(window.surged_us),
            resolved_at=rfc3339(end_us) if is_over else None,
            latitude=place.latitude,
            longitude=place.longitude,
            zone=name,
            zone_kind=place.kind,
            station_id=place.station_id,
            usual_taps=window.usual,
            limit=window.limit,
            geohash=place.geohash,
            tap_count=window.taps,
            window_start_ms=start_us // 1000,
            window_end_ms=end_us // 1000,
        )
        return Told(SURGE_ALERTS, name.encode(), _encode(alert))
