"""Which edges of the graph a road of a speed feed, or a vehicle, is on: by distance and heading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely

from trafficapp.roads.earth import between_headings, headings
from trafficapp.roads.graph import Floats
from trafficapp.roads.index import InvalidPlace, OffTheMap, PlaceOnEdge, RoadIndex

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
#: A line that is longer, or beside more edges, is no road but goes all over the city: comparing would take seconds.
_LONGEST_M = 100_000.0
_MOST_EDGES = 1000
#: Vehicles are searched on so many of the nearest edges.
_EDGES_OF_A_VEHICLE = 16


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
        InvalidPlace: less than two different places, too many of them, one that is not on the globe, or a line all over
            the city.
    """
    road = _line(index, coordinates)
    found: list[tuple[Match, Floats]] = []
    near = index.edges_near(road, reach_m).tolist()
    if len(near) > _MOST_EDGES:
        raise InvalidPlace(f"a road beside {len(near)} edges")
    for edge in near:
        match, along = _compare(index, road, edge, reach_m)
        covered = match.share * index.lines[edge].length
        if match.share >= _LEAST_SHARE or covered >= _LEAST_SHARE * road.length:
            found.append((match, along))
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


def _line(index: RoadIndex, coordinates: Sequence[tuple[float, float]]) -> Any:
    if len(coordinates) > _MOST_POINTS:
        raise InvalidPlace(f"a road of {len(coordinates)} points")
    try:
        places = np.array(coordinates, float).reshape(-1, 2)
    except (TypeError, ValueError):
        raise InvalidPlace("a road is a list of latitudes and longitudes") from None
    if not (np.isfinite(places).all() and (abs(places) <= (90, 180)).all()):
        raise InvalidPlace("a road with places that are not on the globe; is it (latitude, longitude)?")
    points = index.flat.metres(places[:, 0], places[:, 1])
    if len(points) < 2 or (points == points[0]).all():
        raise InvalidPlace("a road of less than two different places")
    road = shapely.linestrings(points)
    if road.length > _LONGEST_M:
        raise InvalidPlace(f"a road of {road.length / 1000:.0f} km")
    return road


def _compare(index: RoadIndex, road: Any, edge: int, reach_m: float) -> tuple[Match, Floats]:
    """Compare an edge with a road at places along the edge; also where along the road those are that fit, ascending."""
    line = index.lines[edge]
    count = max(3, int(np.ceil(line.length / _STEP_M)))
    at = (np.arange(count) + 0.5) * line.length / count
    places = shapely.line_interpolate_point(line, at)
    distances = shapely.distance(places, road)
    on_road = shapely.line_locate_point(road, places)
    differences = between_headings(_headings_at(line, at), _headings_at(road, on_road))
    # A place beyond the road's end projects onto that end, far along the edge from where the road is.
    fits = (distances <= reach_m) & (differences <= HEADING_LIMIT_DEGREES)
    fits &= ((on_road > 0) & (on_road < road.length)) | (distances <= 1.0)
    if not fits.any():
        return Match(edge, 0.0, float(distances.mean()), float(differences.mean())), np.array([0.0])
    match = Match(edge, float(fits.mean()), float(distances[fits].mean()), float(differences[fits].mean()))
    return match, np.sort(on_road[fits])


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
