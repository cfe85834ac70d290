"""What ``/ws/events`` sends: numbered envelopes."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from models.alerts import AlertEvent
from models.cameras.maps import HeatPoint
from models.cameras.overview import CityOverview
from models.cameras.window_rows import WindowRow

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
CONNECTION_EVENTS = frozenset(get_args(ConnectionEventName))


class Envelope(Struct, frozen=True):
    """An event.

    Attributes:
        seq: numbers all events of all workers in one order. What a connection says of itself carries the number of
            the newest event.
        event: an `EventName` or a `ConnectionEventName`.
        ts: when it was told, RFC 3339 UTC.
        data: what happened: a list of camera-wide `WindowRow` of ``traffic_metrics_update``,
            a list of `HeatPoint` of ``heatmap_update``, `NewAlert` of ``new_alert``,
            `AlertEvent` of other steps of an alert, `Snapshot` of ``snapshot``, ``{"stale_since":
            RFC 3339}`` of a ``heartbeat`` of a worker that hears nothing of Redis, else an empty object, as of
            ``resync``.
        overview: `CityOverview`, of ``traffic_metrics_update`` only.
    """

    seq: int
    event: str
    ts: str
    data: msgspec.Raw
    overview: msgspec.Raw | UnsetType = UNSET


class Snapshot(Struct, frozen=True):
    """What there is to know at the begin of a connection, of the kinds of events that were asked for.

    Attributes:
        alerts: open alerts, newest first.
        traffic_metrics_update, heatmap_update: data of the newest one; None when there was none or it was not
            asked for.
        overview: beside the newest traffic_metrics_update; None likewise.
    """

    alerts: list[AlertEvent]
    traffic_metrics_update: list[WindowRow] | None
    heatmap_update: list[HeatPoint] | None
    overview: CityOverview | None = None


encode_event_data = msgspec.json.Encoder().encode
