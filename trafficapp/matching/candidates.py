"""The edges that fixes may be on, and how well each fits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.rule import MatchingRule
from trafficapp.roads.graph.road_graph import Floats, Integers

#: A heading is worth nothing at rest and all from this speed on (receivers compute it from movement), but for a rest.
_HEADING_COUNTS_FROM_KMH = 10.0
_HEADING_COUNTS_AT_LEAST = 0.2
#: A heading is one reading that can be wrong: it makes an edge no less likely than this, in the logarithm.
_MOST_AGAINST = 12.0


class Candidates(NamedTuple):
    """Edges near fixes, in order of the fixes; each edge once for a fix.

    Attributes:
        fix: position of the fix.
        edge: position of the edge.
        offset_m: along the edge as it is drawn.
        distance_m: from the fix.
        direction: of the edge there, degrees clockwise from north.
        score: logarithm of the likelihood, without the constant.
    """

    fix: Integers
    edge: Integers
    offset_m: Floats
    distance_m: Floats
    direction: Floats
    score: Floats


def candidates_of(
    roads: MatchingRoads, rule: MatchingRule, east: Floats, north: Floats, heading: Floats, speed_kmh: Floats
) -> Candidates:
    """The edges within reach of places on the flat map."""
    grid, segments = roads.grid, roads.segments
    column = np.floor((east - grid.west) / grid.cell_m)
    row = np.floor((north - grid.south) / grid.cell_m)
    inside = (column >= 0) & (column < grid.columns) & (row >= 0) & (row < grid.rows)
    cell = np.where(inside, row * grid.columns + column, 0).astype(np.int64)
    first = grid.first[cell]
    counts = np.where(inside, grid.first[cell + 1] - first, 0)
    ends = counts.cumsum()
    fix = np.arange(len(east)).repeat(counts)
    which = grid.segments[np.arange(len(fix)) + (first - ends + counts).repeat(counts)]
    from_east, from_north = east[fix] - segments.east[which], north[fix] - segments.north[which]
    step_east, step_north = segments.step_east[which], segments.step_north[which]
    along = (from_east * step_east + from_north * step_north) * segments.per_square[which]
    along = along.clip(0, 1)
    from_east -= along * step_east
    from_north -= along * step_north
    square = from_east * from_east + from_north * from_north
    near = (square <= roads.reach_m**2).nonzero()[0]
    which, fix, square = which[near], fix[near], square[near]
    edge = segments.edge[which]
    if not len(fix):
        return Candidates(fix, edge, square, square, square, square)
    # of each edge the nearest of its segments, the first of those
    begins = begins_of(fix * len(segments.edge) + edge)
    nearest = np.minimum.reduceat(square, begins)
    if len(begins) == len(fix):
        along = along[near]
    else:
        positions = np.arange(len(fix))
        least = square == nearest.repeat(sizes_of(begins, len(fix)))
        chosen = np.minimum.reduceat(np.where(least, positions, len(fix)), begins)
        which, fix, edge, along = which[chosen], fix[chosen], edge[chosen], along[near[chosen]]
    offset = segments.before_m[which] + along * segments.length_m[which]
    direction = segments.heading[which]
    difference = abs((heading[fix] - direction + 180) % 360 - 180)
    # a heading that is not told is against all edges alike
    against = np.fmin(difference * difference * (0.5 / rule.heading_degrees**2), _MOST_AGAINST)
    counting = np.clip(speed_kmh / _HEADING_COUNTS_FROM_KMH, _HEADING_COUNTS_AT_LEAST, 1)
    against *= np.where(np.isnan(counting), 1, counting)[fix]
    score = nearest * (-0.5 / rule.accuracy_m**2) - against
    return Candidates(fix, edge, offset, np.sqrt(nearest), direction, score)


def begins_of(groups: Integers) -> Integers:
    """Where each group of equal neighbours begins."""
    new = np.empty(len(groups), bool)
    new[:1] = True
    np.not_equal(groups[1:], groups[:-1], out=new[1:])
    return new.nonzero()[0]


def sizes_of(begins: Integers, total: int) -> Integers:
    """How many are in each group that begins there, of so many in all."""
    sizes = np.empty_like(begins)
    np.subtract(begins[1:], begins[:-1], out=sizes[:-1])
    sizes[-1:] = total - begins[-1:]
    return sizes
