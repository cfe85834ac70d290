"""Speeds of a feed's roads as speeds of edges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from trafficapp.roads.graph.road_graph import Floats, RoadGraph
from trafficapp.roads.routing.weights import IMPOSSIBLE_KMH, SLOWEST_KMH

#: Edges of each road, by position, with the share that it covers.
Shares: TypeAlias = Mapping[str, Sequence[tuple[int, float]]]


def speeds_of_edges(
    graph: RoadGraph,
    shares: Shares,
    speeds_kmh: Mapping[str, Sequence[float | None]],
    horizons: int,
    measured: Collection[str] | None = None,
) -> Floats:
    """Speeds of edges, shape (horizons, edges), NaN where nothing is told.

    An edge that several roads are on gets the speed at which it takes as long as its pieces: the harmonic mean, each
    road weighted by the share it covers. A speed that is no speed counts as not told; a standing road counts as slow.

    Args:
        graph: the road graph.
        shares: the edges of each road.
        speeds_kmh: for each road, the speed at each horizon, None or NaN where not told. Roads without an edge are
            left out.
        horizons: number of horizons.
        measured: roads whose speed was measured just now; None when that says nothing. What is only usual of another
            road on the same edge, an old name of it for instance, counts where none of these tells a speed.

    Raises:
        ValueError: a road does not have one entry a horizon.
    """
    for road, told in speeds_kmh.items():
        if len(told) != horizons:
            raise ValueError(f"road {road!r} has {len(told)} speeds for {horizons} horizons")
    roads = [road for road in speeds_kmh if shares.get(road)]
    if measured is None:
        return _mean_speeds(graph, shares, speeds_kmh, horizons, roads)
    fresh = _mean_speeds(graph, shares, speeds_kmh, horizons, [road for road in roads if road in measured])
    other = _mean_speeds(graph, shares, speeds_kmh, horizons, [road for road in roads if road not in measured])
    chosen: Floats = np.where(np.isnan(fresh), other, fresh)
    return chosen


def _mean_speeds(
    graph: RoadGraph,
    shares: Shares,
    speeds_kmh: Mapping[str, Sequence[float | None]],
    horizons: int,
    roads: Sequence[str],
) -> Floats:
    """Speeds of the edges that some roads are on."""
    slowness = np.zeros((graph.edge_count, horizons))
    weight = np.zeros((graph.edge_count, horizons))
    if roads:
        rows = np.repeat(np.arange(len(roads)), [len(shares[road]) for road in roads])
        pairs = np.array([pair for road in roads for pair in shares[road]])
        edges, share = pairs[:, 0].astype(np.int64), pairs[:, 1, None]
        speeds = np.array([speeds_kmh[road] for road in roads], float)  # None becomes NaN
        usable = (speeds >= 0) & (speeds <= IMPOSSIBLE_KMH)
        slow = np.where(usable, 1 / np.maximum(np.where(usable, speeds, 1.0), SLOWEST_KMH), 0.0)
        np.add.at(slowness, edges, share * slow[rows])
        np.add.at(weight, edges, share * usable[rows])
    with np.errstate(divide="ignore", invalid="ignore"):
        speeds_by_edge: Floats = np.where(weight > 0, weight / slowness, np.nan).T
    return speeds_by_edge
