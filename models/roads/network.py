"""The road graph as maps draw it: body of ``/api/roads/network``, GeoJSON (RFC 7946)."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct


class EdgeLine(Struct, frozen=True, tag_field="type", tag="LineString"):
    """The line of an edge as [longitude, latitude], in driving direction."""

    coordinates: list[tuple[float, float]]


class EdgeProperties(Struct, frozen=True, kw_only=True):
    """What is known of an edge.

    Attributes:
        road_id: the road it belongs to; the edge's own name where the source knows no roads.
        road_name: name of the street, or of its road where the street has none.
        free_flow_kmh: speed on the empty road.
    """

    edge_id: str
    road_id: str
    road_name: str
    lanes: int
    free_flow_kmh: float
    length_m: float


class EdgeFeature(Struct, frozen=True, kw_only=True, tag_field="type", tag="Feature"):
    """One directed edge."""

    id: str
    geometry: EdgeLine
    properties: EdgeProperties


class RoadNetwork(Struct, frozen=True, kw_only=True):
    """All edges of the graph.

    Attributes:
        source: where the data comes from, with its licence.
    """

    type: Literal["FeatureCollection"] = "FeatureCollection"
    city: str
    graph_version: str
    source: str
    features: list[EdgeFeature]


encode_road_network = msgspec.json.Encoder().encode
