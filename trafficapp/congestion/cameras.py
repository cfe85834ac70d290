"""Which cameras stand on a congestion event."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from trafficapp.incidents.effects import edges_at
from trafficapp.roads.graph.index import RoadIndex


def roads_of_cameras(
    index: RoadIndex, places: Mapping[str, tuple[float, float]], reach_m: float
) -> dict[str, frozenset[str]]:
    """The roads that cameras stand on: names of edges, and of the roads that those are of.

    Args:
        index: of the graph.
        places: latitude and longitude of cameras, degrees WGS 84.
        reach_m: how far a road may be.
    """
    graph = index.graph
    found = {}
    for camera_id, (lat, lon) in places.items():
        edges = list(edges_at(index, lat, lon, None, reach_m))
        found[camera_id] = frozenset([*graph.edge_ids[edges].tolist(), *graph.road_ids[edges].tolist()])
    return found


def cameras_on(roads: Mapping[str, frozenset[str]], road_ids: Collection[str]) -> list[str]:
    """The cameras that stand on one of some roads, in order of their ids."""
    return sorted(camera_id for camera_id, names in roads.items() if not names.isdisjoint(road_ids))
