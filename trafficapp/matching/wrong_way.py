"""Who drives against the direction of the only edge where it is: seen from headings, not from the model.

The model knows only ways that are allowed, so it has no word for this; here each fix is looked at by itself, and
several in a row make it certain.
"""

from __future__ import annotations

import numpy as np

from trafficapp.matching.candidates import Candidates, begins_of
from trafficapp.matching.steps import KMH_PER_M_US
from trafficapp.matching.traces import (
    AGAINST,
    AGAINST_EAST,
    AGAINST_NORTH,
    AGAINST_SINCE,
    AGAINST_TOLD,
    SEEN,
    SEEN_EAST,
    SEEN_NORTH,
)
from trafficapp.roads.graph.road_graph import Floats

#: A vehicle drives from this speed on, and its fixes tell a direction when they are so far apart.
_DRIVES_FROM_KMH = 7.0
_DIRECTION_FROM_M = 15.0
#: Directions that differ by more are against each other, by less the same way; a lane change is neither.
_AGAINST_DEGREES = 150.0
_ALONG_DEGREES = 75.0
#: It is on an edge that is so near, when no edge that leads its way is nearer than so much farther.
_ON_EDGE_M = 12.0
_FARTHER_M = 12.0
#: Certain after so many fixes in a row that lead so far and take so long.
_FIXES = 3
_CERTAIN_FROM_M = 25.0
_CERTAIN_FROM_US = 5_000_000
_GAP_US = 60_000_000


def wrong_ways(
    found: Candidates,
    rows: Floats,
    time: Floats,
    east: Floats,
    north: Floats,
    speed: Floats,
    heading: Floats,
) -> list[tuple[int, int, float]]:
    """Look at a fix each of some vehicles.

    Args:
        found: the candidates of the fixes.
        rows: of the vehicles; changed.
        time: of the fixes, microseconds since the epoch.
        east: on the flat map.
        north: the same.
        speed: km/h; NaN for nothing.
        heading: degrees; NaN for nothing.

    Returns:
        for each vehicle of which it is certain now: position of its row, edge, direction in degrees. It is told once,
        until the vehicle drives along a road again.
    """
    step_east, step_north = east - rows[:, SEEN_EAST], north - rows[:, SEEN_NORTH]
    moved, elapsed = np.hypot(step_east, step_north), time - rows[:, SEEN]
    gone = (elapsed <= 0) | (elapsed > _GAP_US)
    far = ~gone & (moved >= _DIRECTION_FROM_M)
    drives = np.where(
        np.isnan(speed), far & (moved * KMH_PER_M_US >= _DRIVES_FROM_KMH * elapsed), speed >= _DRIVES_FROM_KMH
    )
    bearing = np.where(drives, heading, np.nan)
    silent = np.isnan(bearing) & far & drives
    bearing[silent] = np.degrees(np.arctan2(step_east[silent], step_north[silent])) % 360
    rows[gone, AGAINST] = rows[gone, AGAINST_TOLD] = 0
    anchored = (far | gone | ~np.isnan(heading)) & np.isfinite(east)
    rows[anchored, SEEN], rows[anchored, SEEN_EAST], rows[anchored, SEEN_NORTH] = (
        time[anchored],
        east[anchored],
        north[anchored],
    )
    if not len(found.fix):
        return []
    difference = abs((bearing[found.fix] - found.direction + 180) % 360 - 180)
    begins = begins_of(found.fix)
    row = found.fix[begins]
    against_m = np.minimum.reduceat(np.where(difference >= _AGAINST_DEGREES, found.distance_m, np.inf), begins)
    along_m = np.minimum.reduceat(np.where(difference <= _ALONG_DEGREES, found.distance_m, np.inf), begins)
    wrong = (against_m <= _ON_EDGE_M) & (along_m >= against_m + _FARTHER_M)
    right = row[(along_m <= _ON_EDGE_M) & ~wrong]
    rows[right, AGAINST] = rows[right, AGAINST_TOLD] = 0
    if not wrong.any():
        return []
    nearest_m = against_m[wrong]
    row = row[wrong]
    first = row[rows[row, AGAINST] == 0]
    rows[first, AGAINST_SINCE], rows[first, AGAINST_EAST], rows[first, AGAINST_NORTH] = (
        time[first],
        east[first],
        north[first],
    )
    rows[row, AGAINST] += 1
    led_m = np.hypot(east[row] - rows[row, AGAINST_EAST], north[row] - rows[row, AGAINST_NORTH])
    lasted = time[row] - rows[row, AGAINST_SINCE]
    certain = (rows[row, AGAINST] >= _FIXES) & (led_m >= _CERTAIN_FROM_M) & (lasted >= _CERTAIN_FROM_US)
    certain &= rows[row, AGAINST_TOLD] == 0
    told = []
    for one, distance_m in zip(row[certain].tolist(), nearest_m[certain].tolist(), strict=True):
        rows[one, AGAINST_TOLD] = 1
        its = (found.fix == one) & (found.distance_m == distance_m) & (difference >= _AGAINST_DEGREES)
        told.append((one, int(found.edge[its][0]), float(bearing[one])))
    return told
