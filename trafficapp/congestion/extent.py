"""The queue of an event: its head, its tail, its length."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trafficapp.congestion.network import RoadLie


class Extent(NamedTuple):
    """A queue.

    Attributes:
        head: the road at its downstream end.
        tail: the road at its upstream end.
        length_m: from the begin of the tail to the end of the head, the shortest way along jammed roads.
        extent_m: of all roads together.
    """

    head: str
    tail: str
    length_m: float
    extent_m: float


def extent_of(road_ids: Iterable[str], lies: Mapping[str, RoadLie]) -> Extent:
    """The longest queue on some roads, at least one.

    A queue stands behind its head: the head is a road behind which no jammed road follows in driving direction (its own
    opposite direction counts for nothing), and of several that with the most road behind it. Where jammed roads form a
    ring there is no such road, and the first by name is it. The tail is the road that is furthest upstream of the head.
    Of equals the first by name counts.
    """
    roads = sorted(road_ids)
    by_end: dict[int, list[str]] = {}
    begins: dict[int, list[str]] = {}
    for road_id in roads:
        lie = lies[road_id]
        if lie.begin >= 0:
            by_end.setdefault(lie.end, []).append(road_id)
            begins.setdefault(lie.begin, []).append(road_id)
    heads = [
        one for one in roads if not any(_follows(lies[one], lies[other]) for other in begins.get(lies[one].end, ()))
    ]
    best: tuple[float, float, str, str] | None = None
    for head in heads or roads[:1]:
        distances = _upstream(head, lies, by_end)
        tail = min(distances, key=lambda road_id: (-distances[road_id], road_id))
        behind = sum(lies[road_id].length_m for road_id in distances)
        if best is None or (behind, distances[tail]) > best[:2]:
            best = (behind, distances[tail], head, tail)
    assert best is not None  # noqa: S101 - there is at least one road
    return Extent(best[2], best[3], best[1], sum(lies[road_id].length_m for road_id in roads))


def _upstream(head: str, lies: Mapping[str, RoadLie], by_end: Mapping[int, list[str]]) -> dict[str, float]:
    """Roads from which the head is reached, each with the metres from its begin to the end of the head."""
    distances: dict[str, float] = {}
    open_ = [(lies[head].length_m, head)]
    while open_:
        metres, road_id = heapq.heappop(open_)
        if road_id in distances:
            continue
        distances[road_id] = metres
        for other in by_end.get(lies[road_id].begin, ()):
            if other not in distances and _follows(lies[other], lies[road_id]):
                heapq.heappush(open_, (metres + lies[other].length_m, other))
    return distances


def _follows(road: RoadLie, other: RoadLie) -> bool:
    """Whether one drives from a road onto another without turning round."""
    return road.end == other.begin and road.begin != other.end
