"""Monitoring zones as fences: which ones a vehicle is in, with hysteresis at the border.

A vehicle enters with its first place inside, by the half-open rule of `trafficapp.administration.zones`; it leaves when
it is outside and farther from the border than a margin. Fences are looked up by small cells of the map, each worked out
when a vehicle comes by for the first time: most are in no zone, or wholly in one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import cos, radians
from typing import NamedTuple

import msgspec
import shapely
from msgspec import Struct

from models.fleet.drives import GeofenceEvent, GeofenceStep
from models.fleet.fences import FenceChange
from models.timestamps import MICROSECONDS_PER_SECOND, from_epoch_us
from trafficapp.administration.zones import lies_inside
from trafficapp.movement.distance import METRES_PER_DEGREE
from trafficapp.settings import FleetSettings

#: Cells per degree: 111 m from south to north.
_CELLS = 1000
#: Vehicles may be anywhere, memory ends.
_MOST_CELLS = 200_000
#: Rounding of a cell's corners, degrees.
_ROUNDING = 1e-9


class Visit(Struct, array_like=True, gc=False):
    """A vehicle is in a zone; part of its state row.

    Attributes:
        since_us: when it entered, microseconds since the epoch.
        has_dwelt: whether it was told that it has been there for long.
    """

    since_us: int
    has_dwelt: bool = False


class Fence:
    """A zone, ready to be asked."""

    def __init__(self, change: FenceChange) -> None:
        if change.ring is None:
            raise ValueError("a zone that was deleted is no fence")
        self.zone_id, self.name, self.ring = change.zone_id, change.name, change.ring
        self.polygon = shapely.Polygon(change.ring)
        shapely.prepare(self.polygon)

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether a place lies in the zone, by the half-open rule."""
        return lies_inside(self.ring, longitude, latitude)

    def is_near(self, latitude: float, longitude: float, metres: float) -> bool:
        """Whether the border is no farther from a place than this, on a flat map around it."""
        per_degree = METRES_PER_DEGREE * cos(radians(latitude))
        nearest = metres * metres
        x1 = y1 = None
        for lon, lat in self.ring:
            x2, y2 = (lon - longitude) * per_degree, (lat - latitude) * METRES_PER_DEGREE
            if x1 is not None and y1 is not None:
                dx, dy = x2 - x1, y2 - y1
                length = dx * dx + dy * dy
                along = min(max(-(x1 * dx + y1 * dy) / length, 0.0), 1.0) if length else 0.0
                if (x1 + along * dx) ** 2 + (y1 + along * dy) ** 2 <= nearest:
                    return True
            x1, y1 = x2, y2
        return False


class _Near(NamedTuple):
    fence: Fence
    is_inside: bool
    """The whole cell is."""


