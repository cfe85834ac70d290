"""Body of ``/api/roads``: the roads of the speed feed and where they are on the road graph."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class FeedRoad(Struct, frozen=True, kw_only=True):
    """A road as of its newest observation.

    Attributes:
        free_flow_speed: km/h on the empty road, as the feed says; waiting at its end counts, unlike in the road graph.
        edges: edges of the road graph that it is on, each with the share of it that the road covers.
        last_seen: when its newest speed was measured, RFC 3339 UTC.
    """

    road_id: str
    road_name: str
    free_flow_speed: float
    edges: list[tuple[str, float]]
    last_seen: str


encode_feed_roads = msgspec.json.Encoder().encode
