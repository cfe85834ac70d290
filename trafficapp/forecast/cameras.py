"""Cameras and their lanes as entities that are predicted: what they are called, and which of them tell about which.

``cam_01`` is a camera, ``cam_01/0`` its lane 0. A camera and its lanes are linked, and so are cameras whose roads
follow one another: from the road of one the road of the other is reached by allowed turns within a kilometre.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trafficapp.forecast.clock import Floats
from trafficapp.forecast.neighbours import RoadLinks

if TYPE_CHECKING:
    from trafficapp.roads.graph.road_graph import RoadGraph

REACH_M = 1000.0

#: A camera a reach away weighs as much as this, one on the next road almost 1.
_WEIGHT_AT_REACH = 0.1
#: All lanes together weigh this for their camera, so that they do not drown what other cameras say.
_LANES_WEIGHT = 0.5


class EntityScores(NamedTuple):
    """Mean scores of a camera or a lane by the minute, ascending; minutes without any are not there.

    Attributes:
        minutes: when each began, seconds since the epoch.
    """

    entity: str
    minutes: Sequence[int]
    scores: Sequence[float]


@dataclass(frozen=True, eq=False)
class ScoreWindow:
    """Scores of the last minutes.

    Attributes:
        entities: cameras and lanes.
        scores: shape (minutes, entities), the newest last, NaN where there is none.
        last_time: when the newest minute began, seconds since the epoch.
    """

    entities: tuple[str, ...]
    scores: Floats
    last_time: int


def window_of(rows: Sequence[EntityScores], last_time: int, minutes: int) -> ScoreWindow:
    """The minutes up to one that began at a time."""
    first = last_time - 60 * (minutes - 1)
    scores = np.full((minutes, len(rows)), np.nan, np.float32)
    for column, row in enumerate(rows):
        scores[(np.array(row.minutes, np.int64) - first) // 60, column] = row.scores
    return ScoreWindow(tuple(row.entity for row in rows), scores, last_time)


def entity_of(camera_id: str, lane_id: int | None) -> str:
    """What a camera or one of its lanes is called."""
    return camera_id if lane_id is None else f"{camera_id}/{lane_id}"


def lanes_of(entities: Sequence[str]) -> dict[str, dict[int, str]]:
    """The cameras among entities, each with its lanes by number, ascending."""
    known, lanes = set(entities), dict[str, dict[int, str]]()
    for entity in entities:
        camera_id, slash, number = entity.rpartition("/")
        # The name of a camera may have a slash of its own.
        if slash and camera_id in known and number.isascii() and number.isdigit():
            lanes.setdefault(camera_id, {})[int(number)] = entity
        else:
            lanes.setdefault(entity, {})
    return {camera_id: dict(sorted(numbered.items())) for camera_id, numbered in lanes.items()}


def camera_links(entities: Sequence[str], road_of: Mapping[str, str], graph: RoadGraph | None) -> RoadLinks:
    """Links between cameras and lanes.

    Args:
        entities: cameras and lanes, in the order of the history.
        road_of: the road segment that each camera sees, as the registry of cameras has it: an edge of the graph.
        graph: of the city; None, or a camera without a road, is linked with its lanes only.
    """
    place = {entity: index for index, entity in enumerate(entities)}
    lanes = lanes_of(entities)
    weights: dict[tuple[int, int], float] = {}
    for camera_id, numbered in lanes.items():
        for lane in numbered.values():
            weights[place[lane], place[camera_id]] = 1.0
            weights[place[camera_id], place[lane]] = _LANES_WEIGHT / len(numbered)
    if graph is not None:
        edge_of = {one: graph.position_of_edge.get(road_of.get(one, "")) for one in lanes}
        cameras_on: dict[int, list[str]] = {}
        for camera_id, edge in edge_of.items():
            if edge is not None:
                cameras_on.setdefault(edge, []).append(camera_id)
        for camera_id, edge in edge_of.items():
            for reached, metres in ({} if edge is None else _within_reach(graph, edge)).items():
                for other in cameras_on.get(reached, []):
                    if other != camera_id:
                        weights[place[camera_id], place[other]] = _WEIGHT_AT_REACH ** (metres / REACH_M)
    ends = np.array(list(weights), np.int64).reshape(-1, 2)
    return RoadLinks(len(entities), ends[:, 0], ends[:, 1], np.array(list(weights.values()), np.float32))


def _within_reach(graph: RoadGraph, start: int) -> dict[int, float]:
    """Edges that can be reached from the end of an edge, with the metres up to their begin; the edge itself at 0."""
    found, waiting = dict[int, float](), [(0.0, start)]
    while waiting:
        metres, edge = heapq.heappop(waiting)
        if edge in found:
            continue
        found[edge] = metres
        behind = metres if edge == start else metres + graph.length_list[edge]
        if behind <= REACH_M:
            for turn in graph.turns_out_of[edge]:
                heapq.heappush(waiting, (behind, graph.turn_heads[turn]))
    return found
