"""That the road graph has new speeds: topic ``route-updates``."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct


class RouteUpdate(Struct, frozen=True, kw_only=True):
    """A version of the graph's speeds; ``graph_version`` is ``vYYYYMMDDHHMMSS``, UTC, later ones sort behind."""

    event_id: str
    timestamp: str
    graph_version: str
    roads_updated: int
    update_type: Literal["predictions_applied"] = "predictions_applied"


encode_route_update = msgspec.json.Encoder().encode
decode_route_update = msgspec.json.Decoder(RouteUpdate).decode
