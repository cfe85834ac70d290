"""Corridors: chains of roads, each of which begins where the one before it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from trafficapp.measures.paces import MeasuredRoad


class NotAChain(ValueError):
    """Roads that are no corridor; the message says why."""


def chain(road_ids: Sequence[str], known: Mapping[str, MeasuredRoad]) -> list[MeasuredRoad]:
    """The roads of a corridor, in its order.

    Args:
        road_ids: in driving direction.
        known: roads by their ids.

    Raises:
        NotAChain: a road is not known, comes twice, or does not touch the one before it on the graph.
    """
    for road_id in road_ids:
        if road_id not in known:
            raise NotAChain(f"there is no road {road_id!r}: nothing was ever observed of it")
        if road_ids.count(road_id) > 1:
            raise NotAChain(f"the road {road_id!r} comes more than once")
    roads = [known[road_id] for road_id in road_ids]
    for road, following in pairwise(roads):
        for one in (road, following):
            if one.begin < 0:
                raise NotAChain(f"the road {one.road_id!r} lies on no edge of the road graph")
        if following.begin != road.end and following.begin not in road.nodes and road.end not in following.nodes:
            raise NotAChain(
                f"the road {following.road_id!r} does not begin where {road.road_id!r} ends:"
                " on the graph they do not touch"
            )
    return roads
