"""Roads whose speeds are of matched vehicles, on edges of which the road-speed feed tells under other names."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from trafficapp.forecast.city.roads import RoadState

#: A road that covers less of an edge says little of it.
_LEAST_SHARE = 0.5


def told_otherwise(roads: Mapping[str, RoadState], fresh: Collection[str]) -> set[str]:
    """Roads of vehicles on whose edges the feed has measured lately, under names of its own: its speed is used there.

    Args:
        roads: all roads, by road_id.
        fresh: those that were measured lately.
    """
    measured = {road_id: road.measured for road_id in fresh if (road := roads.get(road_id)) is not None}
    by_feed = {
        edge
        for road_id, newest in measured.items()
        if newest is not None and not newest.by_vehicles
        for edge, share in roads[road_id].edges
        if share >= _LEAST_SHARE
    }
    return {
        road_id
        for road_id, newest in measured.items()
        if newest is not None and newest.by_vehicles and all(edge in by_feed for edge, _ in roads[road_id].edges)
    }
