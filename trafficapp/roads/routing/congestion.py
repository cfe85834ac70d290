"""How freely a route flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trafficapp.roads.graph.road_graph import Floats, RoadGraph
from trafficapp.roads.routing.search import Drive
from trafficapp.roads.routing.weights import TravelTimes, fastest_kmh

Level = Literal["low", "medium", "high"]

#: A jam factor (0 to 10) of 4 and 7 as speed to free flow: the same bounds as of the road-speed feed.
_MEDIUM_BELOW = 0.6
_HIGH_BELOW = 0.3


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
    free_kmh = graph.free_flow_kmh[edges]
    if free_flow_kmh is not None:
        told = times.known[edges] & ~np.isnan(free_flow_kmh[edges])
        free_kmh = np.where(told, free_flow_kmh[edges], free_kmh)
    ratio = times.speeds_kmh[horizon, edges] / free_kmh
    free = graph.length_m[edges] / np.minimum(free_kmh, fastest_kmh(graph.free_flow_kmh[edges])) * 3.6
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
