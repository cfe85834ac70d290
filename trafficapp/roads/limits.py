"""How fast may be driven where a vehicle is: by the nearest edge that leads where it drives.

The limit of an edge is its ``free_flow_kmh``, which importers take from ``maxspeed``. Places are looked up by small
cells of the map, each worked out when somebody comes by for the first time.
"""

from __future__ import annotations

from math import atan2, degrees
from typing import NamedTuple

import numpy as np
import shapely

from trafficapp.roads.graph.earth import METRES_PER_DEGREE
from trafficapp.roads.graph.index import SAME_PLACE_M, RoadIndex
from trafficapp.roads.graph.matching import HEADING_LIMIT_DEGREES, REACH_M
from trafficapp.roads.graph.road_graph import RoadGraph

#: Cells per degree: 56 m from south to north.
_CELLS = 2000
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
        self._index = RoadIndex.build(graph)
        self._east_m = float(self._index.flat.metres(np.array([0.0]), np.array([1.0]))[0, 0])
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
        number = int((latitude + 90) * _CELLS) * 1_000_000 + int((longitude + 180) * _CELLS)
        cell = self._cells.get(number)
        return self._look_up(number) if cell is None else cell

    def _look_up(self, number: int) -> _Cell:
        row, column = divmod(number, 1_000_000)
        south, west = row / _CELLS - 90, column / _CELLS - 180
        corners = self._index.flat.metres(
            np.array([south, south + 1 / _CELLS]), np.array([west, west + 1 / _CELLS])
        ).tolist()
        (left, bottom), (right, top) = corners
        reach_m = REACH_M + _ROUNDING_M
        box = shapely.box(left, bottom, right, top)
        graph, points = self._index.graph, self._index.points
        pieces: list[_Piece] = []
        for edge in self._index.edges_near(box, reach_m).tolist():
            line = points[graph.shape_offsets[edge] : graph.shape_offsets[edge + 1]]
            both = np.stack([line[:-1], line[1:]], axis=1)
            is_near = shapely.dwithin(shapely.linestrings(both), box, reach_m)
            for (x1, y1), (x2, y2) in both[is_near].tolist():
                if (x1, y1) != (x2, y2):
                    heading = degrees(atan2(x2 - x1, y2 - y1)) % 360
                    pieces.append(_Piece(x1, y1, x2 - x1, y2 - y1, heading, float(graph.free_flow_kmh[edge])))
        if len(self._cells) >= _MOST_CELLS:
            self._cells.clear()
        lowest_kmh = min((piece.limit_kmh for piece in pieces), default=None)
        cell = self._cells[number] = _Cell(lowest_kmh, tuple(pieces))
        return cell
