"""What ``/ws/events`` sends: numbered envelopes."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from models.alerts import AlertEvent
from models.maps import HeatPoint
from models.overview import CityOverview

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
        seq: numbers all events of all workers in one order. What a connection says of itself carries the number of
            the newest event.
        event: an `EventName` or a `ConnectionEventName`.
        ts: when it was told, RFC 3339 UTC.
        data: what happened: `models.overview.CityOverview` of ``traffic_metrics_update``, a list of
            `models.maps.HeatPoint` of ``heatmap_update``, `models.alerts.AlertEvent` of an alert, `Snapshot` of
            ``snapshot``, ``{"stale_since": RFC 3339}`` of a ``heartbeat`` of a worker that hears nothing of Redis,
            else an empty object, as of ``resync``.
    """

    seq: int
    event: str
    ts: str
    data: msgspec.Raw


class Snapshot(Struct, frozen=True):
    """What there is to know at the begin of a connection, of the kinds of events that were asked for.

    Attributes:
        alerts: open alerts, newest first.
        traffic_metrics_update, heatmap_update: data of the newest one; None when there was none or it was not
            asked for.
    """

    alerts: list[AlertEvent]
    traffic_metrics_update: CityOverview | None
    heatmap_update: list[HeatPoint] | None


encode_event_data = msgspec.json.Encoder().encode
