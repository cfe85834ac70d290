"""What ``/ws/events`` sends: numbered envelopes."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

EventName = Literal[
    "traffic_metrics_update",
    "heatmap_update",
    "new_alert",
    "alert_updated",
    "alert_acknowledged",
    "alert_resolved",
    "admin_broadcast",
]

#: What a connection says beside the events: the state at its begin, that it lives, that events were missed.
ConnectionEventName = Literal["snapshot", "heartbeat", "resync"]


class Envelope(Struct, frozen=True):
    """An event.

    Attributes:
        seq: numbers all events of all workers in one order, without gaps while Redis keeps its data. What a
            connection says of itself carries the number of the newest event.
        event: an `EventName` or a `ConnectionEventName`.
        ts: when it was told, RFC 3339 UTC.
        data: what happened.
    """

    seq: int
    event: str
    ts: str
    data: msgspec.Raw
