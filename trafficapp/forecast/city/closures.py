"""Which edges of the graph are closed, from what the feed says of its roads."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.forecast.city.roads import RoadState

#: A feed that renames its roads says nothing more of the old name. What is said of the same edge this much later under
#: another one counts then; two feeds that tell of one edge in turn are nearer together.
_OUTDATED_US = 180 * MICROSECONDS_PER_SECOND


def closed_edges(roads: Mapping[str, RoadState], closed: Collection[str]) -> dict[str, int]:
    """The closed edges, and when that was said last, microseconds since the epoch.

    An edge is closed when a road on it is, whatever share of it the road covers: nobody gets through.

    Args:
        roads: all roads, by road_id.
        closed: those on which nobody may drive.
    """
    told: dict[str, tuple[int, float]] = {}
    for road_id in closed:
        road = roads.get(road_id)
        if road is not None and road.observed is not None:
            for edge, share in road.edges:
                told[edge] = max(told.get(edge, (0, 0.0)), (road.observed.observed_at_us, share))
    if told:
        for road_id, road in roads.items():
            # vehicles that were matched here have the feed's names nowhere, and may be let through
            if road_id in closed or road.observed is None or road.observed.by_vehicles:
                continue
            for edge, share in road.edges:
                closure = told.get(edge)
                if closure and share >= closure[1] and road.observed.observed_at_us > closure[0] + _OUTDATED_US:
                    del told[edge]
    return {edge: time_us for edge, (time_us, _) in told.items()}
