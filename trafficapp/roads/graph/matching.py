"""Which edges of the graph a road of a speed feed, or a vehicle, is on: by distance and heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely

from models.roads.current import MOST_EDGES_OF_A_ROAD
from trafficapp.roads.graph.earth import between_headings, headings
from trafficapp.roads.graph.index import InvalidPlace, OffTheMap, PlaceOnEdge, RoadIndex
from trafficapp.roads.graph.road_graph import Floats, Integers

#: A road of a feed lies this near to the edges it is on: maps differ by so much, and carriageways are so wide.
REACH_M = 25.0
#: Driving directions that differ by more are not the same.
HEADING_LIMIT_DEGREES = 45.0
#: Positions along lines are compared at this distance.
_STEP_M = 10.0
#: An edge is taken when this share of it, or of the road, is on both.
_LEAST_SHARE = 0.5
#: Of parallel edges the nearest counts, with those that are at most this much farther.
_AS_NEAR_M = 5.0
_MOST_POINTS = 10_000
#: A line that is longer, or beside edges that are, is no road but goes all over the city: comparing would take long.
LONGEST_M = 100_000.0
_MOST_COMPARED_M = 500_000.0
#: While so many places are looked up, no other thread may run.
_PLACES_AT_ONCE = 4000
#: Vehicles are searched on so many of the nearest edges.
_EDGES_OF_A_VEHICLE = 16


class TooLarge(InvalidPlace):
    """A line that may be a road's, but is more than is compared with the graph; the message says of what."""


class Match(NamedTuple):
    """An edge that a road of a feed is on.

    Attributes:
        edge: position of the edge.
        share: share of the edge that the road covers, above 0, up to 1.
        distance_m: how far the two are apart on average.
        heading_difference: angle between their directions on average, degrees.
    """

    edge: int
    share: float
    distance_m: float
    heading_difference: float


def match_road(index: RoadIndex, coordinates: Sequence[tuple[float, float]], reach_m: float = REACH_M) -> list[Match]:
    """The edges a road of a feed is on, in order along it; empty when it is on none.

    Args:
        index: index of the graph.
        coordinates: the road's line as (latitude, longitude) in driving direction, two places at least.
        reach_m: how far an edge may be from the road.

    Raises:
        TooLarge: too many places, too long, or beside too many edges.
        InvalidPlace: less than two different places, or one that is not on the globe.
    """
    road = _line(index, coordinates)
    near = index.edges_near(shapely.linestrings(road.points), reach_m)
    if not len(near):
        return []
    if len(near) > MOST_EDGES_OF_A_ROAD:
        raise TooLarge(f"a road beside {len(near)} edges, more than {MOST_EDGES_OF_A_ROAD:,}")
    found = _compare(index, road, near, reach_m)
    return [match for match, _ in sorted(_nearest_of_parallels(found), key=lambda one: (float(one[1][0]), one[0].edge))]


def match_vehicle(
    index: RoadIndex, lat: float, lon: float, heading: float | None = None, reach_m: float = REACH_M
) -> PlaceOnEdge | None:
    """The nearest edge a vehicle can be on, or None.

    Args:
        index: index of the graph.
        lat: latitude.
        lon: longitude.
        heading: where it drives to, degrees clockwise from north; None when that is not known.
        reach_m: how far an edge may be from it.

    Raises:
        InvalidPlace: not on the globe, or a heading that is no number.
    """
    if heading is not None and not np.isfinite(heading):
        raise InvalidPlace(f"heading {heading} is no number")
    try:
        places = index.places_on_roads(lat, lon, reach_m, at_least=_EDGES_OF_A_VEHICLE)
    except OffTheMap:
        return None
    if heading is None:
        return places[0]
    for place in places:
        line = index.lines[place.edge]
        direction = _headings_at(line, np.array([place.fraction * line.length]))
        if between_headings(direction, np.array([heading]))[0] <= HEADING_LIMIT_DEGREES:
            return place
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """A line on the flat map. Shapely would make an object of every place of it, and let no other thread run meanwhile.

    Attributes:
        points: its places, rows of (east, north).
        along: how far along the line each of them is; the last one is its length.
    """

    points: Floats
    along: Floats

    @property
    def length(self) -> float:
        return float(self.along[-1])

    def at(self, along: Floats) -> Floats:
        """Places at distances along the line."""
        return np.column_stack([np.interp(along, self.along, self.points[:, axis]) for axis in (0, 1)])


def _line(index: RoadIndex, coordinates: Sequence[tuple[float, float]]) -> _Line:
    if len(coordinates) > _MOST_POINTS:
        raise TooLarge(f"a road of {len(coordinates)} points, more than {_MOST_POINTS:,}")
    try:
        places = np.array(coordinates, float).reshape(-1, 2)
    except (TypeError, ValueError):
        raise InvalidPlace("a road is a list of latitudes and longitudes") from None
    if not (np.isfinite(places).all() and (abs(places) <= (90, 180)).all()):
        raise InvalidPlace("a road with places that are not on the globe; is it (latitude, longitude)?")
    points = index.flat.metres(places[:, 0], places[:, 1])
    steps = np.hypot(*np.diff(points, axis=0).T)
    points = points[np.concatenate([[True], steps > 0])] if len(points) else points
    if len(points) < 2:
        raise InvalidPlace("a road of less than two different places")
    road = _Line(points, np.concatenate([[0.0], np.cumsum(steps[steps > 0])]))
    if road.length > LONGEST_M:
        raise TooLarge(f"a road of {road.length / 1000:.0f} km, more than {LONGEST_M / 1000:.0f}")
    return road


