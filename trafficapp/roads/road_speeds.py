"""Speeds of a feed's roads as speeds of edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trafficapp.roads.graph import Floats, RoadGraph
from trafficapp.roads.matching import Match
from trafficapp.roads.weights import IMPOSSIBLE_KMH, SLOWEST_KMH


def edge_speeds(
    graph: RoadGraph,
    matches: Mapping[str, Sequence[Match]],
    speeds_kmh: Mapping[str, Sequence[float | None]],
    horizons: int,
) -> Floats:
    """Speeds of edges, shape (horizons, edges), NaN where nothing is told.

    An edge that several roads are on gets the speed at which it takes as long as its pieces: the harmonic mean, each
    road weighted by the share it covers. A speed that is no speed counts as not told; a standing road counts as slow.

    Args:
        graph: the road graph.
        matches: the edges of each road.
        speeds_kmh: for each road, the speed at each horizon, None or NaN where not told. Roads without a match are
            left out.
        horizons: number of horizons.

    Raises:
        ValueError: a road does not have one entry a horizon.
    """
    slowness = np.zeros((horizons, graph.edge_count))
    weight = np.zeros((horizons, graph.edge_count))
    for road, told in speeds_kmh.items():
        if len(told) != horizons:
            raise ValueError(f"road {road!r} has {len(told)} speeds for {horizons} horizons")
        speeds = np.array([np.nan if speed is None else speed for speed in told], float)
        usable = (speeds >= 0) & (speeds <= IMPOSSIBLE_KMH)
        slow = np.where(usable, 1 / np.maximum(np.where(usable, speeds, 1.0), SLOWEST_KMH), 0.0)
        for match in matches.get(road, ()):
            slowness[:, match.edge] += match.share * slow
            weight[:, match.edge] += match.share * usable
    with np.errstate(divide="ignore", invalid="ignore"):
        speeds_by_edge: Floats = np.where(weight > 0, weight / slowness, np.nan)
    return speeds_by_edge
