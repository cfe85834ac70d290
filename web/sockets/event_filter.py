"""Which events a client of ``/ws/events`` is told, and what of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import get_args

import msgspec
from msgspec import UNSET, Struct

from models.alerts import AlertEvent, AlertType, is_about_traffic
from models.cameras.maps import HeatPoint
from models.cameras.overview import CityOverview
from models.cameras.window_rows import WindowRow
from models.events import CONNECTION_EVENTS, Envelope, EventName, encode_event_data
from trafficapp.analytics.overview import overview
from trafficapp.stores.redis.event_log import Told
from trafficapp.windows.congestion import CongestionScale

EVENT_NAMES: tuple[str, ...] = get_args(EventName)
ALERT_EVENTS = frozenset({"new_alert", "alert_updated", "alert_acknowledged", "alert_resolved"})


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a client asked for.

    Attributes:
        types: names of events.
        zone: the id or name of a zone, None for the whole city.
        says: what the connection may say of itself, of `CONNECTION_EVENTS`.
        quality: whether alerts about the data are told, too: silent cameras.
    """

    types: frozenset[str] = frozenset(EVENT_NAMES)
    zone: str | None = None
    says: frozenset[str] = CONNECTION_EVENTS
    quality: bool = False

    @property
    def kinds(self) -> frozenset[str]:
        """What a snapshot is about: the events asked for; all when nothing but the snapshot was."""
        return self.types or frozenset(EVENT_NAMES)


class _About(Struct, frozen=True, gc=False):
    camera_id: str | None
    alert_type: AlertType


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_about = msgspec.json.Decoder(_About).decode
_decode_overview = msgspec.json.Decoder(CityOverview).decode
_decode_points = msgspec.json.Decoder(list[HeatPoint]).decode
_decode_rows = msgspec.json.Decoder(list[WindowRow]).decode


def is_told_of_quality(told: Told) -> bool:
    """Whether an event is about the data and not about traffic."""
    if told.event not in ALERT_EVENTS:
        return False
    return _decode_about(_decode_envelope(told.envelope).data).alert_type == "camera_silent"


def told_in_zone(told: Told, cameras: Collection[str], alerts: Iterable[AlertEvent]) -> bytes | None:
    """The envelope as the clients of a zone are told it, None when it does not concern them.

    Args:
        told: the event.
        cameras: those in the zone.
        alerts: open alerts of the whole city.
    """
    if told.event in ALERT_EVENTS:
        about = _decode_about(_decode_envelope(told.envelope).data)
        return told.envelope if about.camera_id in cameras else None
    if told.event == "traffic_metrics_update":
        envelope = _decode_envelope(told.envelope)
        part: object = [row for row in _decode_rows(envelope.data) if row.camera_id in cameras]
        if envelope.overview is not UNSET:
            city = overview_in_zone(_decode_overview(envelope.overview), cameras, alerts)
            envelope = msgspec.structs.replace(envelope, overview=msgspec.Raw(encode_event_data(city)))
    elif told.event == "heatmap_update":
        envelope = _decode_envelope(told.envelope)
        part = [point for point in _decode_points(envelope.data) if point.camera_id in cameras]
    else:
        return told.envelope
    return encode_event_data(msgspec.structs.replace(envelope, data=msgspec.Raw(encode_event_data(part))))


def overview_in_zone(city: CityOverview, cameras: Collection[str], alerts: Iterable[AlertEvent]) -> CityOverview:
    """The overview of the cameras in a zone."""
    active = sum(alert.camera_id in cameras and is_about_traffic(alert) for alert in alerts)
    levels = city.thresholds
    scale = CongestionScale(moderate=levels.moderate, high=levels.high, severe=levels.severe)
    current = city.overall_congestion_score is not None or city.avg_speed_kmh is not None
    in_zone = (row for row in city.cameras if row.camera_id in cameras)
    return overview(in_zone, active, scale, current, city.unhealthy_cameras)