class Fences:
    """All zones, as a partition of vehicles knows them.

    Args:
        settings: the margin.
        changes: what is remembered.
    """

    def __init__(self, settings: FleetSettings, changes: Iterable[FenceChange] = ()) -> None:
        self._border_m = settings.geofence_border_m
        self._dwell_us = settings.geofence_dwell_seconds * MICROSECONDS_PER_SECOND
        self._changes: dict[int, FenceChange] = {}
        self._fences: dict[int, Fence] = {}
        self.is_empty = True
        self._cells: dict[int, tuple[_Near, ...]] = {}
        for change in changes:
            self.take(change)

    def take(self, change: FenceChange) -> bool:
        """Take a change in; whether it is one: what is older than what is known is none."""
        known = self._changes.get(change.zone_id)
        if known is not None and known.version >= change.version:
            return False
        self._changes[change.zone_id] = change
        if known is not None and (known.name, known.ring) == (change.name, change.ring):
            return True
        self._cells.clear()
        if change.ring is None:
            self._fences.pop(change.zone_id, None)
        else:
            self._fences[change.zone_id] = Fence(change)
            self._fences = dict(sorted(self._fences.items()))
        self.is_empty = not self._fences
        return True

    def place(
        self, vehicle_id: str, inside: dict[int, Visit], time_us: int, latitude: float, longitude: float
    ) -> Sequence[GeofenceEvent]:
        """Take in a place of a vehicle; what is to be told.

        Args:
            vehicle_id: of the vehicle.
            inside: zones that it is in; it is changed.
            time_us: of the place.
            latitude: likewise.
            longitude: likewise.
        """
        cell = int((latitude + 90) * _CELLS) * 1_000_000 + int((longitude + 180) * _CELLS)
        near = self._cells.get(cell)
        if near is None:
            near = self._look_up(cell)
        if not near and not inside:
            return ()
        told: list[tuple[int, GeofenceStep, Visit]] = []
        seen = 0
        for fence, is_inside in near:
            zone_id = fence.zone_id
            visit = inside.get(zone_id)
            if visit is None:
                if is_inside or fence.holds(latitude, longitude):
                    visit = inside[zone_id] = Visit(time_us)
                    seen += 1
                    told.append((zone_id, "enter", visit))
            elif is_inside or fence.holds(latitude, longitude) or fence.is_near(latitude, longitude, self._border_m):
                seen += 1
                if not visit.has_dwelt and time_us - visit.since_us >= self._dwell_us:
                    visit.has_dwelt = True
                    told.append((zone_id, "dwell", visit))
            else:
                del inside[zone_id]
                told.append((zone_id, "leave", visit))
        if seen != len(inside):
            # no part of these is anywhere near
            for zone_id in sorted(inside.keys() - {fence.zone_id for fence, _ in near}):
                told.append((zone_id, "leave", inside.pop(zone_id)))
        return self._events(vehicle_id, told, time_us, latitude, longitude) if told else ()

    def leave(
        self, vehicle_id: str, inside: dict[int, Visit], time_us: int, latitude: float, longitude: float
    ) -> list[GeofenceEvent]:
        """A vehicle with this last place is forgotten: what is to be told."""
        told: list[tuple[int, GeofenceStep, Visit]] = [
            (zone_id, "leave", inside[zone_id]) for zone_id in sorted(inside)
        ]
        inside.clear()
        return self._events(vehicle_id, told, time_us, latitude, longitude)

    def _events(
        self,
        vehicle_id: str,
        told: Iterable[tuple[int, GeofenceStep, Visit]],
        time_us: int,
        latitude: float,
        longitude: float,
    ) -> list[GeofenceEvent]:
        return [
            GeofenceEvent(
                vehicle_id=vehicle_id,
                zone_id=zone_id,
                zone=fence.name,
                event=step,
                timestamp=from_epoch_us(time_us),
                entered_at=from_epoch_us(visit.since_us),
                seconds=(time_us - visit.since_us) / MICROSECONDS_PER_SECOND,
                latitude=latitude,
                longitude=longitude,
            )
            for zone_id, step, visit in told
            # of a zone that was deleted nothing is told
            if (fence := self._fences.get(zone_id)) is not None
        ]

    def _look_up(self, cell: int) -> tuple[_Near, ...]:
        """The zones that a cell, or what is as near to it as the margin, has a part in."""
        row, column = divmod(cell, 1_000_000)
        south, west = row / _CELLS - 90 - _ROUNDING, column / _CELLS - 180 - _ROUNDING
        north, east = south + 1 / _CELLS + 2 * _ROUNDING, west + 1 / _CELLS + 2 * _ROUNDING
        cell_box = shapely.box(west, south, east, north)
        up = self._border_m / METRES_PER_DEGREE * 1.01
        # near the poles a degree of longitude is next to nothing
        aside = up / max(cos(radians(max(abs(south), abs(north)))), 1e-3)
        wide = shapely.box(west - aside, south - up, east + aside, north + up)
        if len(self._cells) >= _MOST_CELLS:
            self._cells.clear()
        found = self._cells[cell] = tuple(
            _Near(fence, bool(shapely.contains_properly(fence.polygon, cell_box)))
            for fence in self._fences.values()
            if shapely.intersects(fence.polygon, wide)
        )
        return found


#: Rows of zones stand beside those of vehicles: no text begins with this byte.
_PREFIX = b"\xff"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FenceChange).decode


def fence_row(change: FenceChange) -> tuple[bytes, bytes]:
    """Key and row of a zone, to be remembered."""
    return _PREFIX + str(change.zone_id).encode(), _encode(change)


def fence_of_row(key: bytes, row: bytes) -> FenceChange | None:
    """The zone that a row says; None when it is that of a vehicle."""
    return _decode(row) if key.startswith(_PREFIX) else None
