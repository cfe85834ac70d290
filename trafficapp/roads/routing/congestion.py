"""How freely a route flows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import numpy.typing as npt

from trafficapp.roads.graph.road_graph import Floats, RoadGraph
from trafficapp.roads.routing.search import Drive
from trafficapp.roads.routing.weights import TravelTimes, fastest_kmh

Level = Literal["low", "medium", "high"]

#: A jam factor (0 to 10) of 4 and 7 as speed to free flow: the same bounds as of the road-speed feed.
_MEDIUM_BELOW = 0.6
_HIGH_BELOW = 0.3
#: Who loses less on a road does not drive around it for that.
_WORTH_TELLING_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RouteCongestion:
    """The congestion on a route, at the speeds met under way.

    Attributes:
        level: of the route as a whole.
        delay_seconds: time lost against free flow; 0 when it flows faster.
        medium_km: length with medium congestion.
        high_km: length with high congestion.
        known_share: share of the length whose speed is told by somebody; the rest counts as free.
        worst_road: name of the road on which most time is lost, None where nothing is.
    """

    level: Level
    delay_seconds: float
    medium_km: float
    high_km: float
    known_share: float
    worst_road: str | None


@dataclass(frozen=True, slots=True)
class Jam:
    """A road on which time would be lost.

    Attributes:
        edges: positions of its edges, in driving direction.
        lost_seconds: how much longer they take than when they flow freely.
    """

    edges: tuple[int, ...]
    lost_seconds: float


def level_of(ratio: float) -> Level:
    """Congestion level of a ratio of speed to free-flow speed."""
    if ratio <= _HIGH_BELOW:
        return "high"
    return "medium" if ratio <= _MEDIUM_BELOW else "low"


def congestion_along(
    graph: RoadGraph,
    times: TravelTimes,
    drive: Drive,
    entered_seconds: Floats,
    lengths_m: Floats,
    eta_seconds: float,
    free_flow_kmh: Floats | None = None,
) -> RouteCongestion:
    """Sum up a drive.

    A road whose speed is told flows freely at the speed that the same feed says: a graph knows little more than speed
    limits, and nobody drives as fast where the next traffic light is near.

    Args:
        graph: the road graph.
        times: the travel times it is under.
        drive: the drive.
        entered_seconds: when each edge is entered, since the speeds were told.
        lengths_m: length driven of each edge.
        eta_seconds: time under way.
        free_flow_kmh: free flow of each edge as the feed tells it, NaN where it does not: there it is the graph's.
    """
    edges = np.array(drive.edges)
    horizon = np.searchsorted(times.until_seconds, entered_seconds, "right")
    free_kmh = _free_kmh(graph, times, edges, free_flow_kmh)
    ratio = times.speeds_kmh[horizon, edges] / free_kmh
    free = _free_seconds(graph, edges, free_kmh)
    driven = lengths_m / graph.length_m[edges]
    lost = (times.seconds[horizon, edges] - free) * driven
    free_seconds = float((free * driven).sum() + graph.turn_seconds[list(drive.turns)].sum())
    worst = int(np.argmax(lost))
    length = float(lengths_m.sum())
    return RouteCongestion(
        level=level_of(free_seconds / eta_seconds) if eta_seconds > 0 else "low",
        delay_seconds=max(eta_seconds - free_seconds, 0.0),
        medium_km=float(lengths_m[(ratio > _HIGH_BELOW) & (ratio <= _MEDIUM_BELOW)].sum()) / 1000,
        high_km=float(lengths_m[ratio <= _HIGH_BELOW].sum()) / 1000,
        known_share=float(lengths_m[times.known[edges]].sum()) / length if length > 0 else 0.0,
        worst_road=graph.road_name(int(edges[worst])) if lost[worst] > 1.0 else None,
    )


def kept_off(
    graph: RoadGraph,
    times: TravelTimes,
    departure_seconds: float,
    empty: Drive,
    taken: Drive,
    free_flow_kmh: Floats | None = None,
) -> list[Jam]:
    """Jams on the way that would be the quickest through an empty city and that another one does not meet.

    Args:
        graph: the road graph.
        times: the travel times that hold.
        departure_seconds: when one starts, since the speeds were told; jams are as they are then.
        empty: the quickest drive were all roads free.
        taken: the drive that is taken instead.
        free_flow_kmh: as of `congestion_along`.

    Returns:
        In the order of the way: roads on which at least `_WORTH_TELLING_SECONDS` would be lost. Closed ones are none.
    """
    beside = set(taken.edges)
    edges = np.array([edge for edge in empty.edges if edge not in beside], np.int64)
    seconds = times.seconds[times.at(departure_seconds), edges]
    lost = seconds - _free_seconds(graph, edges, _free_kmh(graph, times, edges, free_flow_kmh))
    of_edge = {edge: time for edge, time in zip(edges.tolist(), lost.tolist(), strict=True) if np.isfinite(time)}
    jams = []
    for _, way in groupby(of_edge, graph.road_name):
        road = tuple(way)
        if (lost_seconds := sum(of_edge[edge] for edge in road)) >= _WORTH_TELLING_SECONDS:
            jams.append(Jam(road, lost_seconds))
    return jams


def _free_kmh(graph: RoadGraph, times: TravelTimes, edges: npt.NDArray[np.int64], told_kmh: Floats | None) -> Floats:
    """Speeds at which edges flow freely."""
    free_kmh = graph.free_flow_kmh[edges]
    if told_kmh is None:
        return free_kmh
    return np.where(times.known[edges] & ~np.isnan(told_kmh[edges]), told_kmh[edges], free_kmh)


def _free_seconds(graph: RoadGraph, edges: npt.NDArray[np.int64], free_kmh: Floats) -> Floats:
    """How long edges take when they flow freely."""
    return graph.length_m[edges] / np.minimum(free_kmh, fastest_kmh(graph.free_flow_kmh[edges])) * 3.6
