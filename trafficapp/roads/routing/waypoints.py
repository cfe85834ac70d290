"""The line of a route, with the names of its roads, as JSON.

A long route has hundreds of points, and an answer three routes: the points of each edge are written once beforehand,
and a line is put together of these pieces.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
import shapely

from trafficapp.roads.graph.earth import metres_along
from trafficapp.roads.graph.index import PlaceOnEdge, RoadIndex
from trafficapp.roads.routing.search import Drive

#: Lines are drawn with fewer points, none farther than this from the road.
_TOLERANCE_M = 5.0

_Point: TypeAlias = tuple[float, float]


class Waypoint(NamedTuple):
    """A point on a route; the road is the one that goes on from it (at the end, the one that led to it)."""

    lat: float
    lng: float
    road_name: str


def read_waypoints(line: bytes) -> list[Waypoint]:
    """The points of a line."""
    return [Waypoint(**point) for point in msgspec.json.decode(line)]


class WaypointWriter:
    """Writes the lines of drives on one graph; any thread may call it."""

    def __init__(self, index: RoadIndex) -> None:
        """Thin out the lines and write them once."""
        self._index = index
        graph = index.graph
        kept = shapely.get_num_coordinates(thinned := shapely.simplify(index.lines, _TOLERANCE_M))
        self._offsets = np.concatenate([[0], np.cumsum(kept)])
        points = shapely.get_coordinates(thinned)
        steps = np.hypot(*np.diff(points, axis=0).T)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        begins = np.repeat(along[self._offsets[:-1]], kept)
        whole = np.repeat(along[self._offsets[1:] - 1] - along[self._offsets[:-1]], kept)
        self._fractions = (along - begins) / np.maximum(whole, 1e-9)
        lat, lon = index.flat.degrees(points[:, 0], points[:, 1])
        self._points = np.column_stack([lat, lon]).round(6)
        first, last = self._points[self._offsets[:-1]], self._points[self._offsets[1:] - 1]
        #: Turns where the line of one edge ends away from the beginning of the next: simulated junctions have a size.
        before, after = last[graph.turn_from].T, first[graph.turn_to].T
        self._apart = metres_along(*before, *after) > _TOLERANCE_M
        #: Each whole edge, and the same without its last point, where the next one begins.
        self._pieces: list[bytes] = []
        self._without_ends: list[bytes] = []
        self._write_all()

    def along(self, drive: Drive) -> bytes:
        """The points of a drive in order, none twice in a row, two at least: a JSON array of `Waypoint`."""
        edges = drive.edges
        if len(edges) == 1:
            pieces = [self._written(edges[0], self._line(edges[0], drive.begin, drive.end))]
        else:
            apart = self._apart[list(drive.turns)].tolist()
            head = self._line(edges[0], drive.begin)
            pieces = [self._written(edges[0], head if apart[0] else _without_end(head))]
            pieces += [
                self._pieces[edge] if with_end else self._without_ends[edge]
                for edge, with_end in zip(edges[1:-1], apart[1:], strict=True)
            ]
            pieces.append(self._written(edges[-1], self._line(edges[-1], 0.0, drive.end)))
        text = b",".join(filter(None, pieces))
        # two places may be on one spot
        return b"[%b]" % text if b"},{" in text else b"[%b,%b]" % (text, text)

    def _write_all(self) -> None:
        """Write every whole edge; a quarter of a second for 19,000 edges."""
        graph, offsets = self._index.graph, self._offsets.tolist()
        again = np.zeros(len(self._points), bool)
        again[1:] = (self._points[1:] == self._points[:-1]).all(axis=1)
        again[self._offsets[:-1]] = False
        rows = [f'{{"lat":{lat!r},"lng":{lng!r},"road_name":' for lat, lng in self._points.tolist()]
        for edge in range(graph.edge_count):
            end = f"{_quoted(graph.road_name(edge))}}}"
            piece = slice(offsets[edge], offsets[edge + 1])
            points = [row + end for row, skip in zip(rows[piece], again[piece].tolist(), strict=True) if not skip]
            self._pieces.append(",".join(points).encode())
            self._without_ends.append(",".join(points[:-1]).encode())

    def _line(self, edge: int, begin: float = 0.0, end: float = 1.0) -> list[_Point]:
        """The points of an edge between two places on it, none twice in a row."""
        piece = slice(self._offsets[edge], self._offsets[edge + 1])
        between = (self._fractions[piece] > begin) & (self._fractions[piece] < end)
        ends = [self._at(edge, place) for place in (begin, end)]
        points = [ends[0], *map(tuple, self._points[piece][between].tolist()), ends[1]]
        return [point for number, point in enumerate(points) if not number or point != points[number - 1]]

    def _at(self, edge: int, fraction: float) -> _Point:
        if fraction in (0.0, 1.0):
            point = self._points[self._offsets[edge] if fraction == 0.0 else self._offsets[edge + 1] - 1]
            return float(point[0]), float(point[1])
        lat, lon = self._index.on_map(PlaceOnEdge(edge, fraction, 0.0))
        return round(float(lat), 6), round(float(lon), 6)

    def _written(self, edge: int, points: list[_Point]) -> bytes:
        name = _quoted(self._index.graph.road_name(edge))
        return ",".join(f'{{"lat":{lat!r},"lng":{lng!r},"road_name":{name}}}' for lat, lng in points).encode()


def _quoted(name: str) -> str:
    return msgspec.json.encode(name).decode()


def _without_end(line: list[_Point]) -> list[_Point]:
    return line[:-1]
