"""What is remembered of zones, row by row: the zone, the taps of its open windows, what is usual in each hour.

A zone has a row for each of these, so that a batch writes only what changed in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from trafficapp.riders.event_ids import EventIds
from trafficapp.riders.reading import Reading
from trafficapp.riders.zones import Zone, ZoneState

_ZONE, _IDS, _HOUR = b"z", b"i", b"h"
_READING = b"r"
_WINDOW_AND_PIECE = struct.Struct(">qI")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ZoneState).decode
_decode_reading = msgspec.msgpack.Decoder(Reading).decode


class ZoneRows:
    """What changed since rows were written last."""

    def __init__(self) -> None:
        self._zones: dict[str, None] = {}
        self._windows: dict[tuple[str, int], None] = {}
        self._hours: dict[tuple[str, int], None] = {}
        self._gone: dict[bytes, None] = {}
        self._reading: Reading | None = None

    def read(self, reading: Reading) -> None:
        """The feed was read on."""
        self._reading = reading

    def changed(self, name: str) -> None:
        """A zone changed."""
        self._zones[name] = None

    def counted(self, name: str, start_us: int) -> None:
        """A tap was counted in a window."""
        self._zones[name] = None
        self._windows[name, start_us] = None

    def learned(self, name: str, hour_of_week: int) -> None:
        """What is usual in an hour of the week changed."""
        self._hours[name, hour_of_week] = None

    def closed(self, name: str, start_us: int, ids: EventIds) -> None:
        """A window was taken out."""
        self._zones[name] = None
        self._windows.pop((name, start_us), None)
        self._gone |= dict.fromkeys(_ids_key(name, start_us, piece) for piece in ids.written_pieces())

    def forgotten(self, name: str, hours: Iterable[int]) -> None:
        """A zone without open windows was forgotten."""
        self._zones.pop(name, None)
        self._gone[_ZONE + name.encode()] = None
        for hour_of_week in hours:
            self._hours.pop((name, hour_of_week), None)
            self._gone[_hour_key(name, hour_of_week)] = None

    def take(self, zones: Mapping[str, Zone]) -> Iterator[tuple[bytes, bytes | None]]:
        """Keys and rows of all that changed; None forgets."""
        for key in self._gone:
            yield key, None
        for name in self._zones:
            yield _ZONE + name.encode(), _encode(zones[name].state)
        for name, start_us in self._windows:
            for piece, content in zones[name].ids[start_us].changed_pieces():
                yield _ids_key(name, start_us, piece), content
        for name, hour_of_week in self._hours:
            yield _hour_key(name, hour_of_week), zones[name].hours[hour_of_week]
        if self._reading is not None:
            yield _READING, _encode(self._reading)
            self._reading = None
        for changes in (self._gone, self._zones, self._windows, self._hours):
            changes.clear()


def reading_of(rows: Mapping[bytes, bytes]) -> Reading:
    """How far the feed was read."""
    return _decode_reading(rows[_READING]) if _READING in rows else Reading()


def zones_of(rows: Mapping[bytes, bytes]) -> dict[str, Zone]:
    """The zones that were remembered."""
    zones = {key[1:].decode(): Zone(_decode(row)) for key, row in rows.items() if key[:1] == _ZONE}
    pieces: dict[tuple[str, int], list[bytes]] = {}
    for key, row in sorted(rows.items()):
        if key[:1] == _IDS:
            start_us, _ = _WINDOW_AND_PIECE.unpack_from(key, 1)
            pieces.setdefault((key[1 + _WINDOW_AND_PIECE.size :].decode(), start_us), []).append(row)
        elif key[:1] == _HOUR:
            zones[key[2:].decode()].hours[key[1]] = row
    for (name, start_us), content in pieces.items():
        zones[name].ids[start_us] = EventIds(content)
    for zone in zones.values():
        for start_us in zone.state.windows:
            zone.ids.setdefault(start_us, EventIds())
    return zones


def _ids_key(name: str, start_us: int, piece: int) -> bytes:
    return _IDS + _WINDOW_AND_PIECE.pack(start_us, piece) + name.encode()


def _hour_key(name: str, hour_of_week: int) -> bytes:
    return _HOUR + bytes([hour_of_week]) + name.encode()
