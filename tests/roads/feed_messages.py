"""Messages of the road-speed feed, and the records that carry them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.timestamps import epoch_us, rfc3339
from trafficapp.engine.state_rows import UNTOLD, SourceLog
from trafficapp.roads.feed import FeedChecks
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.partition import PartitionRoads
from trafficapp.roads.road_edges import RoadEdges
from trafficapp.settings import RoadSettings

#: A Wednesday in winter: 08:00 in Bologna.
T0_US = epoch_us("2026-01-14T07:00:00Z")


@dataclass(frozen=True)
class FeedRecord:
    """A record as the partition reads it."""

    offset: int
    value: bytes | None
    key: bytes | None = b"a10"
    timestamp: int = T0_US // 1000
    timestamp_type: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


def message(**changes: Any) -> dict[str, Any]:
    """A message about an edge of Bologna; a change to ``...`` leaves the field out."""
    whole = {
        "event_id": "e-1",
        "timestamp": "2026-01-14T07:00:00Z",
        "road_id": "a10",
        "road_name": "Via Roma",
        "current_speed": 20,
        "free_flow_speed": 50,
        "jam_factor": 4.5,
        "congestion_level": "whatever",
        "coordinates": [],
    } | changes
    return {name: value for name, value in whole.items() if value is not ...}


def record(offset: int = 0, sent_us: int = T0_US, **changes: Any) -> FeedRecord:
    """A record of a message, under the key of its road."""
    told = message(**changes)
    return FeedRecord(offset, json.dumps(told).encode(), str(told.get("road_id", "")).encode(), sent_us // 1000)


def at(seconds: float) -> str:
    """A time after the beginning."""
    return rfc3339(T0_US + round(seconds * 1e6))


def roads(
    graph: RoadGraph, rows: dict[bytes, bytes] | None = None, log: SourceLog = UNTOLD, **settings: Any
) -> PartitionRoads:
    """The roads of partition 3, with nothing known unless rows are given."""
    chosen = RoadSettings(**settings)
    edges = RoadEdges(graph, chosen.match_reach_m)
    return PartitionRoads(3, FeedChecks(chosen, edges.box), edges, rows or {}, log)


def line_of(graph: RoadGraph, edge_id: str) -> list[list[float]]:
    """The line of an edge as a feed tells it: [longitude, latitude]."""
    edge = graph.position_of_edge[edge_id]
    span = slice(int(graph.shape_offsets[edge]), int(graph.shape_offsets[edge + 1]))
    return [[lon, lat] for lon, lat in zip(graph.shape_lon[span].tolist(), graph.shape_lat[span].tolist(), strict=True)]