def _compare(index: RoadIndex, road: _Line, edges: Integers, reach_m: float) -> list[tuple[Match, Floats]]:
    """Compare edges with a road at places along the edges.

    Returns:
        the edges that the road is on; with each where along the road its places are that fit, ascending.
    """
    along, begins, lengths = _one_after_the_other(index, edges)
    if lengths.sum() > _MOST_COMPARED_M:
        raise TooLarge(f"a road beside {lengths.sum() / 1000:.0f} km of edges, more than {_MOST_COMPARED_M / 1000:.0f}")
    counts = np.maximum(3, np.ceil(lengths / _STEP_M).astype(int))
    owners = np.repeat(np.arange(len(edges)), counts)
    at = (np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts) + 0.5) * (lengths / counts)[owners]
    within, distances, on_road = _nearest(road, along.at(begins[owners] + at), reach_m)
    owners, at = owners[within], at[within]
    behind, before = begins[owners] + np.maximum(at - 1, 0), begins[owners] + np.minimum(at + 1, lengths[owners])
    differences = between_headings(
        headings(along.at(before) - along.at(behind)),
        headings(road.at(np.minimum(on_road + 1, road.length)) - road.at(np.maximum(on_road - 1, 0))),
    )
    # A place beyond the road's end projects onto that end, far along the edge from where the road is.
    fits = ((on_road > 0) & (on_road < road.length)) | (distances <= 1.0)
    fits &= differences <= HEADING_LIMIT_DEGREES
    owners, distances, on_road, differences = owners[fits], distances[fits], on_road[fits], differences[fits]
    shares = np.bincount(owners, minlength=len(edges)) / counts
    found = []
    for one in np.flatnonzero((shares >= _LEAST_SHARE) | (shares * lengths >= _LEAST_SHARE * road.length)).tolist():
        mine = owners == one
        if mine.any():
            match = Match(
                int(edges[one]), float(shares[one]), float(distances[mine].mean()), float(differences[mine].mean())
            )
            found.append((match, np.sort(on_road[mine])))
    return found


def _one_after_the_other(index: RoadIndex, edges: Integers) -> tuple[_Line, Floats, Floats]:
    """The lines of edges as one, which jumps from each to the next; where on it each begins, and how long it is."""
    offsets = index.graph.shape_offsets
    sizes = offsets[edges + 1] - offsets[edges]
    first = np.cumsum(sizes) - sizes
    points = index.points[np.repeat(offsets[edges] - first, sizes) + np.arange(sizes.sum())]
    steps = np.hypot(*np.diff(points, axis=0).T)
    steps[first[1:] - 1] = _STEP_M
    line = _Line(points, np.concatenate([[0.0], np.cumsum(steps)]))
    begins = line.along[first]
    return line, begins, line.along[first + sizes - 1] - begins


def _nearest(road: _Line, places: Floats, reach_m: float) -> tuple[Integers, Floats, Floats]:
    """Which of some places are within reach of a road, how far from it, and where along it its nearest place is.

    Of several pieces of the road that are as near, the first counts.
    """
    begins, steps = road.points[:-1], np.diff(road.points, axis=0)
    pieces = shapely.linestrings(np.stack([begins, begins + steps], axis=1))
    tree, looked = shapely.STRtree(pieces), []
    for first in range(0, len(places), _PLACES_AT_ONCE):
        some = shapely.points(places[first : first + _PLACES_AT_ONCE])
        (place, piece), distances = tree.query_nearest(some, max_distance=reach_m, return_distance=True)
        looked.append((place + first, piece, distances))
    found, piece, distances = (np.concatenate(column) for column in zip(*looked, strict=True))
    order = np.lexsort((piece, found))
    within, nearest = np.unique(found[order], return_index=True)
    piece, distances = piece[order][nearest], distances[order][nearest]
    along = ((places[within] - begins[piece]) * steps[piece]).sum(1) / (steps[piece] ** 2).sum(1)
    return within, distances, road.along[piece] + np.clip(along, 0, 1) * np.diff(road.along)[piece]


def _nearest_of_parallels(found: list[tuple[Match, Floats]]) -> list[tuple[Match, Floats]]:
    """Leave out edges beside which a clearly nearer one runs along most of the same piece of the road."""
    nearest: dict[int, float] = {}
    kept = []
    for match, along in sorted(found, key=lambda one: (one[0].distance_m, one[0].edge)):
        steps = set((along // _STEP_M).astype(int).tolist())
        taken = [step for step in steps if nearest.get(step, np.inf) < match.distance_m - _AS_NEAR_M]
        if len(taken) <= len(steps) / 2:
            kept.append((match, along))
            for step in steps:
                nearest.setdefault(step, match.distance_m)
    return kept


def _headings_at(line: Any, at: Floats) -> Floats:
    """Headings of a line at distances along it, over two metres."""
    before, after = np.clip(at - 1, 0, line.length), np.clip(at + 1, 0, line.length)
    points = shapely.line_interpolate_point(line, np.concatenate([before, after]))
    places = shapely.get_coordinates(points)
    return headings(places[len(at) :] - places[: len(at)])
