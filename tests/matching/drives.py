"""Vehicles that drive about on a graph, with fixes as receivers make them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import NamedTuple

import numpy as np
import shapely

from trafficapp.matching.fixes import Fixes, MatchedFixes
from trafficapp.matching.roads import MatchingRoads

SECOND = 1_000_000
NOON_US = 1_768_392_000 * SECOND


class Drive(NamedTuple):
    """Fixes of one vehicle or of several, and the edge that each is on; -1 inside of junctions."""

    fixes: Fixes
    edge: np.ndarray


def way_from(roads: MatchingRoads, edge: int, length_m: float, rng: np.random.Generator) -> list[int]:
    """Edges one after the other by allowed turns, by chance; ends where no turn leads on."""
    way, driven = [edge], float(roads.length_m[edge])
    while driven < length_m and (turns := roads.graph.turns_out_of[way[-1]]):
        way.append(roads.graph.turn_heads[turns[int(rng.integers(len(turns)))]])
        driven += float(roads.length_m[way[-1]])
    return way


def drive(
    roads: MatchingRoads,
    way: Sequence[int],
    vehicle: str,
    rng: np.random.Generator,
    *,
    seconds: float = 5.0,
    noise_m: float = 5.0,
    begin_us: int = NOON_US,
    backwards: bool = False,
) -> Drive:
    """Drive along edges at 20 to 50 km/h, and stop now and then.

    Args:
        roads: the graph.
        way: the edges.
        vehicle: its name.
        rng: chance.
        seconds: between fixes.
        noise_m: standard deviation of each coordinate.
        begin_us: time of the first fix.
        backwards: from the end to the beginning, against the direction of the edges.
    """
    graph, offsets = roads.graph, roads.graph.shape_offsets
    points = roads.flat.metres(graph.shape_lat, graph.shape_lon)
    pieces = [points[offsets[edge] : offsets[edge + 1]] for edge in way]
    owners = np.repeat(way, [len(piece) for piece in pieces])
    places = np.concatenate(pieces)
    if backwards:
        places, owners = places[::-1], owners[::-1]
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(places, axis=0).T))])
    line = shapely.linestrings(places)
    at, speeds, now = [0.0], [0.0], 0.0
    while now < along[-1] - 1:
        speed = 0.0 if rng.random() < 0.15 else float(rng.uniform(20, 50))
        now += speed / 3.6 * seconds
        at.append(min(now, float(along[-1])))
        speeds.append(speed)
    where = np.array(at)
    true = shapely.get_coordinates(shapely.line_interpolate_point(line, where))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(line, np.minimum(where + 1, along[-1])))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(line, np.maximum(where - 1, 0)))
    heading = np.degrees(np.arctan2(*(ahead - behind).T)) % 360
    seen = true + rng.normal(0, noise_m, true.shape)
    degrees = [roads.flat.degrees(east, north) for east, north in seen.tolist()]
    count = len(where)
    fixes = Fixes(
        [vehicle] * count,
        begin_us + (np.arange(count) * seconds * SECOND).astype(np.int64),
        np.array([lat for lat, _ in degrees]),
        np.array([lon for _, lon in degrees]),
        np.array(speeds),
        heading,
    )
    before = np.clip(np.searchsorted(along, where, side="right") - 1, 0, len(along) - 2)
    return Drive(fixes, np.where(owners[before] == owners[before + 1], owners[before], -1))


def together(drives: Sequence[Drive]) -> Drive:
    """Several vehicles, all fixes in order of time."""
    fixes = [one.fixes for one in drives]
    times = np.concatenate([one.time_us for one in fixes])
    order = np.argsort(times, kind="stable")
    vehicles = np.concatenate([np.array(one.vehicles) for one in fixes])[order]
    columns = (
        np.concatenate([getattr(one, name) for one in fixes])[order] for name in ("lat", "lon", "speed_kmh", "heading")
    )
    return Drive(Fixes(vehicles.tolist(), times[order], *columns), np.concatenate([one.edge for one in drives])[order])


def part(fixes: Fixes, of: slice | np.ndarray) -> Fixes:
    """Some of the fixes."""
    return Fixes(
        np.array(fixes.vehicles)[of].tolist(),
        fixes.time_us[of],
        fixes.lat[of],
        fixes.lon[of],
        fixes.speed_kmh[of],
        fixes.heading[of],
    )


class Row(NamedTuple):
    """A matched fix; a speed that is not known is None."""

    vehicle: str
    time_us: int
    edge: int
    offset_m: float
    distance_m: float
    confidence: float
    speed_kmh: float | None

    @property
    def key(self) -> tuple[str, int]:
        return self.vehicle, self.time_us


def rows(matched: Sequence[MatchedFixes]) -> list[Row]:
    """What was matched, one fix after the other."""
    found = []
    for one in matched:
        columns = (getattr(one, name).tolist() for name in Row._fields[1:-1])
        speeds = [None if isnan(speed) else speed for speed in one.speed_kmh.tolist()]
        found += list(map(Row._make, zip(one.vehicles, *columns, speeds, strict=True)))
    return found
