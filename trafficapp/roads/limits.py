"""How fast may be driven where a vehicle is: by the nearest edge that leads where it drives.

The limit of an edge is its ``free_flow_kmh``, which importers take from ``maxspeed``. Places are looked up by small
cells of the map; which pieces of roads are near each is worked out for all of them at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trafficapp.movement.distance import METRES_PER_DEGREE
from trafficapp.roads.graph.earth import FlatMap, headings
from trafficapp.roads.graph.index import SAME_PLACE_M
from trafficapp.roads.graph.matching import HEADING_LIMIT_DEGREES, REACH_M
from trafficapp.roads.graph.road_graph import Floats, Integers, RoadGraph

#: Cells per degree: 56 m from south to north.
_CELLS = 2000
#: Cells are numbered from west to east, row by row from the south.
_ROW = 1_000_000
#: Vehicles may be anywhere, memory ends.
_MOST_CELLS = 200_000
#: The flat map and the cells' corners are rounded.
_ROUNDING_M = 0.01


class _Piece(NamedTuple):
    """A straight piece of an edge on the flat map, metres."""

    east: float
    north: float
    step_east: float
    step_north: float
    heading: float
    limit_kmh: float


class _Cell(NamedTuple):
    lowest_kmh: float | None
    pieces: tuple[_Piece, ...]


class SpeedLimits:
    """Limits of a road graph; see `trafficapp.fleet.driving.Limits`."""

    def __init__(self, graph: RoadGraph) -> None:
        flat = FlatMap(float((graph.node_lat.min() + graph.node_lat.max()) / 2))
        self._east_m = float(flat.metres(np.array([0.0]), np.array([1.0]))[0, 0])
        self._pieces = _pieces_of(graph, flat)
        self._numbers, self._pieces_of = _cells_of(self._pieces, self._east_m)
        self._cells: dict[int, _Cell] = {}
        self.lowest_kmh = float(graph.free_flow_kmh.min())

    def limit_at(self, latitude: float, longitude: float, heading: float | None) -> float | None:
        """The limit of the nearest road, km/h; None where none is near that leads there.

        Of roads that are as near as the nearest the highest limit counts: a place may be on the one beside.

        Args:
            latitude: degrees WGS 84.
            longitude: likewise.
            heading: degrees clockwise from north; None when it is not known: any road then counts.
        """
        east, north = longitude * self._east_m, latitude * METRES_PER_DEGREE
        near: list[tuple[float, float]] = []
        for piece in self._cell(latitude, longitude).pieces:
            if heading is not None:
                turned = abs(piece.heading - heading) % 360
                if min(turned, 360 - turned) > HEADING_LIMIT_DEGREES:
                    continue
            x, y = east - piece.east, north - piece.north
            dx, dy = piece.step_east, piece.step_north
            along = min(max((x * dx + y * dy) / (dx * dx + dy * dy), 0.0), 1.0)
            metres = ((x - along * dx) ** 2 + (y - along * dy) ** 2) ** 0.5
            if metres <= REACH_M:
                near.append((metres, piece.limit_kmh))
        if not near:
            return None
        farthest = min(near)[0] + SAME_PLACE_M
        return max(limit_kmh for metres, limit_kmh in near if metres <= farthest)

    def lowest_near(self, latitude: float, longitude: float) -> float | None:
        """The lowest limit that `limit_at` can say for any heading here, or less; None where it says none."""
        return self._cell(latitude, longitude).lowest_kmh

    def _cell(self, latitude: float, longitude: float) -> _Cell:
        number = int((latitude + 90) * _CELLS) * _ROW + int((longitude + 180) * _CELLS)
        cell = self._cells.get(number)
        return self._look_up(number) if cell is None else cell

    def _look_up(self, number: int) -> _Cell:
        # pieces beside the cell's reach do no harm: each is measured before it counts
        first, behind = self._numbers.searchsorted([number, number + 1]).tolist()
        pieces = tuple(map(self._piece, self._pieces_of[first:behind].tolist()))
        if len(self._cells) >= _MOST_CELLS:
            self._cells.clear()
        lowest_kmh = min((piece.limit_kmh for piece in pieces), default=None)
        cell = self._cells[number] = _Cell(lowest_kmh, pieces)
        return cell

    def _piece(self, piece: int) -> _Piece:
        return _Piece(*self._pieces[piece].tolist())


def _pieces_of(graph: RoadGraph, flat: FlatMap) -> Floats:
    """All pieces, a row each with the numbers of `_Piece`; those without a length are none."""
    points = flat.metres(graph.shape_lat, graph.shape_lon)
    # from the last point of an edge none leads to the first of the next
    begins = np.setdiff1d(np.arange(len(points)), graph.shape_offsets[1:] - 1)
    edges = np.searchsorted(graph.shape_offsets, begins, side="right") - 1
    steps = points[begins + 1] - points[begins]
    pieces = np.column_stack([points[begins], steps, headings(steps), graph.free_flow_kmh[edges]])
    longer: Floats = pieces[(steps != 0).any(axis=1)]
    return longer


def _cells_of(pieces: Floats, east_m: float) -> tuple[Integers, Integers]:
    """Numbers of cells, ascending; and a piece beside each, so that those within reach of a cell stand beside it."""
    size = np.array([east_m, METRES_PER_DEGREE]) / _CELLS
    origin = np.array([-180 * east_m, -90 * METRES_PER_DEGREE])
    begin, end, reach_m = pieces[:, :2], pieces[:, :2] + pieces[:, 2:4], REACH_M + _ROUNDING_M
    low = np.floor((np.minimum(begin, end) - reach_m - origin) / size).astype(np.int64)
    high = np.floor((np.maximum(begin, end) + reach_m - origin) / size).astype(np.int64)
    wide, rows = (high - low + 1).T
    counts = wide * rows
    which = np.arange(len(pieces)).repeat(counts)
    place = np.arange(len(which)) - (counts.cumsum() - counts).repeat(counts)
    cell = np.stack([place % wide[which], place // wide[which]], axis=1) + low[which]
    # of a long piece most of the cells around it are far: those whose circle is out of reach
    step, from_begin = pieces[which, 2:4], (cell + 0.5) * size + origin - pieces[which, :2]
    along = ((from_begin * step).sum(axis=1) / (step * step).sum(axis=1)).clip(0, 1)
    away = np.hypot(*(from_begin - along[:, None] * step).T)
    near = away <= reach_m + np.hypot(*size) / 2
    numbers = cell[near, 1] * _ROW + cell[near, 0]
    order = np.argsort(numbers, kind="stable")
    return numbers[order], which[near][order]
