"""How long edges take: from the speeds now and those predicted, each for the time at which a vehicle gets there.

A vehicle that is under way for ``t`` seconds meets the speed of the horizon nearest to ``t``: with predictions for 10,
20 and 30 minutes the speeds now hold for the first 5 minutes, those for 10 minutes until minute 15, and so on; the last
ones hold on. On an edge, the speed changes while the vehicle is on it (Sung et al., Shortest paths in a network with
time-dependent flow speeds, 2000), so nobody who starts later arrives earlier.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import inf

import numpy as np
import numpy.typing as npt

from trafficapp.roads.graph.road_graph import Floats, RoadGraph

#: Predictions of the road system, seconds from now; 0 is the measured speed.
HORIZONS_SECONDS = (0.0, 600.0, 1200.0, 1800.0)
#: A standing road counts as this fast: it moves again some time. Only a closed one takes forever.
SLOWEST_KMH = 2.0
#: No feed makes a road faster than this many times its free flow.
FASTEST_TO_FREE_FLOW = 1.25
#: A speed above this is a mistake and not a speed.
IMPOSSIBLE_KMH = 250.0
#: What is slowed takes no longer than this, as long as a router can tell.
_LONGEST_SECONDS = 86_400.0


@dataclass(frozen=True, eq=False)
class TravelTimes:
    """Travel times of all edges for each horizon. They cannot be written.

    Attributes:
        until_seconds: up to which time under way each horizon's speeds hold, ascending; the last one is inf.
        seconds: what each edge takes at the speed of each horizon, shape (horizons, edges); inf where it is closed.
        speeds_kmh: the speed of each horizon as told, also where it is slower or faster than ``seconds`` allow for.
        known: whether a speed was told for this edge, at this horizon or another; else it is free flow.
        refused: how many speeds were no speeds (negative, infinite, impossibly high); they count as not told.
    """

    until_seconds: tuple[float, ...]
    seconds: Floats
    speeds_kmh: Floats
    known: npt.NDArray[np.bool_]
    refused: int

    def at(self, elapsed_seconds: float) -> int:
        """Which horizon holds at a time under way."""
        return next(number for number, until in enumerate(self.until_seconds) if elapsed_seconds < until)

    def leave(self, edge: int, entered_seconds: float, begin: float = 0.0, end: float = 1.0) -> float:
        """When a vehicle that is at one place of an edge gets to another one.

        Args:
            edge: position of the edge.
            entered_seconds: time since the speeds were told.
            begin: where on the edge it is, as a fraction.
            end: where it is going, as a fraction, not before ``begin``.
        """
        left, now = end - begin, entered_seconds
        for until, row in zip(self.until_seconds, self.rows):  # noqa: B905 - half of the time is here
            if now >= until:
                continue
            seconds = row[edge]
            left_at = now + left * seconds
            if left_at <= until:
                return left_at
            left -= (until - now) / seconds
            now = until
        raise AssertionError("the last horizon holds forever")

    @cached_property
    def rows(self) -> list[list[float]]:
        """The seconds as a list for each horizon, which is quicker to look up one by one."""
        rows: list[list[float]] = self.seconds.tolist()
        return rows


def free_flow(graph: RoadGraph) -> TravelTimes:
    """Travel times when nothing is known."""
    return travel_times(graph, np.full((1, graph.edge_count), np.nan), (0.0,))


def travel_times(
    graph: RoadGraph, speeds_kmh: Floats, horizons_seconds: Sequence[float] = HORIZONS_SECONDS
) -> TravelTimes:
    """Travel times from speeds.

    Where a speed is missing, the one told for an earlier horizon holds, else that for a later one; where none is told,
    free flow.

    Args:
        graph: the road graph.
        speeds_kmh: shape (horizons, edges), NaN where not told.
        horizons_seconds: for when the speeds are, seconds from now, ascending from 0.

    Raises:
        ValueError: the shape is not (horizons, edges), or the horizons do not ascend from 0.
    """
    speeds = np.array(speeds_kmh, np.float64)
    if speeds.shape != (len(horizons_seconds), graph.edge_count):
        raise ValueError(
            f"speeds of shape {speeds.shape} for {len(horizons_seconds)} horizons, {graph.edge_count} edges"
        )
    if not horizons_seconds or horizons_seconds[0] != 0 or not (np.diff(horizons_seconds) > 0).all():
        raise ValueError(f"horizons that do not ascend from 0: {list(horizons_seconds)}")
    wrong = (speeds < 0) | (speeds > IMPOSSIBLE_KMH)
    speeds[wrong] = np.nan
    for number in range(1, len(speeds)):
        _fill(speeds[number], speeds[number - 1])
    for number in range(len(speeds) - 2, -1, -1):
        _fill(speeds[number], speeds[number + 1])
    known = ~np.isnan(speeds[0])
    speeds = np.where(known, speeds, graph.free_flow_kmh)
    seconds = graph.length_m / np.clip(speeds, SLOWEST_KMH, fastest_kmh(graph.free_flow_kmh)) * 3.6
    for array in (seconds, speeds, known):
        array.setflags(write=False)
    between = [(one + other) / 2 for one, other in pairwise(horizons_seconds)]
    return TravelTimes((*between, inf), seconds, speeds, known, int(wrong.sum()))


def closed_to_traffic(times: TravelTimes, edges: Collection[int]) -> TravelTimes:
    """The same travel times, with edges on which nobody may drive at any time: they take ``inf`` seconds."""
    seconds = times.seconds.copy()
    seconds[:, list(edges)] = inf
    seconds.setflags(write=False)
    return replace(times, seconds=seconds)


def slowed(times: TravelTimes, graph: RoadGraph, shares: Mapping[int, float], *, are_measured: bool) -> TravelTimes:
    """The same travel times where something beside the road slows traffic, such as an accident.

    Where a speed was measured, what slows it is in it already or will be soon: it is only held below the share of free
    flow. Elsewhere the share of the usual speed is left.

    Args:
        times: travel times.
        graph: theirs.
        shares: what is left of the speed of edges, above 0 and up to 1.
        are_measured: whether known speeds are of now, and not usual ones.
    """
    edges = list(shares)
    left = np.array(list(shares.values()))
    seconds, speeds = times.seconds.copy(), times.speeds_kmh.copy()
    now = seconds[:, edges]
    later = now / left
    if are_measured:
        held = np.maximum(now, graph.free_flow_seconds[edges] / left)
        later = np.where(times.known[edges], held, later)
    # what is slow is not closed
    seconds[:, edges] = np.where(np.isinf(now), now, np.minimum(later, np.maximum(now, _LONGEST_SECONDS)))
    speeds[:, edges] = np.minimum(speeds[:, edges], graph.length_m[edges] / seconds[:, edges] * 3.6)
    for array in (seconds, speeds):
        array.setflags(write=False)
    return replace(times, seconds=seconds, speeds_kmh=speeds)


def fastest_kmh(free_flow_kmh: Floats) -> Floats:
    """The fastest that a feed can make edges of which the graph knows this free flow."""
    fastest: Floats = np.maximum(free_flow_kmh * FASTEST_TO_FREE_FLOW, SLOWEST_KMH)
    return fastest


def _fill(speeds: Floats, others: Floats) -> None:
    missing = np.isnan(speeds)
    speeds[missing] = others[missing]
