"""The line of a route, with the names of its roads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely

from trafficapp.roads.index import PlaceOnEdge, RoadIndex
from trafficapp.roads.search import Drive

#: Lines are drawn with fewer points, none farther than this from the road.
_TOLERANCE_M = 5.0


class Waypoint(NamedTuple):
    """A point on a route; the road is the one that goes on from it (at the end, the one that led to it)."""

    lat: float
    lon: float
    road_name: str


class WaypointWriter:
    """Writes the points of drives on one graph."""

    def __init__(self, index: RoadIndex) -> None:
        """Thin out the lines once."""
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
        self._names = np.array([graph.road_name(edge) for edge in range(graph.edge_count)], object)

    def along(self, drive: Drive) -> list[Waypoint]:
        """The points of a drive in order, none twice in a row; two at least."""
        edges = np.array(drive.edges)
        first, counts = self._offsets[edges], self._offsets[edges + 1] - self._offsets[edges]
        positions = np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
        owners = np.repeat(np.arange(len(edges)), counts)
        fractions = self._fractions[positions]
        kept = ((owners > 0) | (fractions > drive.begin)) & ((owners < len(edges) - 1) | (fractions < drive.end))
        points = self._points[positions[kept]]
        ends = [self._index.on_map(PlaceOnEdge(edge, at, 0.0)) for edge, at in _ends(drive)]
        points = np.concatenate([[ends[0]], points, [ends[1]]]).round(6)
        owners = np.concatenate([[0], owners[kept], [len(edges) - 1]])
        # Where two lines meet, the road that goes on is the one that counts.
        last_of_place = np.append((points[1:] != points[:-1]).any(axis=1), True)
        last_of_place[0] |= not last_of_place[:-1].any()
        points, names = points[last_of_place], self._names[edges[owners[last_of_place]]]
        return list(map(Waypoint, points[:, 0].tolist(), points[:, 1].tolist(), names.tolist()))


def _ends(drive: Drive) -> tuple[tuple[int, float], tuple[int, float]]:
    return (drive.edges[0], drive.begin), (drive.edges[-1], drive.end)
